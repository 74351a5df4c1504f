"""Stands in for one revision of the model, with its guardrail: counts answers, exports them for Prometheus.

A program of its own, on the standard library alone: `model_server.py PORT MODEL`. Whoever plays the gateway
says how many requests arrive (`POST /requests?count=9`); from `POST /leak` until `POST /repair`, one output in
five is judged a violation by the guardrail. `GET /metrics` tells it as vLLM and a guardrail do, `GET /counts`
the same as JSON. It answers 404 to everything else, and listens on 127.0.0.1 only.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_LEAKED_ONE_IN = 5
_TOKENS_AN_ANSWER = 120


@dataclass(slots=True)
class Counts:
    """Answers since the start."""

    answered: int = 0
    leaked: int = 0


class Model:
    """The revision's state."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts = Counts()
        self._since_leak = 0
        self._lock = threading.Lock()
        self.leaking = False

    @property
    def counts(self) -> Counts:
        """Answers since the start."""
        with self._lock:
            return Counts(self._counts.answered, self._counts.leaked)

    def answer(self, requests: int) -> None:
        """Serves that many requests."""
        with self._lock:
            self._counts.answered += requests
            if self.leaking:
                self._since_leak += requests
                leaked, self._since_leak = divmod(self._since_leak, _LEAKED_ONE_IN)
                self._counts.leaked += leaked

    def metrics(self) -> str:
        """Prometheus' text format."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        counts = self.counts
        verdicts = {"pass": counts.answered - counts.leaked, "violation": counts.leaked}
        yield "# HELP ai_guardrail_verdicts_total What guardrails said about inputs and outputs."
        yield "# TYPE ai_guardrail_verdicts_total counter"
        common = 'guardrail="pii-filter",policy="pii"'
        yield f'ai_guardrail_verdicts_total{{{common},direction="input",verdict="pass"}} {counts.answered}'
        # Zero from the start: a counter that appears with its first violation has no rate yet.
        for verdict, count in verdicts.items():
            yield f'ai_guardrail_verdicts_total{{{common},direction="output",verdict="{verdict}"}} {count}'
        model = f'model_name="{self._name}",engine="0"'
        for name, kind, extra, value in (
            ("request_success_total", "counter", ',finished_reason="stop"', counts.answered),
            ("generation_tokens_total", "counter", "", counts.answered * _TOKENS_AN_ANSWER),
            ("corrupted_requests_total", "counter", "", 0),
            ("num_requests_running", "gauge", "", 0),
        ):
            yield f"# TYPE vllm:{name} {kind}"
            yield f"vllm:{name}{{{model}{extra}}} {value}"


class _Handler(BaseHTTPRequestHandler):
    """One request; `model` is set on the class that `serve` makes of this."""

    model: Model
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(200, self.model.metrics(), kind="text/plain; version=0.0.4")
        elif self.path == "/counts":
            self._answer(200, json.dumps(asdict(self.model.counts)), kind="application/json")
        else:
            self._answer(404)

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/requests":
            self.model.answer(int(parse_qs(parts.query)["count"][0]))
        elif parts.path in ("/leak", "/repair"):
            self.model.leaking = parts.path == "/leak"
        else:
            self._answer(404)
            return
        self._answer(200)

    def _answer(self, status: int, text: str = "", *, kind: str = "text/plain") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: ten requests a second come in."""


def serve(port: int, *, name: str) -> None:
    """Serves one revision until the process ends."""
    handler = type("Handler", (_Handler,), {"model": Model(name)})
    ThreadingHTTPServer(("127.0.0.1", port), handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), name=sys.argv[2])
