"""A template rolled back in place: where it may be, and what a hold demands of the workload before and after."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api.containment import Hold, Rollback
from lazaretto.api.modelrevision import RecordedTemplate
from lazaretto.api.reach import ReachRule
from lazaretto.api.responsepolicy import Actions
from lazaretto.domain.demands import demand_of
from lazaretto.domain.rollback import late, redeemed, rolls_back, undone, unfit
from lazaretto.domain.scene import Workload
from tests.unit.domain.objects import at, hold, incident, model, policy, revision, workload

RAN_BAD = workload("chat", runs="bad")
RUNS_GOOD = workload("chat", runs="good")
REPAIRED = workload("chat", runs="repaired")
FIRST, SECOND = incident("chat-1"), incident("chat-2")


def rollback(*, hour: float | None = 2) -> Rollback:
    done = at(hour) if hour is not None else None
    return Rollback(workload=RAN_BAD.identified, revision="good", identity=RUNS_GOOD.identity, done_at=done)


def rolling(**more: Any) -> Hold:
    return hold(FIRST, [RAN_BAD], rollback=rollback(**more))


def may(*, right: bool = True, **reach: Any) -> bool:
    known = model()
    known = known.model_copy(update={"status": known.status.model_copy(update={"may_roll_back": right})})
    actions = Actions(**reach.pop("actions", {}))
    return rolls_back(policy(reach=ReachRule(**reach), actions=actions), model=known)


def test_it_takes_the_policy_and_the_right() -> None:
    assert may(rollback=True)
    assert not may()
    assert not may(rollback=True, right=False)


@pytest.mark.parametrize("actions", [{"scale_to_zero": False}, {"shift_traffic": False}, {"isolate": True}])
def test_what_is_not_stopped_or_stays_cut_off_is_not_rolled_back(actions: dict[str, bool]) -> None:
    assert not may(rollback=True, actions=actions)


def test_only_what_one_workload_ran_before_fits_it() -> None:
    recorded = RecordedTemplate(kind="Deployment", name="chat", template="{}")
    good = revision("good")
    known = good.model_copy(update={"status": good.status.model_copy(update={"recorded": recorded})})
    assert unfit(known, compromised=[RAN_BAD]) == ""
    assert "more than one" in unfit(known, compromised=[RAN_BAD, workload("other")])
    assert "is not what Deployment/other ran before" in unfit(known, compromised=[workload("other")])
    assert unfit(good, compromised=[RAN_BAD])


def test_before_it_is_done_it_is_held_like_any_other() -> None:
    found = redeemed(rolling(hour=None), workloads=[RUNS_GOOD])
    assert found == rolling(hour=None)
    assert demand_of([found], workloads=[RUNS_GOOD]).scale_to_zero == (RUNS_GOOD,)


def test_once_it_runs_what_was_recorded_nothing_is_demanded_of_it() -> None:
    found = redeemed(rolling(), workloads=[RUNS_GOOD])
    assert found.known_good is not None
    assert found.known_good.revision == "good"
    assert found.condemned == []
    demand = demand_of([found], workloads=[RUNS_GOOD])
    assert (demand.compromised, demand.scale_to_zero, demand.rolled_back) == ((), (), (RUNS_GOOD,))
    assert demand.known_good == RUNS_GOOD
    assert not undone(found)


@pytest.mark.parametrize("now", [RAN_BAD, REPAIRED])
def test_whatever_else_it_runs_it_is_held_again(now: Workload) -> None:
    before = redeemed(rolling(), workloads=[RUNS_GOOD])
    # Before any pass has written that down: what it is counts, not what the journal says.
    assert demand_of([before], workloads=[now]).scale_to_zero == (now,)
    after = redeemed(before, workloads=[now])
    assert undone(after)
    assert after.known_good is None
    assert demand_of([after], workloads=[now]).scale_to_zero == (now,)


def test_one_that_was_made_anew_under_its_name_is_held() -> None:
    found = redeemed(rolling(), workloads=[RUNS_GOOD])
    successor = workload("chat", runs="good", uid="another")
    assert demand_of([found], workloads=[successor]).compromised == (successor,)


def test_another_hold_holds_it_all_the_same() -> None:
    holds = [redeemed(rolling(), workloads=[RUNS_GOOD]), hold(SECOND, [RUNS_GOOD], since=at(3))]
    demand = demand_of(holds, workloads=[RUNS_GOOD])
    assert (demand.scale_to_zero, demand.rolled_back, demand.known_good) == ((RUNS_GOOD,), (), None)


def test_it_has_its_time_from_when_it_was_done() -> None:
    assert not late(rollback(), now=at(2.1))
    assert late(rollback(), now=at(2.2))
    assert not late(rollback(hour=None), now=at(9))


@given(st.lists(st.sampled_from([RAN_BAD, RUNS_GOOD, REPAIRED]), max_size=6), st.booleans())
def test_whatever_comes_after_what_it_is_spared_only_as_it_was_rolled_back(seen: list[Workload], done: bool) -> None:
    found = rolling() if done else rolling(hour=None)
    for now in seen:
        found = redeemed(found, workloads=[now])
        spared = demand_of([found], workloads=[now]).scale_to_zero == ()
        assert spared == (done and now == RUNS_GOOD)
        assert bool(found.condemned) != spared
