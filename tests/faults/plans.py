"""Which requests go wrong, and how: every write of a containment and of its release, and every kind of watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

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
    Matches,
    Refused,
    Stale,
    frame,
)
from tests.faults.watch_faults import Disturbed, Doubled, Ended, Lost, WatchFault

CONTAIN, RELEASE = "contain", "release"
_NTH = ("", ", the second", ", the third")


@dataclass(frozen=True, slots=True)
class Write:
    """One of the operator's writes in a namespace."""

    phase: str
    what: str
    method: str
    end: str
    """Of the path; `*` stands for a name that is made up."""
    nth: int = 1
    """Which one, where there are several in the phase."""

    @property
    def said(self) -> str:
        """For people."""
        return f"{self.what}{_NTH[self.nth - 1]}"

    def matches(self, namespace: str) -> Matches:
        """Whether a request is of this kind, whichever it is."""
        return lambda method, path: method == self.method and fnmatchcase(path, f"*/namespaces/{namespace}{self.end}")


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
    Write(RELEASE, "status of the journal", "PATCH", f"/containments/{MODEL}/status"),
    Write(RELEASE, "removal of the journal", "DELETE", f"/containments/{MODEL}"),
)


def _the(phase: str, what: str) -> Write:
    return next(write for write in WRITES if (write.phase, write.what) == (phase, what))


LATER = tuple(
    replace(_the(phase, what), nth=nth)
    for phase, what, nth in (
        (CONTAIN, "status of the incident", 2),
        (CONTAIN, "status of the journal", 2),
        (RELEASE, "status of the incident", 2),
        (RELEASE, "status of the incident", 3),
    )
)
"""Those that every story has. The last ones of an incident say how far the release has come, and are alike."""
SURVEYED = tuple(
    Write(phase, what, "PATCH", end)
    for phase in (CONTAIN, RELEASE)
    for what, end in (
        ("status of the model", f"/protectedmodels/{MODEL}/status"),
        ("status of the revision", f"/modelrevisions/{MODEL}-*/status"),
    )
)
"""No part of a containment, but of the looks at the model that go on meanwhile."""


def writes_to(namespace: str) -> Matches:
    """Whether a request is any write in the namespace."""
    return lambda method, path: method not in ("GET", CACHED, WATCH) and f"/namespaces/{namespace}/" in path


Made = Callable[[Write, str], Fault]
"""From the write that goes wrong, and the namespace."""
TWICE = "killed before a write arrives, and before the next one"
STALE = "cached lists stale for 5 s"

KILLS: Mapping[str, Made] = {
    "killed before a write arrives": lambda write, ns: Held(write.matches(ns), nth=write.nth),
    "killed when it was carried out, unanswered": lambda write, ns: Held(
        write.matches(ns), nth=write.nth, answered=True
    ),
    "killed when it was answered": lambda write, ns: HeldAfterwards(
        write.matches(ns), nth=write.nth, writes=writes_to(ns)
    ),
    TWICE: lambda write, ns: Held(write.matches(ns), nth=write.nth),
}
FAILURES: Mapping[str, Made] = {
    "409 Conflict": lambda write, ns: Refused(write.matches(ns), nth=write.nth, status=409, reason="Conflict"),
    "409 Conflict, eight times": lambda write, ns: Refused(
        write.matches(ns), nth=write.nth, status=409, reason="Conflict", times=8
    ),
    "422 Invalid": lambda write, ns: Refused(write.matches(ns), nth=write.nth, status=422, reason="Invalid"),
    "403 Forbidden": lambda write, ns: Refused(write.matches(ns), nth=write.nth, status=403, reason="Forbidden"),
    "429, Retry-After 1 s": lambda write, ns: Refused(
        write.matches(ns), nth=write.nth, status=429, reason="TooManyRequests", retry_after=1
    ),
    "500": lambda write, ns: Refused(write.matches(ns), nth=write.nth, status=500, reason="InternalError"),
    "503, eight times": lambda write, ns: Refused(
        write.matches(ns), nth=write.nth, status=503, reason="ServiceUnavailable", times=8
    ),
    "connection cut": lambda write, ns: Cut(write.matches(ns), nth=write.nth, carried_out=False),
    "answer lost": lambda write, ns: Cut(write.matches(ns), nth=write.nth, carried_out=True),
    "1.5 s late": lambda write, ns: Late(write.matches(ns), nth=write.nth, seconds=1.5),
    STALE: lambda write, ns: Stale(lambda method, path: method == CACHED and f"/namespaces/{ns}/" in path, seconds=5),
    "black hole": lambda write, ns: Late(write.matches(ns), nth=write.nth, seconds=HELD_SECONDS),
}


FEW = ("killed when it was carried out, unanswered", "409 Conflict", "answer lost")
"""What befalls the writes that are like others."""
_GONE = frame("ERROR", kind="Status", code=410, reason="Expired", message="too old resource version")
_BROKEN = frame("ERROR", kind="Status", code=500, reason="InternalError", message="made up")
_UNKNOWN = frame("NEWS", kind="Spaceship")
STREAMS: Mapping[str, Callable[[Matches, str], WatchFault]] = {
    "410 Gone, five times": lambda matches, ns: Ended(matches, error=_GONE, times=5),
    "500 as an event, five times": lambda matches, ns: Ended(matches, error=_BROKEN, times=5),
    "an event that is no JSON": lambda matches, ns: Disturbed(
        matches, namespace=ns, change=lambda line: (b"{no json\n",), ends=True
    ),
    "an event of unknown type": lambda matches, ns: Disturbed(matches, namespace=ns, change=lambda line: (_UNKNOWN,)),
    "an event cut short": lambda matches, ns: Disturbed(
        matches, namespace=ns, change=lambda line: (line[: len(line) // 2],), ends=True
    ),
    "every event twice": lambda matches, ns: Doubled(matches, namespace=ns),
    "the first event lost": lambda matches, ns: Lost(matches, namespace=ns),
}
"""From the watch, and the namespace of the model. The event is the one that the phase begins with."""
WATCHED = {"aiincidents": CONTAIN, "incidentdecisions": RELEASE}
"""Kinds that are watched, and what begins when the watch tells of one."""


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
        return self.where.phase if isinstance(self.where, Write) else WATCHED[self.where]

    def __str__(self) -> str:
        """For people."""
        if isinstance(self.where, Write):
            return f"{self.where.phase}, {self.where.said}: {self.fault}"
        return f"watch on {self.where}: {self.fault}"

    def make(self, namespace: str) -> Fault:
        """The fault, to be put into a proxy."""
        if isinstance(self.where, str):
            end = f"/{self.where}"
            return STREAMS[self.fault](lambda method, path: method == WATCH and path.endswith(end), namespace)
        return {**KILLS, **FAILURES}[self.fault](self.where, namespace)


_OPENING = (_the(CONTAIN, "journal"), _the(RELEASE, "journal"))
"""What concerns a whole phase, and no single write, is played once for each."""
_RESTORING = _the(RELEASE, "workload")
_LIKE_OTHERS = tuple((write, fault) for write in (*LATER, *SURVEYED) for fault in FEW)
KILLED = (
    *(Plan(fault, write) for write in WRITES for fault in KILLS),
    *(Plan(fault, write) for write, fault in _LIKE_OTHERS if fault in KILLS),
)
FAILED = (
    *(Plan(fault, write) for write in WRITES for fault in FAILURES if fault != STALE or write in _OPENING),
    *(Plan(fault, write) for write, fault in _LIKE_OTHERS if fault in FAILURES),
)
STREAMED = tuple(Plan(fault, kind) for kind in WATCHED for fault in STREAMS)
EVERY_TIME = (
    *(p for p in KILLED if p.where == _RESTORING and p.fault == "killed when it was answered"),
    *(p for p in FAILED if p.fault in ("answer lost", STALE) and p.where not in SURVEYED),
    *(p for p in STREAMED if p.fault == "410 Gone, five times" and p.where == "aiincidents"),
)
"""What is part of every run of the tests; the rest takes long."""
