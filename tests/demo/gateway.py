"""Plays the gateway and the users before it: a steady load, split by the weights that the route has right now.

Fake nodes run no gateway and no pods, so somebody must turn the route's weights into traffic for the effect of
a containment to be seen where it matters: at the model servers' own counters. A gateway would do the same with
the same route, a moment after it read it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Any

from tests.e2e.raw_api import Object, RawApi, RefusedError

_EVERY_SECONDS = 0.1
_REQUESTS_EACH_TIME = 10


class ModelClient:
    """Speaks to one model server."""

    def __init__(self, port: int) -> None:
        """Connects anew for each request; a server that is restarted needs no care."""
        self.address = f"127.0.0.1:{port}"

    def post(self, path: str) -> None:
        """Posts without a body; raises `OSError` when nobody answers."""
        self._call("POST", path)

    @property
    def counts(self) -> dict[str, int]:
        """`answered` and `leaked`, since the server's start."""
        counts: dict[str, int] = json.loads(self._call("GET", "/counts"))
        return counts

    def _call(self, method: str, path: str) -> bytes:
        connection = HTTPConnection(self.address, timeout=5)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            if answer.status != 200:
                raise OSError(f"{self.address} answered {method} {path} with {answer.status}")
            return answer.read()
        finally:
            connection.close()


class Gateway:
    """Sends load to the backends of one HTTPRoute from `start` until `stop`."""

    def __init__(self, api: RawApi, *, namespace: str, route: str, backends: Mapping[str, ModelClient]) -> None:
        """Reads `route` before each portion; `backends` are the servers behind each Service name."""
        self._api = api
        self._namespace = namespace
        self._route = route
        self._backends = backends
        self._owed = dict.fromkeys(backends, 0.0)
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begins to send; nothing is sent before the route exists."""
        threading.Thread(target=self._run, name="gateway", daemon=True).start()

    def stop(self) -> None:
        """Sends no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_SECONDS):
            try:
                route = self._api.get("httproutes", namespace=self._namespace, name=self._route)
            except (OSError, HTTPException, RefusedError):
                continue
            shares = weights(route)
            total = sum(shares.values())
            for name, client in self._backends.items():
                self._owed[name] += _REQUESTS_EACH_TIME * shares.get(name, 0) / total if total else 0
                whole = int(self._owed[name])
                self._owed[name] -= whole
                if whole:
                    with suppress(OSError, HTTPException):
                        client.post(f"/requests?count={whole}")


def weights(route: Object) -> dict[str, int]:
    """Weights by backend of the route's first rule."""
    rules: list[dict[str, Any]] = (route.get("spec") or {}).get("rules") or [{}]
    return {each["name"]: int(each.get("weight", 1)) for each in rules[0].get("backendRefs", [])}
