"""Stands between the operator and the API server, and stops the world at a chosen request.

Killing a process "after the journal, before the first write" by timing hits that window now and then; here a gate
holds the requests of that window back, each before it reaches the server or after the server has answered, for as
long as the test wants. The product has no hooks: it merely has another server address. What the gate never lets go
is dropped when the operator is dead, so the operator never learns what became of it.

Plain HTTP on 127.0.0.1 towards the operator, TLS towards the API server; tokens are handed through.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

_HELD_SECONDS = 60.0
_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})


class Gate:
    """Holds every request that matches, until it is opened or its connections are cut."""

    def __init__(self, matches: Callable[[str, str], bool], *, answered: bool) -> None:
        """Matches method and path; `answered`: the server gets the request, the operator no answer."""
        self.matches = matches
        self.answered = answered
        self.reached = threading.Event()
        self.done = threading.Event()

    def hold(self) -> None:
        """Holds the calling request."""
        self.reached.set()
        self.done.wait(_HELD_SECONDS)
        raise ConnectionAbortedError("cut by the gate")


class Proxy:
    """One proxy; see the module's text."""

    def __init__(self, kubeconfig: Path, target: Path) -> None:
        """Forwards to the server of `kubeconfig`, and writes a kubeconfig that leads here to `target`."""
        document = json.loads(kubeconfig.read_text())
        cluster = document["clusters"][0]["cluster"]
        upstream = urlsplit(cluster["server"])
        self.gate: Gate | None = None
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._address = (upstream.hostname or "", upstream.port or 443)
        self._tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._server = _Server(("127.0.0.1", 0), handler)
        cluster["server"] = f"http://127.0.0.1:{self._server.server_address[1]}"
        target.write_text(json.dumps(document))
        target.chmod(0o600)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def connect(self) -> HTTPSConnection:
        """A new connection to the API server."""
        return HTTPSConnection(*self._address, timeout=300, context=self._tls)

    @contextmanager
    def gated(self, matches: Callable[[str, str], bool], *, answered: bool = False) -> Iterator[Gate]:
        """A gate that stands for the length of a `with`."""
        gate = self.gate = Gate(matches, answered=answered)
        try:
            yield gate
        finally:
            self.gate = None
            gate.done.set()

    def __enter__(self) -> Self:
        """Starts to serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A killed operator leaves broken connections behind; they are what this proxy is for."""


class _Handler(BaseHTTPRequestHandler):
    proxy: ClassVar[Proxy]
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        """Serves one connection of the operator over one connection to the server."""
        self.upstream = self.proxy.connect()
        try:
            with suppress(OSError, HTTPException):
                super().handle()
        finally:
            self.upstream.close()

    def do_GET(self) -> None:
        """Forwards a request, unless a gate holds it."""
        gate = self.proxy.gate
        held = gate is not None and gate.matches(self.command, urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if gate is not None and held and not gate.answered:
            gate.hold()
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        self.upstream.request(self.command, self.path, body=body or None, headers=headers)
        answer = self.upstream.getresponse()
        if gate is not None and held:
            answer.read()
            gate.hold()
        if answer.chunked and "watch=" in self.path:
            self._stream(answer)
        else:
            self._whole(answer)

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815  # the base class looks for these names

    def _whole(self, answer: HTTPResponse) -> None:
        body = answer.read()
        self._head(answer)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, answer: HTTPResponse) -> None:
        self._head(answer)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while piece := answer.read1(65536):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _head(self, answer: HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, value)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the audit log has it all."""
