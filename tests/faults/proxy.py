"""Stands between the operator and the API server, and lets chosen requests go wrong (`faults.py`).

Killing a process "after the journal, before the first write" by timing hits that window now and then; here the
requests of that window stand still, each before it reaches the server or after the server has answered, for as long
as the test wants. The product has no hooks: it merely has another server address, and the certificate authority of
that. TLS on both sides; tokens are handed through.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from tests.cluster.background import BackgroundServer
from tests.cluster.pki import CertificateAuthority
from tests.faults.faults import CACHED, WATCH, Answer, Fault
from tests.faults.record import Record

F = TypeVar("F", bound=Fault)
_HOST = "127.0.0.1"
_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})


class Proxy(BackgroundServer):
    """One proxy; see the module's text."""

    def __init__(self, kubeconfig: Path, target: Path) -> None:
        """Forwards to the server of `kubeconfig`, and writes a kubeconfig that leads here to `target`."""
        document = json.loads(kubeconfig.read_text())
        cluster = document["clusters"][0]["cluster"]
        upstream = urlsplit(cluster["server"])
        self.faults: Sequence[Fault] = ()
        self.record = Record()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._address = (upstream.hostname or "", upstream.port or 443)
        self._tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        authority = CertificateAuthority(target.parent / f"{target.name}-authority")
        pair = authority.serving("proxy", dns_names=[], addresses=[_HOST])
        self.serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.serving.load_cert_chain(pair.certificate, pair.key)
        super().__init__(_Server((_HOST, 0), handler))
        cluster |= {"server": f"https://{_HOST}:{self.port}", "certificate-authority": str(authority.certificate)}
        target.write_text(json.dumps(document))
        target.chmod(0o600)

    def connect(self) -> HTTPSConnection:
        """A new connection to the API server."""
        return HTTPSConnection(*self._address, timeout=300, context=self._tls)

    @contextmanager
    def befallen(self, fault: F) -> Iterator[F]:
        """A fault that lasts for the length of a `with`, or until it is over; several may at once."""
        self.faults = [*self.faults, fault]
        try:
            yield fault
        finally:
            self.faults = [each for each in self.faults if each is not fault]
            fault.end()


class _Server(ThreadingHTTPServer):
    block_on_close = False
    # An operator that starts opens more connections at once than the five of the base class, and the kernel of one
    # that finds no place tries again after a second.
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A killed operator leaves broken connections behind; they are what this proxy is for."""


class _Handler(BaseHTTPRequestHandler):
    proxy: ClassVar[Proxy]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Shakes hands: here, in the connection's own thread, where it keeps no other one waiting."""
        self.request = self.proxy.serving.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        """Closes the connection; the server knows of the bare socket alone, which has gone into this one."""
        with suppress(OSError):
            super().finish()
        self.request.close()

    def handle(self) -> None:
        """Serves one connection of the operator over one connection to the server."""
        self.upstream = self.proxy.connect()
        try:
            with suppress(OSError, HTTPException):
                super().handle()
        finally:
            self.upstream.close()

    def do_GET(self) -> None:
        """Forwards a request, unless a fault befalls it."""
        path = urlsplit(self.path).path
        faults = () if "dryRun=" in self.path else self.proxy.faults
        verb = _verb(self.command, self.path)
        fault = next((each for each in faults if each.befalls(verb, path)), Fault(_nothing))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            what = self._forward(verb, body, fault=fault)
        except (OSError, HTTPException) as error:
            self.proxy.record.note(verb, self.path, what=f"cut: {type(error).__name__} {error}")
            raise
        self.proxy.record.note(verb, self.path, what=what)

    def _forward(self, verb: str, body: bytes, *, fault: Fault) -> str:
        """What became of it."""
        if (refusal := fault.before()) is not None:
            self._refuse(refusal)
            return f"{refusal.status} by a fault"
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        self.upstream.request(self.command, self.path, body=body or None, headers=headers)
        answer = self.upstream.getresponse()
        if answer.chunked and verb == WATCH:
            self._stream(answer, fault)
            return f"{answer.status}, over"
        self._whole(answer, fault)
        return str(answer.status)

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815  # the base class looks for these names

    def _whole(self, answer: HTTPResponse, fault: Fault) -> None:
        body = answer.read()
        if answer.status < 300:
            body = fault.whole(self.path, body)
        fault.after()
        self._head(answer)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        fault.answered()

    def _refuse(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _stream(self, answer: HTTPResponse, fault: Fault) -> None:
        self._head(answer)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in fault.frames(_lines(answer)):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.proxy.record.note_frame(self.path, frame=piece)
        self.wfile.write(b"0\r\n\r\n")

    def _head(self, answer: HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, value)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the audit log has it all."""


def _verb(method: str, address: str) -> str:
    query = urlsplit(address).query.split("&")
    if any(each.startswith("watch=") for each in query):
        return WATCH
    return CACHED if "resourceVersion=0" in query else method


def _lines(answer: HTTPResponse) -> Iterator[bytes]:
    """The frames of a watch, each as soon as it is there."""
    while line := answer.readline():
        yield line


def _nothing(method: str, path: str) -> bool:
    return False
