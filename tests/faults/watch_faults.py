"""What can befall a watch at the event that matters.

Such a fault waits for a stream to be opened (`reached`): the operator opens its watches anew every few seconds. Then
the test has something happen and says so (`happened`), and the fault strikes (`struck`) what the stream tells of it.
Before, it has told nothing of it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from tests.faults.faults import ALWAYS, HELD_SECONDS, Fault, Matches


class WatchFault(Fault):
    """Befalls streams; see the module's text."""

    def __init__(self, matches: Matches, *, times: int = ALWAYS) -> None:
        """Befalls the first `times` streams that match."""
        super().__init__(matches, times=times)
        self.happened = threading.Event()
        self.struck = threading.Event()


class Ended(WatchFault):
    """Streams that end with an error, and with nothing before it: one, and all others once it has happened."""

    def __init__(self, matches: Matches, *, error: bytes, times: int) -> None:
        """The error is a line of a watch."""
        super().__init__(matches, times=times)
        self._error = error
        self._streams = 0

    def frames(self, frames: Iterator[bytes]) -> Iterator[bytes]:
        """See `Fault.frames`."""
        with self._lock:
            self._streams += 1
            first = self._streams == 1
        if not first:
            self.happened.wait(HELD_SECONDS)
        if self.over.is_set():
            self.struck.set()
        yield self._error


class Disturbed(WatchFault):
    """The first event of a namespace is not what it should be. What comes after it is, unless the stream ends with it.

    Subclasses may go on.
    """

    def __init__(
        self, matches: Matches, *, namespace: str, change: Callable[[bytes], Sequence[bytes]], ends: bool = False
    ) -> None:
        """`change` makes of the event's line what the operator gets in its place."""
        super().__init__(matches)
        self._namespace = namespace
        self._change = change
        self._ends = ends

    def frames(self, frames: Iterator[bytes]) -> Iterator[bytes]:
        """See `Fault.frames`."""
        for line in frames:
            version = self._version(line)
            if not version or not self._strikes(version):
                yield line
                continue
            yield from self._change(line)
            if self._ends:
                return

    def _strikes(self, version: str) -> bool:
        """Whether the event is changed that tells of this resource version."""
        if self.over.is_set():
            return False
        self.end()
        self.struck.set()
        return True

    def _version(self, line: bytes) -> str:
        """The resource version that an event of the namespace tells of; "" of anything else."""
        event = json.loads(line)
        about = event["object"].get("metadata", {})
        mine = event["type"] in ("ADDED", "MODIFIED", "DELETED") and about.get("namespace") == self._namespace
        return str(about["resourceVersion"]) if mine else ""


class Lost(Disturbed):
    """The event is lost, also to every later stream that begins before it."""

    def __init__(self, matches: Matches, *, namespace: str) -> None:
        """Befalls every stream that matches."""
        super().__init__(matches, namespace=namespace, change=lambda line: ())
        self._lost = ""

    def _strikes(self, version: str) -> bool:
        self._lost = self._lost or version
        self.over_at = self.over_at or time.monotonic()
        self.struck.set()
        return version == self._lost


class Doubled(Disturbed):
    """This event comes twice, and so does every one after it."""

    def __init__(self, matches: Matches, *, namespace: str) -> None:
        """Befalls every stream that matches."""
        super().__init__(matches, namespace=namespace, change=lambda line: (line, line))

    def _strikes(self, version: str) -> bool:
        self.over_at = self.over_at or time.monotonic()
        self.struck.set()
        return True
