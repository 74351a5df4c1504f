"""Proxies for outages that no single request shows: of one of several API servers, and of every watch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

from tests.faults.proxy import Proxy


class Balancer(Proxy):
    """Stands in front of several API servers: a connection goes to the first that takes it, and breaks with it."""

    def __init__(self, kubeconfig: Path, target: Path, *, others: Sequence[int]) -> None:
        """See `Proxy`; `others` are the ports of more API servers, under the same certificate."""
        self._others = others
        super().__init__(kubeconfig, target)

    def connect(self) -> HTTPSConnection:
        """See `Proxy.connect`."""
        host, port = self._address
        for each in (port, *self._others):
            connection = HTTPSConnection(host, each, timeout=300, context=self._tls)
            with suppress(OSError):
                connection.connect()
                return connection
        raise ConnectionRefusedError("none of them listens")


class FleetingProxy(Proxy):
    """Can cut every watch that says nothing for a moment."""

    def __init__(self, kubeconfig: Path, target: Path) -> None:
        """See `Proxy`."""
        self.patience: float | None = None
        self.cuts = 0
        super().__init__(kubeconfig, target)

    def connect(self) -> HTTPSConnection:
        """See `Proxy.connect`."""
        connection = _Fleeting(*self._address, timeout=300, context=self._tls)
        connection.proxy = self
        return connection

    @contextmanager
    def cutting(self, seconds: float) -> Iterator[None]:
        """For the length of a `with`, watches that are asked for are cut after so many seconds of silence."""
        self.cuts, self.patience = 0, seconds
        try:
            yield
        finally:
            self.patience = None


class _Fleeting(HTTPSConnection):
    proxy: FleetingProxy
    _watching = False

    def request(self, method: str, url: str, *args: Any, **more: Any) -> None:
        self._watching = "watch=" in url
        super().request(method, url, *args, **more)

    def getresponse(self) -> HTTPResponse:
        answer = super().getresponse()
        if self._watching and self.proxy.patience is not None:
            self.proxy.cuts += 1
            self.sock.settimeout(self.proxy.patience)
        return answer
