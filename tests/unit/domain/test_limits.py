"""A limit says its figures, stays tripped until a person resets it, and knows a model that is held already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api import AIIncident
from lazaretto.api.aiincident import IncidentSource, LimitStop
from lazaretto.api.responsepolicy import Limits, TrippedLimit
from lazaretto.domain.limits import (
    OTHERS,
    PER_SENDER,
    Beginning,
    Question,
    Reset,
    Stop,
    Usage,
    limited,
    newest_reset,
    sender_of,
    stop,
    trip_of,
    unreset,
)
from tests.unit.domain.objects import at, decision, incident

NOW = at(10)


def reported(by: str = "prod", **more: Any) -> AIIncident:
    """An incident that came through the receiver, or from a person without a sender."""
    about = incident(**more)
    source = IncidentSource(type="Alert", sender=by) if by else IncidentSource(type="Manual", sender="anybody")
    return about.model_copy(update={"spec": about.spec.model_copy(update={"source": source})})


def asked(
    limits: Limits,
    usage: Usage,
    *,
    of: AIIncident | None = None,
    severity: Any = "SEV2",
    released_at: datetime | None = None,
    now: datetime = NOW,
) -> Stop | None:
    return stop(limits, question=Question(of or reported(), "chat", severity, released_at, now), usage=usage)


def text_of(found: Stop | None) -> str:
    return found.text if found else ""


def begun(*hours: float, sender: str = "prod") -> list[Beginning]:
    return [Beginning(sender, at(hour)) for hour in hours]


def tripped(limit: str = "perHour", *, hour: float = 9, sender: str = "") -> TrippedLimit:
    return TrippedLimit(limit=limit, sender=sender, at=at(hour))


def stopped(hour: float, *, limit: str = "perHour", **more: Any) -> AIIncident:
    """An incident that a limit has stopped."""
    about = reported(**more)
    status = about.status.model_copy(update={"limited": LimitStop(limit=limit, at=at(hour))})
    return about.model_copy(update={"status": status})


ALL = Limits(concurrent_models=2, percent_of_models=50, per_hour=3, per_sender_per_hour=2, cool_down="30m")


@pytest.mark.parametrize(
    ("limits", "usage", "text"),
    [
        (Limits(), Usage(held={"a", "b"}, begun=begun(9.9, 9.9), tripped=[tripped()]), ""),
        (Limits(sev1_passes=True), Usage(tripped=[tripped()]), ""),
        (Limits(concurrent_models=2), Usage(held={"a"}), ""),
        (Limits(concurrent_models=2), Usage(held={"a", "b"}), "limit concurrentModels: 2 of 2 models are held"),
        (Limits(concurrent_models=2), Usage(held={"a", "b", "c"}), "limit concurrentModels: 3 of 2 models are held"),
        (Limits(percent_of_models=50), Usage(held={"a"}, models=4), ""),
        (
            Limits(percent_of_models=50),
            Usage(held={"a", "b"}, models=5),
            "limit percentOfModels: 2 of 5 models are held, and 50 % may be",
        ),
        (Limits(percent_of_models=1), Usage(models=5), ""),
        (
            Limits(percent_of_models=1),
            Usage(held={"a"}, models=5),
            "limit percentOfModels: 1 of 5 models are held, and 1 % may be",
        ),
        (Limits(percent_of_models=100), Usage(held={"a", "b"}, models=3), ""),
        (Limits(per_hour=2), Usage(begun=begun(9.5)), ""),
        (Limits(per_hour=2), Usage(begun=begun(8, 9, 9.5)), ""),
        (
            Limits(per_hour=2),
            Usage(begun=begun(9.01, 9.5)),
            "limit perHour: 2 containments of 2 began within an hour",
        ),
        (Limits(per_sender_per_hour=2), Usage(begun=begun(9.1, 9.2, sender="test")), ""),
        (
            Limits(per_sender_per_hour=2),
            Usage(begun=begun(9.1, 9.2)),
            "limit perSenderPerHour: 2 containments of 2 began within an hour for incidents of prod",
        ),
    ],
)
def test_what_trips_says_its_figures(limits: Limits, usage: Usage, text: str) -> None:
    found = asked(limits, usage)
    assert text_of(found) == text
    assert found is None or found.record == LimitStop(limit=text.split()[1].rstrip(":"), at=NOW)


def test_a_model_that_is_held_is_no_new_one_whatever_has_tripped() -> None:
    usage = Usage(held={"a", "b", "chat"}, models=3, begun=begun(9.1, 9.2, 9.3), tripped=[tripped()])
    assert asked(ALL, usage) is None


def test_the_most_severe_pass_where_the_policy_says_so() -> None:
    usage = Usage(held={"a", "b"}, tripped=[tripped()])
    passing = ALL.model_copy(update={"sev1_passes": True})
    assert asked(passing, usage, severity="SEV1") is None
    assert asked(passing, usage, severity="SEV2") is not None
    assert asked(ALL, usage, severity="SEV1") is not None


def test_what_has_tripped_stays_so_when_the_figures_fall_until_it_is_reset() -> None:
    fallen = Usage(tripped=[tripped(hour=9)])
    found = asked(ALL, fallen)
    assert text_of(found) == "limit perHour tripped at 2026-01-02T09:00:00Z and was not reset"
    assert found is not None
    assert found.record == LimitStop(limit="", at=NOW)
    for hour, stops in ((8, True), (9, False), (9.5, False)):
        reset = Reset(at(hour), "alice", "Contain")
        assert (asked(ALL, Usage(tripped=[tripped(hour=9)], reset=reset)) is not None) is stops


def test_a_flood_of_one_sender_stops_that_sender_alone() -> None:
    usage = Usage(begun=begun(9.1, 9.2, sender="test"), tripped=[tripped(PER_SENDER, sender="test")])
    assert asked(Limits(per_sender_per_hour=2), usage, of=reported("prod")) is None
    assert text_of(asked(Limits(per_sender_per_hour=2), usage, of=reported("test"))).startswith("limit perSender")


def test_whatever_did_not_come_through_the_receiver_counts_for_one_sender() -> None:
    assert {sender_of(reported("", name=name)) for name in ("a", "b")} == {OTHERS}
    usage = Usage(begun=begun(9.1, 9.2, sender=OTHERS))
    assert asked(Limits(per_sender_per_hour=2), usage, of=reported("")) is not None
    assert asked(Limits(per_sender_per_hour=2), usage) is None


def test_the_backlog_is_left_or_decided_again_as_the_person_said() -> None:
    left = Usage(reset=Reset(at(9), "alice", "Leave"))
    found = asked(ALL, left, of=stopped(8))
    assert text_of(found) == "alice left what limits had stopped to single approvals"
    assert found is not None
    assert found.record == LimitStop(limit="perHour", at=at(8))
    assert asked(ALL, left) is None
    assert asked(ALL, left, of=stopped(9.5)) is None
    assert asked(ALL, Usage(reset=Reset(at(9), "alice", "Contain")), of=stopped(8)) is None


def test_a_stop_keeps_its_moment_until_it_is_reset_and_reached_again() -> None:
    full = Usage(held={"a", "b"})
    before = stopped(8, limit="concurrentModels")
    assert getattr(asked(ALL, full, of=before), "record", None) == before.status.limited
    again = asked(ALL, Usage(held={"a", "b"}, reset=Reset(at(9), "alice", "Contain")), of=before)
    assert getattr(again, "record", None) == LimitStop(limit="concurrentModels", at=NOW)


def test_what_trips_after_a_reset_is_dated_after_it_whatever_our_clock_says() -> None:
    ahead = Reset(at(11), "alice", "Contain")
    record = getattr(asked(ALL, Usage(held={"a", "b"}, reset=ahead)), "record", None)
    assert record is not None
    assert unreset([tripped(hour=8).model_copy(update={"at": record.at})], reset=ahead)


@pytest.mark.parametrize(("hours_ago", "stops"), [(0.1, True), (0.49, True), (0.5, False), (3, False)])
def test_a_model_that_was_released_lately_is_asked_about_and_trips_nothing(hours_ago: float, stops: bool) -> None:
    found = asked(Limits(cool_down="30m"), Usage(), released_at=at(10 - hours_ago))
    assert (found is not None) is stops
    assert found is None or found.record is None
    assert asked(Limits(cool_down="30m"), Usage()) is None


def test_what_an_incident_says_has_tripped() -> None:
    assert trip_of(reported()) is None
    assert trip_of(stopped(8)) == tripped(hour=8)
    assert trip_of(stopped(8, limit=PER_SENDER)) == tripped(PER_SENDER, hour=8, sender="prod")
    assert trip_of(stopped(8, limit="")) is None
    over = stopped(8)
    times = over.status.times.model_copy(update={"closed_at": at(9)})
    assert trip_of(over.model_copy(update={"status": over.status.model_copy(update={"times": times})})) is None


def test_only_the_newest_reset_counts_and_nothing_else_is_one() -> None:
    decisions = [
        decision("ResetLimits", "alice", created=at(3), backlog="Contain"),
        decision("ResetLimits", "bob", created=at(5), backlog="Leave"),
        decision("ApproveContainment", "carol", created=at(7)),
    ]
    assert newest_reset(decisions) == Reset(at(5), "bob", "Leave")
    assert newest_reset(decisions[2:]) is None


def test_limits_that_say_nothing_limit_nothing() -> None:
    assert not limited(Limits())
    assert not limited(Limits(sev1_passes=True))
    assert limited(Limits(cool_down="1m"))


HOURS = st.floats(0, 10, allow_nan=False)
SENDERS = st.sampled_from(["prod", "test"])
TRIPS = st.lists(st.builds(tripped, hour=HOURS, sender=st.sampled_from(["", "prod", "test"])), max_size=4)
USAGES = st.builds(
    Usage,
    held=st.sets(st.sampled_from("abcd"), max_size=4),
    models=st.integers(0, 6),
    begun=st.lists(st.builds(lambda s, h: Beginning(s, at(h)), SENDERS, HOURS), max_size=6),
    tripped=TRIPS,
    reset=st.none() | st.builds(lambda h, b: Reset(at(h), "alice", b), HOURS, st.sampled_from(["Contain", "Leave"])),
)
LIMITS = st.builds(
    Limits,
    concurrent_models=st.none() | st.integers(1, 4),
    percent_of_models=st.none() | st.integers(1, 100),
    per_hour=st.none() | st.integers(1, 4),
    per_sender_per_hour=st.none() | st.integers(1, 4),
)


@given(LIMITS, USAGES, SENDERS)
def test_whoever_is_let_through_finds_every_limit_unreached_and_nothing_tripped(
    limits: Limits, usage: Usage, sender: str
) -> None:
    found = asked(limits, usage, of=reported(sender))
    if found is not None:
        assert found.text
        return
    assert limits.concurrent_models is None or len(usage.held) < limits.concurrent_models
    recent = [b for b in usage.begun if (NOW - b.at).total_seconds() < 3600]
    assert limits.per_hour is None or len(recent) < limits.per_hour
    mine = [b for b in recent if b.sender == sender]
    assert limits.per_sender_per_hour is None or len(mine) < limits.per_sender_per_hour
    assert not limited(limits) or not _stopping(usage.tripped, sender=sender, reset=usage.reset)


def _stopping(trips: Sequence[TrippedLimit], *, sender: str, reset: Reset | None) -> list[TrippedLimit]:
    return [t for t in unreset(trips, reset=reset) if t.sender in ("", sender)]


@given(LIMITS, USAGES, SENDERS, TRIPS, st.sets(st.sampled_from("efgh"), max_size=3))
def test_more_use_and_more_trips_never_let_anybody_through(
    limits: Limits, usage: Usage, sender: str, trips: list[TrippedLimit], held: set[str]
) -> None:
    more = Usage(
        held={*usage.held, *held},
        models=usage.models,
        begun=[*usage.begun, Beginning(sender, NOW)],
        tripped=[*usage.tripped, *trips],
        reset=usage.reset,
    )
    if asked(limits, usage, of=reported(sender)) is not None:
        assert asked(limits, more, of=reported(sender)) is not None
