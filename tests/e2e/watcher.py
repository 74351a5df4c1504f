"""An independent witness: watches one namespace as the administrator and keeps every version that it sees.

It shares nothing with the code under test, neither client nor account. Each version carries the moment at which
the witness had it in hand (`time.monotonic`). Every watch begins with what exists; `start` returns when all of
them are open, so nothing that happens afterwards is missed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.cluster.waiting import PATIENCE
from tests.e2e.raw_api import Object, RawApi, Stream

WATCHED = ("deployments", "httproutes", "horizontalpodautoscalers", "containments", "aiincidents")


@dataclass(frozen=True, slots=True)
class Version:
    """One object as it was seen."""

    at: float
    event: str
    plural: str
    body: Object

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.body["metadata"]["name"])


class Watcher:
    """See the module's text."""

    def __init__(self, api: RawApi, namespace: str, *, plurals: Sequence[str] = WATCHED) -> None:
        """Describes the witness; `start` opens its watches."""
        self._api = api
        self._namespace = namespace
        self._plurals = plurals
        self._versions: list[Version] = []
        self._changed = threading.Condition()
        self._streams: list[Stream] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Opens the watches."""
        for plural in self._plurals:
            stream = self._api.watch(plural, namespace=self._namespace)
            self._streams.append(stream)
            thread = threading.Thread(target=self._read, args=(plural, stream), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ends the watches."""
        for stream in self._streams:
            stream.close()
        for thread in self._threads:
            thread.join(5.0)

    def __enter__(self) -> Self:
        """Opens the watches."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the watches."""
        self.stop()

    def seen(self, plural: str, name: str = "") -> list[Version]:
        """Every version of the objects of a kind, oldest first."""
        with self._changed:
            return [v for v in self._versions if v.plural == plural and name in ("", v.name)]

    def first(
        self, plural: str, holds: Callable[[Object], Any], *, name: str = "", seconds: float = PATIENCE, event: str = ""
    ) -> Version:
        """The first version of which `holds` is true; waits for it, and raises `TimeoutError` in the end."""
        deadline = time.monotonic() + seconds
        while True:
            for version in self.seen(plural, name):
                if event in ("", version.event) and holds(version.body):
                    return version
            left = deadline - time.monotonic()
            if left <= 0:
                seen = [version.body.get("spec") for version in self.seen(plural, name)]
                raise TimeoutError(f"no such version of {plural} {name} after {seconds:g} s; seen: {seen}")
            with self._changed:
                self._changed.wait(min(left, 0.5))

    def _read(self, plural: str, stream: Stream) -> None:
        for event in stream:
            with self._changed:
                self._versions.append(Version(time.monotonic(), str(event["type"]), plural, event["object"]))
                self._changed.notify_all()
