"""Faults that last for a while, or strike a watch at its only event; `tests/faults/faults.py` has the others."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import partial
from http.client import HTTPException, HTTPSConnection

from tests.faults.faults import ALWAYS, WATCH, Fault, Refused, frame
from tests.faults.proxy import Proxy

_GONE = frame("ERROR", kind="Status", code=410, reason="Expired", message="too old resource version")


def watches_incidents(method: str, path: str) -> bool:
    """Whether a request is the watch that tells of incidents."""
    return method == WATCH and path.endswith("/aiincidents")


class Outage(Refused):
    """From now on and for so many seconds every request is answered 503; what streams already goes on."""

    def __init__(self, *, seconds: float) -> None:
        """See the class."""
        super().__init__(lambda method, path: True, status=503, reason="ServiceUnavailable", times=ALWAYS)
        self.over_at = time.monotonic() + seconds

    def befalls(self, method: str, path: str) -> bool:
        """See `Fault.befalls`."""
        if time.monotonic() >= self.over_at:
            self.end()
        return super().befalls(method, path)


class CuttingProxy(Proxy):
    """A proxy whose faults can cut the connection to the API server, even while it is silent."""

    _mine = threading.local()

    def connect(self) -> HTTPSConnection:
        """See `Proxy.connect`."""
        connection = super().connect()
        self._mine.connection = connection
        return connection

    def knife(self) -> Callable[[], None]:
        """What cuts the connection of the request that the calling thread serves; any thread may call it."""
        upstream = self._mine.connection.sock
        # Not the TLS socket's own: it would take away the state from under the thread that reads.
        return partial(_shut, upstream)


class Chopped(Fault):
    """The watch on incidents is cut again and again: each stream after so many seconds, whatever it says."""

    def __init__(self, proxy: CuttingProxy, *, every: float) -> None:
        """Chops until it is ended."""
        super().__init__(watches_incidents, times=ALWAYS)
        self.cuts = 0
        self._proxy = proxy
        self._every = every

    def frames(self, frames: Iterator[bytes]) -> Iterator[bytes]:
        """See `Fault.frames`."""
        timer = threading.Timer(self._every, self._proxy.knife())
        timer.start()
        try:
            yield from frames
        except (OSError, HTTPException):
            pass
        finally:
            timer.cancel()
        self.cuts += 1
        raise ConnectionAbortedError("cut")


class Gone(Fault):
    """In the place of the first event about each of these namespaces the watch says 410 Gone, and ends."""

    def __init__(self, namespaces: Collection[str]) -> None:
        """Befalls every stream until all have had theirs."""
        super().__init__(watches_incidents, times=ALWAYS)
        self.said: dict[str, float] = {}
        """When (`time.monotonic`), by namespace."""
        self._wanted = frozenset(namespaces)

    def frames(self, frames: Iterator[bytes]) -> Iterator[bytes]:
        """See `Fault.frames`."""
        for line in frames:
            namespace = str(json.loads(line)["object"].get("metadata", {}).get("namespace", ""))
            if namespace in self._wanted and namespace not in self.said:
                self.said[namespace] = time.monotonic()
                yield _GONE
                return
            yield line


def _shut(connection: socket.socket) -> None:
    # It may have ended by itself.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
