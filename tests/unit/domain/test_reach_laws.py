"""What holds of every way to a known-good workload, whatever is seen on it and in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api.containment import Hold
from lazaretto.api.reach import Reach, ReachRule
from lazaretto.domain.demands import demand_of
from lazaretto.domain.reach import Facts, advance, arrive, begin, late, may_serve, unfinished
from lazaretto.domain.scene import Bounds
from tests.unit.domain.objects import workload

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
GOOD = replace(workload("good"), replicas=0, ready=0, available=False, identity="a" * 64)
BAD = replace(workload("bad"), replicas=3)

plans = st.sampled_from(("Auto", "WarmThenShift", "CutThenFree"))
severities = st.sampled_from(("SEV1", "SEV2", "SEV3", "SEV4", "SEV5"))
# Mostly nothing is wrong: each of these ends a warm-up by itself, and its end is what most laws are about.
texts = st.sampled_from(("", "", "", "", "", "", "something"))
seen_severities = st.sampled_from(("SEV3", "SEV3", "SEV3", "SEV4", "SEV5", "SEV2", "SEV1"))
seen = st.builds(
    Facts,
    now=st.integers(0, 90).map(lambda s: NOON + timedelta(seconds=s)),
    severity=seen_severities,
    lost=texts,
    ready=st.integers(0, 4),
    compromised_pods=st.none() | st.integers(0, 2),
    shortage=texts,
    trouble=texts,
    beside=texts,
)
looks = st.lists(st.tuples(seen, st.booleans()), min_size=1, max_size=12)
LAW = settings(deadline=None, max_examples=400)


def begun(plan: Any, severity: Any, *, isolates: bool = False, stops: bool = True) -> Reach:
    rule = ReachRule(plan=plan, deadline="1m")
    found = begin(rule, good=GOOD, bad=[BAD], severity=severity, isolates=isolates, stops=stops, now=NOON)
    assert found is not None
    return found


def hold(reach: Reach) -> Hold:
    good = {"revision": "good-1", "workload": GOOD.identified}
    body = {"incident": "m-1", "incidentUID": "u", "compromised": [BAD.condemned()], "knownGood": good, "since": NOON}
    return Hold.model_validate({**body, "reach": reach})


@LAW
@given(plans, severities, st.booleans(), st.booleans(), looks)
def test_what_was_cut_is_never_uncut_and_nothing_serves_that_was_not_ready(
    plan: Any, severity: Any, isolates: bool, stops: bool, story: list[tuple[Facts, bool]]
) -> None:
    reach = begun(plan, severity, isolates=isolates, stops=stops)
    for facts, moved in story:
        before = reach
        reach = advance(before, facts, stops=stops)
        if before.cut_at is not None:
            assert (reach.cut_at, reach.cut_because) == (before.cut_at, before.cut_because)
        if may_serve(reach) and not may_serve(before):
            assert facts.ready >= (reach.needed if reach.cut_at is None else 1)
            assert not facts.lost
        assert may_serve(reach) or not may_serve(before)
        # To look again changes nothing that would not have been so at once.
        again = advance(reach, facts, stops=stops)
        assert again.cut_at == reach.cut_at or before.phase == "Warming"
        reach = arrive(reach, moved=moved, now=facts.now)
        demand = demand_of([hold(reach)], workloads=[GOOD, BAD])
        serves_on = not demand.shift
        assert serves_on == (reach.phase == "Warming")
        assert not (serves_on and reach.cut_at is not None)
        assert demand.known_good is None or may_serve(reach)
        assert bool(demand.scale_to_zero) != bool(demand.tolerated)
        assert not (reach.lost and demand.raised)


@given(plans, severities, looks)
def test_a_compromised_workload_is_never_raised_and_never_serves(
    plan: Any, severity: Any, story: list[tuple[Facts, bool]]
) -> None:
    reach = begun(plan, severity)
    other = Hold.model_validate(
        {"incident": "m-2", "incidentUID": "v", "compromised": [GOOD.condemned()], "since": NOON}
    )
    for facts, moved in story:
        reach = arrive(advance(reach, facts, stops=True), moved=moved, now=facts.now)
        demand = demand_of([hold(reach), other], workloads=[GOOD, BAD])
        assert not demand.raised
        assert demand.known_good is None
        assert GOOD in demand.scale_to_zero


@given(plans, severities, looks)
def test_severe_ones_never_serve_on(plan: Any, severity: Any, story: list[tuple[Facts, bool]]) -> None:
    reach = begun(plan, severity)
    severe = {"SEV1"} if plan == "WarmThenShift" else {"SEV1", "SEV2"}
    assert (reach.cut_at is not None) == (severity in severe or plan == "CutThenFree")
    for facts, _ in story:
        reach = advance(reach, facts, stops=True)
        assert reach.phase != "Warming" or facts.severity not in severe
        overdue = facts.now >= reach.until
        assert reach.phase != "Warming" or not overdue or facts.ready >= reach.needed


@given(plans, severities, st.integers(0, 20), st.integers(1, 20), st.integers(0, 30))
def test_it_is_raised_within_what_its_autoscaler_allows(
    plan: Any, severity: Any, least: int, more: int, bad: int
) -> None:
    good = replace(GOOD, scaled=Bounds(least, least + more))
    rule = ReachRule(plan=plan)
    wanted = [replace(BAD, replicas=bad)]
    found = begin(rule, good=good, bad=wanted, severity=severity, isolates=False, stops=True, now=NOON)
    assert found is not None
    assert max(1, least) <= found.replicas <= least + more
    assert found.needed <= found.replicas


def test_nothing_is_begun_where_one_is_ready_or_the_policy_wants_nothing() -> None:
    ready = replace(GOOD, replicas=1, ready=1, available=True)
    for good, plan in ((ready, "Auto"), (GOOD, "RunningOnly")):
        rule = ReachRule.model_validate({"plan": plan})
        assert begin(rule, good=good, bad=[BAD], severity="SEV1", isolates=False, stops=True, now=NOON) is None
    assert not unfinished(None)


def test_a_cut_is_late_at_its_own_deadline_and_serves_all_the_same_when_it_is_ready_after_all() -> None:
    reach = begun("Auto", "SEV3")
    reach = advance(reach, Facts(NOON + timedelta(seconds=60), "SEV3"), stops=True)
    assert (reach.phase, reach.cut_because) == ("Freeing", "the warm-up was not ready in time")
    assert not late(reach, now=NOON + timedelta(seconds=119))
    after = NOON + timedelta(seconds=120)
    assert late(reach, now=after)
    reach = advance(reach, Facts(after, "SEV3", compromised_pods=0), stops=True)
    reach = advance(reach, Facts(after, "SEV3", ready=1), stops=True)
    assert (reach.phase, late(reach, now=after)) == ("Shifting", False)


def test_a_patient_policy_waits_for_room_and_one_that_is_not_does_not() -> None:
    short = Facts(NOON, "SEV3", shortage="Insufficient nvidia.com/gpu")
    assert advance(begun("WarmThenShift", "SEV3"), short, stops=True).phase == "Warming"
    cut = advance(begun("Auto", "SEV3"), short, stops=True)
    assert (cut.phase, cut.cut_because) == ("Freeing", "Insufficient nvidia.com/gpu")
