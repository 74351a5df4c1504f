"""A standing hold grows onto whatever comes to run the revision that it holds, and onto nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api.containment import MOST_WORKLOADS, Hold
from lazaretto.domain.growth import grown
from lazaretto.domain.response import Step
from lazaretto.domain.scene import Workload
from tests.unit.domain.cases import BAD, GOOD, HOLD, INCIDENT, REVISIONS, answer, decided
from tests.unit.domain.objects import hold, workload

RECORDED = hold(INCIDENT, [BAD], known_good=GOOD, revisions=["chat-v2"])
COPY = workload("chat-copy", runs="chat-v2")
NAMES = [f"chat-{number}" for number in range(MOST_WORKLOADS + 4)]
FLEETS = st.lists(
    st.builds(workload, st.sampled_from(NAMES), runs=st.sampled_from(["chat-v1", "chat-v2", "chat-v3"])),
    unique_by=lambda w: w.name,
    max_size=len(NAMES),
)


def held(by: Hold) -> list[str]:
    return [w.name for w in by.compromised]


@pytest.mark.parametrize("standing", [RECORDED, HOLD], ids=["recorded", "not recorded"])
def test_a_copy_under_another_name_is_held_as_well(standing: Hold) -> None:
    growth = grown(standing, workloads=[BAD, GOOD, COPY], revisions=REVISIONS)
    assert held(growth.hold) == ["chat-v2", "chat-copy"]
    assert growth.hold.compromised[1].selector == COPY.selector
    assert growth.shortfall == ""
    assert growth.hold.model_copy(update={"compromised": standing.compromised}) == standing


def test_it_is_held_also_when_what_was_copied_is_gone() -> None:
    assert held(grown(RECORDED, workloads=[GOOD, COPY], revisions=REVISIONS).hold) == ["chat-v2", "chat-copy"]


def test_labels_that_the_good_pods_carry_as_well_are_no_mark_of_a_copy() -> None:
    disguised = replace(COPY, selector={"app": "chat"})
    growth = grown(RECORDED, workloads=[BAD, GOOD, disguised], revisions=REVISIONS)
    assert growth.hold.compromised[1].selector == {}


@pytest.mark.parametrize("uid", ["", "made-anew"])
def test_the_known_good_workload_is_never_held_whatever_it_runs_by_now(uid: str) -> None:
    turned = workload("chat-v1", uid=uid, runs="chat-v2")
    assert grown(RECORDED, workloads=[BAD, turned], revisions=REVISIONS).hold == RECORDED


def test_a_repair_prepared_in_a_held_workload_condemns_nobody_who_runs_it() -> None:
    repaired, elsewhere = workload("chat-v2", runs="chat-v3"), workload("chat-v3")
    assert grown(RECORDED, workloads=[repaired, GOOD, elsewhere], revisions=REVISIONS).hold == RECORDED


def test_the_good_revision_in_a_held_workload_condemns_nobody_even_if_nothing_was_recorded() -> None:
    rolled_back, second = workload("chat-v2", runs="chat-v1"), workload("chat-spare", runs="chat-v1")
    assert grown(HOLD, workloads=[rolled_back, GOOD, second], revisions=REVISIONS).hold == HOLD


def test_a_hold_that_is_released_grows_no_more() -> None:
    releasing = RECORDED.model_copy(update={"releasing": True})
    assert grown(releasing, workloads=[BAD, GOOD, COPY], revisions=REVISIONS).hold == releasing


def test_the_verdict_that_grants_a_release_takes_nothing_new() -> None:
    approvals = decided("ApproveRelease", "alice", "bob")
    verdict = answer(hold=RECORDED, workloads=[BAD, GOOD, COPY], decisions=approvals)
    assert (verdict.step, verdict.hold) == (Step.RELEASE, RECORDED)


def test_nothing_new_is_touched_while_switched_off_and_a_person_is_told() -> None:
    verdict = answer(hold=RECORDED, workloads=[BAD, GOOD, COPY], switched_off="by alice")
    assert verdict.hold is not None
    assert held(verdict.hold) == ["chat-v2"]
    assert verdict.stalled
    assert "Deployment/chat-copy (automatic action is switched off: by alice)" in verdict.message


def test_a_full_hold_says_what_it_has_no_room_for() -> None:
    copies = [workload(f"chat-{number:02}", runs="chat-v2") for number in range(MOST_WORKLOADS + 1)]
    verdict = answer(hold=RECORDED, workloads=[BAD, GOOD, *copies])
    assert verdict.hold is not None
    assert len(verdict.hold.compromised) == MOST_WORKLOADS
    assert verdict.stalled
    assert "Deployment/chat-15 and 1 more (one incident can hold 16 workloads" in verdict.message


@given(st.lists(FLEETS, max_size=4))
def test_a_hold_that_grew_step_by_step_is_as_one_computed_from_all_that_it_met(
    fleets: Sequence[Sequence[Workload]],
) -> None:
    now, met = RECORDED, dict[str, Workload]()
    for fleet in fleets:
        before, now = now, grown(now, workloads=[*fleet, GOOD], revisions=REVISIONS).hold
        assert grown(now, workloads=[*fleet, GOOD], revisions=REVISIONS).hold == now
        assert now.compromised[: len(before.compromised)] == before.compromised
        met |= {w.uid: w for w in fleet if w.identity == BAD.identity}
    wanted = {BAD.uid, *met}
    found = {w.uid for w in now.compromised}
    assert found <= wanted
    assert found == wanted or len(found) == MOST_WORKLOADS
