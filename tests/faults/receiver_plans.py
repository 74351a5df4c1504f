"""Which of the receiver's writes go wrong, and how; and what its sender tells it on the way.

A story has four notifications about one group of alerts, as an Alertmanager sends them: each names every alert of the
group, and each has one thing in it that is news. So each makes the receiver write once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.cluster.receiver_stories import webhook_payload
from tests.faults.faults import Fault
from tests.faults.plans import FAILURES, KILLS, STALE, TWICE, Write

CHAT = "chat"
PHASE = "receiver"
CREATION = Write(PHASE, "creation", "POST", "/aiincidents")
ANOTHER, AGAIN, RESOLVED = (
    Write(PHASE, what, "PATCH", f"/aiincidents/{CHAT}-1")
    for what in ("another alert", "an alert that fires again", "an alert that resolves")
)
RECEIVER_WRITES = (CREATION, ANOTHER, AGAIN, RESOLVED)
Stored = Mapping[str, tuple[int, bool]]
"""Of each alert by name: how often it began to fire, and whether it has resolved."""
STORED: Mapping[Write, Stored] = {
    CREATION: {"A": (1, False)},
    ANOTHER: {"A": (1, False), "B": (1, False)},
    AGAIN: {"A": (2, False), "B": (1, False)},
    RESOLVED: {"A": (2, False), "B": (1, True)},
}
"""What has to be stored once a notification was answered by 2xx, and however often it was sent."""


def notification(news: Write, *, namespace: str, model: str, began: datetime) -> Any:
    """What the sender posts; `began` is when the first alert did."""
    second, third, fourth = (began + timedelta(seconds=number) for number in (1, 2, 3))
    first_a, again_a, b = ("A", began, None), ("A", third, None), ("B", second, None)
    told = {
        CREATION: (first_a,),
        ANOTHER: (first_a, b),
        AGAIN: (again_a, b),
        RESOLVED: (again_a, ("B", second, fourth)),
    }[news]
    return webhook_payload(*(_alert(namespace, model, *each) for each in told))


def _alert(namespace: str, model: str, name: str, began: datetime, ended: datetime | None) -> dict[str, Any]:
    labels = {"alertname": name, "namespace": namespace, "ai_model": model, "ai_category": "DataLeakage"}
    end = {"status": "resolved", "endsAt": ended.isoformat()} if ended else {}
    return {"labels": labels, "annotations": {"summary": "it leaks"}, "startsAt": began.isoformat(), **end}


@dataclass(frozen=True, slots=True)
class ReceiverPlan:
    """One fault, and the write that it strikes."""

    fault: str
    where: Write
    told_twice: bool = False
    """A second receiver, of which nothing goes wrong, is told the same while the first one's write does."""

    @property
    def kills(self) -> bool:
        """Whether the receiver is killed."""
        return self.fault in KILLS

    @property
    def place(self) -> str:
        """Where it strikes."""
        return f"{self.where.what}, told to two" if self.told_twice else self.where.what

    def __str__(self) -> str:
        """For people."""
        return f"receiver, {self.place}: {self.fault}"

    def make(self, namespace: str) -> Fault:
        """The fault, to be put into a proxy."""
        return {**KILLS, **FAILURES}[self.fault](self.where, namespace)


_PLACES = (*((write, False) for write in RECEIVER_WRITES), (CREATION, True), (ANOTHER, True))
# A receiver reads no list from the API server's cache. One that starts writes nothing by itself, so that a second kill
# is like the first.
RECEIVER_KILLED = tuple(ReceiverPlan(fault, *place) for place in _PLACES for fault in KILLS if fault != TWICE)
RECEIVER_FAILED = tuple(ReceiverPlan(fault, *place) for place in _PLACES for fault in FAILURES if fault != STALE)
RECEIVER_EVERY_TIME = (
    *(p for p in RECEIVER_FAILED if p.told_twice and p.fault == "answer lost"),
    *(p for p in RECEIVER_FAILED if p.where == RESOLVED and p.fault in ("409 Conflict", "422 Invalid")),
    *(p for p in RECEIVER_KILLED if p == ReceiverPlan("killed before a write arrives", ANOTHER)),
)
"""What is part of every run of the tests."""
