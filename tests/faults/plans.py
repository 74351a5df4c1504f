"""Which requests go wrong, and how: every write of a containment and of its release, and every kind of watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from tests.e2e.shapes import BAD, MODEL
from tests.faults.faults import (
    CACHED,
    HELD_SECONDS,
    WATCH,
    Cut,
    Fault,
    Held,
    HeldAfterwards,
    Late,
    Lost,
    Matches,
    Refused,
    Stale,
    Streamed,
    frame,
)

CONTAIN, RELEASE = "contain", "release"


@dataclass(frozen=True, slots=True)
class Write:
    """One of the operator's writes in a namespace."""

    phase: str
    what: str
    method: str
    end: str
    """Of the path."""

    def matches(self, namespace: str) -> Matches:
        """Whether a request is this one."""
        return lambda method, path: method == self.method and path.endswith(f"/namespaces/{namespace}{self.end}")


WRITES = (
    Write(CONTAIN, "journal", "POST", "/containments"),
    Write(CONTAIN, "workload", "PATCH", f"/deployments/{BAD}/scale"),
    Write(CONTAIN, "route", "PATCH", f"/httproutes/{MODEL}"),
    Write(CONTAIN, "autoscaler", "PATCH", f"/horizontalpodautoscalers/{BAD}"),
    Write(CONTAIN, "snapshot", "POST", "/configmaps"),
    Write(CONTAIN, "status of the incident", "PATCH", f"/aiincidents/{MODEL}-1/status"),
    Write(CONTAIN, "status of the journal", "PATCH", f"/containments/{MODEL}/status"),
    Write(RELEASE, "journal", "PATCH", f"/containments/{MODEL}"),
    Write(RELEASE, "workload", "PATCH", f"/deployments/{BAD}/scale"),
    Write(RELEASE, "route", "PATCH", f"/httproutes/{MODEL}"),
    Write(RELEASE, "autoscaler", "PATCH", f"/horizontalpodautoscalers/{BAD}"),
    Write(RELEASE, "status of the incident", "PATCH", f"/aiincidents/{MODEL}-1/status"),
    Write(RELEASE, "removal of the journal", "DELETE", f"/containments/{MODEL}"),
)


def writes_to(namespace: str) -> Matches:
    """Whether a request is any write in the namespace."""
    return lambda method, path: method not in ("GET", CACHED, WATCH) and f"/namespaces/{namespace}/" in path


Made = Callable[[Write, str], Fault]
"""From the write that goes wrong, and the namespace."""
TWICE = "killed before a write arrives, and before the next one"
STALE = "cached lists stale for 5 s"

KILLS: Mapping[str, Made] = {
    "killed before a write arrives": lambda write, ns: Held(write.matches(ns)),
    "killed when it was carried out, unanswered": lambda write, ns: Held(write.matches(ns), answered=True),
    "killed when it was answered": lambda write, ns: HeldAfterwards(write.matches(ns), writes=writes_to(ns)),
    TWICE: lambda write, ns: Held(write.matches(ns)),
}
FAILURES: Mapping[str, Made] = {
    "409 Conflict": lambda write, ns: Refused(write.matches(ns), status=409, reason="Conflict"),
    "409 Conflict, eight times": lambda write, ns: Refused(write.matches(ns), status=409, reason="Conflict", times=8),
    "422 Invalid": lambda write, ns: Refused(write.matches(ns), status=422, reason="Invalid"),
    "403 Forbidden": lambda write, ns: Refused(write.matches(ns), status=403, reason="Forbidden"),
    "429, Retry-After 1 s": lambda write, ns: Refused(
        write.matches(ns), status=429, reason="TooManyRequests", retry_after=1
    ),
    "500": lambda write, ns: Refused(write.matches(ns), status=500, reason="InternalError"),
    "503, eight times": lambda write, ns: Refused(write.matches(ns), status=503, reason="ServiceUnavailable", times=8),
    "connection cut": lambda write, ns: Cut(write.matches(ns), carried_out=False),
    "answer lost": lambda write, ns: Cut(write.matches(ns), carried_out=True),
    "1.5 s late": lambda write, ns: Late(write.matches(ns), seconds=1.5),
    STALE: lambda write, ns: Stale(lambda method, path: method == CACHED and f"/namespaces/{ns}/" in path, seconds=5),
    "black hole": lambda write, ns: Late(write.matches(ns), seconds=HELD_SECONDS),
}


def _ends_with(line: bytes) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    """What exists, and then this."""

    def change(frames: Iterator[bytes]) -> Iterator[bytes]:
        yield from islice(frames, 1)
        yield line

    return change


def _cut_short(frames: Iterator[bytes]) -> Iterator[bytes]:
    for line in islice(frames, 1):
        yield line[: len(line) // 2]


def _twice(frames: Iterator[bytes]) -> Iterator[bytes]:
    for line in frames:
        yield line
        yield line


_GONE = frame("ERROR", kind="Status", code=410, reason="Expired", message="too old resource version")
_BROKEN = frame("ERROR", kind="Status", code=500, reason="InternalError", message="made up")
STREAMS: Mapping[str, Callable[[Matches], Fault]] = {
    "410 Gone, five times": lambda matches: Streamed(matches, _ends_with(_GONE), times=5),
    "500 as an event, five times": lambda matches: Streamed(matches, _ends_with(_BROKEN), times=5),
    "an event that is no JSON": lambda matches: Streamed(matches, _ends_with(b"{no json\n")),
    "an event of unknown type": lambda matches: Streamed(matches, _ends_with(frame("NEWS", kind="Spaceship"))),
    "an event cut short": lambda matches: Streamed(matches, _cut_short),
    "every event twice": lambda matches: Streamed(matches, _twice),
    "the first event lost": Lost,
}
WATCHED = ("aiincidents", "incidentdecisions")


@dataclass(frozen=True, slots=True)
class Plan:
    """One fault, and where it strikes: a write, or what is watched."""

    fault: str
    where: Write | str

    @property
    def kills(self) -> bool:
        """Whether the operator is killed."""
        return self.fault in KILLS

    @property
    def phase(self) -> str:
        """While what."""
        return self.where.phase if isinstance(self.where, Write) else CONTAIN

    def __str__(self) -> str:
        """For people."""
        if isinstance(self.where, Write):
            return f"{self.where.phase}, {self.where.what}: {self.fault}"
        return f"watch on {self.where}: {self.fault}"

    def make(self, namespace: str) -> Fault:
        """The fault, to be put into a proxy."""
        if isinstance(self.where, str):
            end = f"/{self.where}"
            return STREAMS[self.fault](lambda method, path: method == WATCH and path.endswith(end))
        return {**KILLS, **FAILURES}[self.fault](self.where, namespace)


_OPENING = tuple(next(write for write in WRITES if write.phase == phase) for phase in (CONTAIN, RELEASE))
"""What concerns a whole phase, and no single write, is played once for each."""
_RESTORING = next(write for write in WRITES if (write.phase, write.what) == (RELEASE, "workload"))
KILLED = tuple(Plan(fault, write) for write in WRITES for fault in KILLS)
FAILED = tuple(Plan(fault, write) for write in WRITES for fault in FAILURES if fault != STALE or write in _OPENING)
STREAMED = tuple(Plan(fault, kind) for kind in WATCHED for fault in STREAMS)
EVERY_TIME = (
    *(p for p in KILLED if p.where == _RESTORING and p.fault == "killed when it was answered"),
    *(p for p in FAILED if p.fault in ("answer lost", STALE)),
    *(p for p in STREAMED if p.fault == "410 Gone, five times" and p.where == "aiincidents"),
)
"""What is part of every run of the tests; the rest takes long."""
