"""Where alerts come from: metrics of a made-up guardrail, our own rules, our own Alertmanager configuration.

The rules are the file in `manifests/alerting`, unchanged. Of the Alertmanager configuration only the address, the
credentials and, where a test says so, the timing are replaced.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import yaml

from tests.cluster.background import BackgroundServer
from tests.cluster.monitoring import Alertmanager
from tests.cluster.receiver import ReceiverProcess
from tests.e2e.shapes import BAD, GOOD, MODEL

ALERTING = Path(__file__).parents[2] / "manifests" / "alerting"
RULES = ALERTING / "prometheus-rules.yaml"
TOKEN = "one-long-secret-of-alertmanager"
_ANSWERS_PER_SECOND = 100


class Guardrail(BackgroundServer):
    """An exporter that counts the verdicts of an output guardrail; a tenth violate it once `leaking` is set."""

    def __init__(self, namespace: str) -> None:
        """Counts for the demo's model in a namespace."""
        handler = type("Handler", (_Metrics,), {"guardrail": self})
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        self._namespace = namespace
        self._begun = time.monotonic()
        self._leaking: float | None = None

    @property
    def address(self) -> str:
        """Where Prometheus finds it."""
        return f"127.0.0.1:{self.port}"

    def leak(self) -> None:
        """From now on a tenth of the bad revision's answers violates the guardrail."""
        self._leaking = time.monotonic()

    def metrics(self) -> str:
        """The counters as they are now."""
        now = time.monotonic()
        answers = int((now - self._begun) * _ANSWERS_PER_SECOND)
        violations = int((now - self._leaking) * _ANSWERS_PER_SECOND / 10) if self._leaking else 0
        counts = [(GOOD, "pass", answers), (BAD, "pass", answers - violations), (BAD, "violation", violations)]
        return "# TYPE ai_guardrail_verdicts_total counter\n" + "".join(
            f'ai_guardrail_verdicts_total{{namespace="{self._namespace}",ai_model="{MODEL}",ai_revision="{revision}",'
            f'direction="output",verdict="{verdict}"}} {count}\n'
            for revision, verdict, count in counts
        )


class _Metrics(BaseHTTPRequestHandler):
    guardrail: ClassVar[Guardrail]

    def do_GET(self) -> None:
        body = self.guardrail.metrics().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def alertmanager(root: Path, receiver: ReceiverProcess, *, beats: str = "", **timing: str) -> Alertmanager:
    """Our own configuration with this receiver; `timing` replaces settings of its route, `beats` the heartbeat's."""
    config = yaml.safe_load((ALERTING / "alertmanager.yaml").read_text())
    secret = root.parent / f"{root.name}.token"
    secret.write_text(TOKEN)
    (webhook,) = next(r for r in config["receivers"] if r["name"] == "lazaretto")["webhook_configs"]
    webhook["url"] = receiver.webhook_url
    http = webhook["http_config"]
    http["authorization"]["credentials_file"] = str(secret)
    del http["tls_config"]
    route = next(r for r in config["route"]["routes"] if r["receiver"] == "lazaretto")
    route |= timing
    if beats:
        route["routes"][0] |= {"group_interval": beats, "repeat_interval": beats}
    return Alertmanager(root, config=json.dumps(config))


def alert(
    namespace: str,
    *,
    labels: Mapping[str, str] | None = None,
    ends_in: float | None = None,
    summary: str = "it leaks",
) -> dict[str, Any]:
    """An alert for Alertmanager's API about the demo's model; `ends_in` seconds, else it fires on."""
    every = {
        "alertname": "Leak",
        "ai_incident": "true",
        "namespace": namespace,
        "ai_model": MODEL,
        "ai_category": "DataLeakage",
        "ai_revision": BAD,
        **(labels or {}),
    }
    now = datetime.now(UTC)
    ends: Mapping[str, str] = {} if ends_in is None else {"endsAt": (now + timedelta(seconds=ends_in)).isoformat()}
    return {"labels": every, "annotations": {"summary": summary}, "startsAt": now.isoformat(), **ends}
