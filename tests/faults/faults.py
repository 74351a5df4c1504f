"""What can befall a request between the operator and the API server, or the stream that answers a watch.

A fault is put into a `Proxy`. It befalls the requests that it matches, so many times, and notes when it came and when
it was over. Nothing here depends on timing: a process is killed while the request stands still.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

HELD_SECONDS = 60.0
REACHED_SECONDS = 30.0
"""In which a fault has struck that is going to."""
ALWAYS = 1_000_000
"""Times that something happens which only ends with its `with`."""
Matches = Callable[[str, str], bool]
"""Method and path of a request; a watch is no GET, but a `WATCH`, and a list that may be old is `CACHED`."""
WATCH, CACHED = "WATCH", "CACHED"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the operator is told in the place of the API server."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fault:
    """Nothing goes wrong. Subclasses change what they are about."""

    def __init__(self, matches: Matches, *, nth: int = 1, times: int = 1) -> None:
        """Befalls `times` requests of which method and path match, from the `nth` on."""
        self.reached = threading.Event()
        self.over = threading.Event()
        self.over_at = 0.0
        self._matches = matches
        self._spared = nth - 1
        self._left = times
        self._lock = threading.Lock()

    def befalls(self, method: str, path: str) -> bool:
        """Whether this request is one of those; counts it."""
        if self.over.is_set() or not self._matches(method, path):
            return False
        with self._lock:
            if self._spared > 0:
                self._spared -= 1
                return False
            if self._left <= 0:
                return False
            self._left -= 1
            last = not self._left
        self.reached.set()
        if last:
            self.end()
        return True

    def end(self) -> None:
        """It is over: what comes from now on goes well."""
        self.over_at = self.over_at or time.monotonic()
        self.over.set()

    def before(self) -> Answer | None:
        """Before the request is forwarded: an answer in its place, or None. Raises OSError to cut the connection."""
        return None

    def after(self) -> None:
        """When the API server has answered. Raises OSError to keep the answer back."""

    def answered(self) -> None:
        """When the operator has the answer."""

    def whole(self, address: str, body: bytes) -> bytes:
        """What the operator gets of an answer; `address` is path and query."""
        return body

    def frames(self, frames: Iterator[bytes]) -> Iterator[bytes]:
        """What the operator hears of a watch."""
        return frames


class Held(Fault):
    """Stands still until it is let go, and then the connection is cut: time enough to kill who waits.

    `answered`: the server gets the request, and the operator no answer.
    """

    def __init__(self, matches: Matches, *, answered: bool = False, nth: int = 1) -> None:
        """Holds every request that matches, from the `nth` on."""
        super().__init__(matches, nth=nth, times=ALWAYS)
        self._answered = answered

    def before(self) -> Answer | None:
        """See `Fault.before`."""
        if not self._answered:
            self._stand()
        return None

    def after(self) -> None:
        """See `Fault.after`."""
        self._stand()

    def _stand(self) -> None:
        self.over.wait(HELD_SECONDS)
        raise ConnectionAbortedError("cut")


class Parked(Fault):
    """On its way until it is let go, and then it arrives, whoever still waits for an answer."""

    def __init__(self, matches: Matches) -> None:
        """Parks every request that matches."""
        super().__init__(matches, times=ALWAYS)

    def before(self) -> Answer | None:
        """See `Fault.before`."""
        self.over.wait()
        return None


class HeldAfterwards(Held):
    """One request goes well, and everything else that is written after it stands still."""

    def __init__(self, matches: Matches, *, writes: Matches, nth: int = 1) -> None:
        """Waits for the `nth` request that matches; `writes` tells what stands still from then on."""
        super().__init__(lambda method, path: self.reached.is_set() and writes(method, path))
        self._last = Fault(matches, nth=nth, times=ALWAYS)

    def befalls(self, method: str, path: str) -> bool:
        """See `Fault.befalls`."""
        return super().befalls(method, path) or (not self.over.is_set() and self._last.befalls(method, path))

    def before(self) -> Answer | None:
        """See `Fault.before`."""
        return super().before() if self.reached.is_set() else None

    def after(self) -> None:
        """Nothing: what arrived is answered."""

    def answered(self) -> None:
        """See `Fault.answered`."""
        self.reached.set()


class Refused(Fault):
    """The API server says no, and has done nothing."""

    def __init__(
        self, matches: Matches, *, status: int, reason: str, nth: int = 1, times: int = 1, retry_after: int = 0
    ) -> None:
        """Answers with this HTTP status and reason."""
        super().__init__(matches, nth=nth, times=times)
        body = {"kind": "Status", "status": "Failure", "code": status, "reason": reason, "message": "made up"}
        headers = {"Content-Type": "application/json"} | ({"Retry-After": str(retry_after)} if retry_after else {})
        self._answer = Answer(status, headers, json.dumps(body).encode())

    def before(self) -> Answer | None:
        """See `Fault.before`."""
        return self._answer


class Cut(Fault):
    """The connection is cut: before the request arrives, or once it was carried out."""

    def __init__(self, matches: Matches, *, carried_out: bool, nth: int = 1, times: int = 1) -> None:
        """See the class."""
        super().__init__(matches, nth=nth, times=times)
        self._carried_out = carried_out

    def before(self) -> Answer | None:
        """See `Fault.before`."""
        if not self._carried_out:
            raise ConnectionAbortedError("cut")
        return None

    def after(self) -> None:
        """See `Fault.after`."""
        raise ConnectionAbortedError("cut")


class Late(Fault):
    """The request is on its way for a while. With more seconds than anybody waits, it is a black hole."""

    def __init__(self, matches: Matches, *, seconds: float, nth: int = 1) -> None:
        """See the class."""
        super().__init__(matches, nth=nth)
        self._seconds = seconds

    def before(self) -> Answer | None:
        """See `Fault.before`."""
        time.sleep(self._seconds)
        if self._seconds >= HELD_SECONDS:
            raise ConnectionAbortedError("lost")
        return None


class Stale(Fault):
    """An API server that lags behind: for a while, each list from its cache shows what it showed at first."""

    def __init__(self, matches: Matches, *, seconds: float) -> None:
        """Lags from the first list that matches on."""
        super().__init__(matches, times=ALWAYS)
        self._seconds = seconds
        self._begun = 0.0
        self._first: dict[str, bytes] = {}

    def whole(self, address: str, body: bytes) -> bytes:
        """See `Fault.whole`."""
        with self._lock:
            self._begun = self._begun or time.monotonic()
            if time.monotonic() - self._begun > self._seconds:
                self.end()
                return body
            return self._first.setdefault(address, body)


class Streamed(Fault):
    """Something is wrong with the first streams that are opened: `change` is given their frames."""

    def __init__(
        self, matches: Matches, change: Callable[[Iterator[bytes]], Iterator[bytes]], *, times: int = 1
    ) -> None:
        """See the class."""
        super().__init__(matches, times=times)
        self._change = change

    def frames(self, frames: Iterator[bytes]) -> Iterator[bytes]:
        """See `Fault.frames`."""
        return self._change(frames)


def frame(type_: str, **about: Any) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": type_, "object": about}).encode() + b"\n"
