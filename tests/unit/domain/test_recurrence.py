"""An incident has come back if one of its alerts belonged to another that ended in the window before it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lazaretto.api import AIIncident
from lazaretto.domain.recurrence import WINDOW, recurred
from lazaretto.domain.timeline import Fact, Timeline, record
from tests.unit.domain.objects import alert, at, incident

SAME, OTHER = "a" * 16, "b" * 16


def ended(name: str, fingerprint: str, *, before: timedelta, drill: bool = False, verb: str = "") -> AIIncident:
    """An incident that ended so long before the one that is looked at."""
    facts = [Fact("decision:1", verb, "alice: nothing was wrong")] if verb else []
    told = record(Timeline(), facts, now=at(0))
    closed = (NOW.metadata.creation_timestamp or at(0)) - before
    found = incident(name, alerts=[alert(fingerprint)], drill=drill)
    times = found.status.times.model_copy(update={"closed_at": closed})
    status = found.status.model_copy(update={"times": times, "timeline": list(told.entries)})
    return found.model_copy(update={"status": status})


NOW = incident("chat-9", alerts=[alert(SAME)])


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (ended("chat-1", SAME, before=timedelta(hours=1)), True),
        (ended("chat-1", SAME, before=WINDOW), True),
        (ended("chat-1", SAME, before=WINDOW + timedelta(seconds=1)), False),
        (ended("chat-1", SAME, before=timedelta(hours=-1)), False),
        (ended("chat-1", OTHER, before=timedelta(hours=1)), False),
        (ended("chat-1", SAME, before=timedelta(hours=1), drill=True), False),
        (ended("chat-1", SAME, before=timedelta(hours=1), verb="FalsePositive"), False),
        (ended("chat-1", SAME, before=timedelta(hours=1), verb="Close"), True),
        (incident("chat-1", alerts=[alert(SAME)]), False),
        (NOW, False),
    ],
    ids=[
        *("just before", "at the end of the window", "too long ago", "ended later", "another alert"),
        *("an exercise", "a false positive", "closed by a person", "still open", "itself"),
    ],
)
def test_it_recurred_when_the_other_is(other: AIIncident, expected: bool) -> None:
    assert recurred(NOW, others=[other, NOW]) is expected


def test_an_incident_without_alerts_never_recurs() -> None:
    assert not recurred(incident("chat-9"), others=[ended("chat-1", SAME, before=timedelta(hours=1))])
