"""All open incidents of a model are decided at once, and no hold is lost on the way."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api import AIIncident, IncidentDecision
from lazaretto.api.containment import Hold
from lazaretto.domain.response import Step
from lazaretto.engine.triage import Known, Triage, triage
from tests.unit.domain.objects import (
    MODEL,
    NAMESPACE,
    at,
    containment,
    decision,
    hold,
    incident,
    model,
    policy,
    revision,
    workload,
)

GOOD, BAD, THIRD = workload("v1"), workload("v2"), workload("v3")
ENDED = {"times": {"closedAt": "2026-01-02T09:00:00Z"}}
RELEASED = {"times": {"closedAt": "2026-01-02T09:00:00Z", "releasedAt": "2026-01-02T09:00:00Z"}}


def known(
    incidents: Sequence[AIIncident], *, holds: Sequence[Hold] | None = None, decisions: Sequence[IncidentDecision] = ()
) -> Known:
    policies = [policy(mode="Automatic", on_no_known_good="Zero")]
    revisions = [revision("v1", attested_by="ci"), revision("v2"), revision("v3", attested_by="ci")]
    journal = containment(*holds) if holds is not None else None
    return Known(NAMESPACE, MODEL, model(), incidents, decisions, policies, revisions, journal)


def decided(of: Known, *, workloads: Sequence[Any] = (GOOD, BAD), denied: Sequence[str] = ()) -> Triage:
    return triage(of, workloads=workloads, denied=denied, now=at(12))


def holders(found: Triage) -> dict[str, list[str]]:
    return {h.incident: [w.name for w in h.compromised] for h in found.holds}


def as_before(after: Hold, before: Hold) -> bool:
    """The same hold, perhaps being released, and perhaps on stricter terms."""
    laxer = after.approvals < before.approvals or after.requester_may_approve > before.requester_may_approve
    terms = {name: getattr(before, name) for name in ("approvals", "requester_may_approve", "approvals_expire")}
    return not laxer and after.model_copy(update={"releasing": False, **terms}) == before


def released(of: AIIncident) -> list[IncidentDecision]:
    return [decision("ApproveRelease", user, of=of, name=f"{of.metadata.name}-{user}") for user in ("alice", "bob")]


def test_each_open_incident_has_a_verdict_and_those_that_contain_a_hold() -> None:
    one, other = incident("chat-1", revision="v2"), incident("chat-2", revision="v3")
    found = decided(known([one, other, incident("chat-3", status=ENDED)]), workloads=[GOOD, BAD, THIRD])
    assert {uid: v.step for uid, v in found.verdicts.items()} == {
        one.metadata.uid: Step.CONTAIN,
        other.metadata.uid: Step.CONTAIN,
    }
    assert holders(found) == {"chat-1": ["v2"], "chat-2": ["v3"]}
    assert [h.known_good.workload.name for h in found.holds if h.known_good] == ["v1", "v1"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_they_are_taken_in_the_order_in_which_they_were_stored(order: tuple[int, ...]) -> None:
    ages = [incident("chat-9", created=at(1)), incident("chat-0", created=at(2)), incident("chat-1", created=at(2))]
    found = decided(known([ages[place] for place in order]))
    assert list(found.verdicts) == [i.metadata.uid for i in ages]


def test_what_another_incident_holds_serves_for_nobody() -> None:
    first, second = incident("chat-1"), incident("chat-2", created=at(2))
    found = decided(known([first, second], holds=[hold(first, [GOOD], revisions=["v1"])]))
    assert holders(found) == {"chat-1": ["v1"], "chat-2": ["v1", "v2"]}
    assert found.verdicts[second.metadata.uid].hold == found.holds[1]
    assert found.holds[1].known_good is None


def test_what_another_open_incident_names_serves_for_nobody() -> None:
    naming = incident("chat-2", revision="v1", created=at(2))
    found = decided(known([incident("chat-1", revision="v2", created=at(1)), naming]))
    first = next(h for h in found.holds if h.incident == "chat-1")
    assert first.known_good is None, "the second incident was stored before this was decided"
    ended = incident("chat-2", revision="v1", status=ENDED)
    found = decided(known([incident("chat-1", revision="v2"), ended]))
    assert [h.known_good.revision for h in found.holds if h.known_good] == ["v1"]


def test_a_release_that_was_granted_marks_the_hold_and_leaves_the_others() -> None:
    one, other = incident("chat-1"), incident("chat-2")
    holds = [hold(one, [BAD], known_good=GOOD), hold(other, [BAD], known_good=GOOD)]
    found = decided(known([one, other], holds=holds, decisions=released(one)))
    assert {h.incident: h.releasing for h in found.holds} == {"chat-1": True, "chat-2": False}
    for after, before in zip(found.holds, holds, strict=True):
        assert as_before(after, before)


def test_a_hold_that_is_being_released_no_longer_keeps_its_workload_from_serving() -> None:
    one, other = incident("chat-1"), incident("chat-2", revision="v2", created=at(1))
    holds = [hold(one, [GOOD], revisions=["v1"], releasing=True)]
    found = decided(known([one, other], holds=holds, decisions=released(one)))
    placed = found.verdicts[other.metadata.uid].hold
    assert placed is not None
    assert placed.known_good is not None
    assert placed.known_good.revision == "v1"


def test_an_incident_that_has_ended_stays_until_its_hold_is_gone() -> None:
    one = incident("chat-1", status=RELEASED)
    releasing = hold(one, [BAD], releasing=True)
    of = known([one], holds=[releasing])
    assert of.open_incidents == [one]
    assert of.hold_of(one) == releasing
    assert decided(of).holds == (releasing,)
    assert known([one], holds=[]).open_incidents == []


def test_what_may_not_be_read_is_known_to_each_verdict() -> None:
    one = incident("chat-1")
    found = decided(known([one]), workloads=[], denied=["may not read deployments"])
    verdict = found.verdicts[one.metadata.uid]
    assert (verdict.step, verdict.message, verdict.stalled) == (Step.RECORD, "may not read deployments", True)


def test_an_unseen_workload_is_known_to_each_verdict() -> None:
    one = incident("chat-1")
    of = known([one])
    found = triage(of, workloads=[BAD], denied=["may not read deployments"], now=at(12), all_workloads_seen=False)
    assert found.verdicts[one.metadata.uid].step is Step.RECORD
    assert found.holds == ()


def test_without_a_containment_there_are_no_holds() -> None:
    of = known([])
    assert (list(of.holds), decided(of).holds) == ([], ())
    assert of.hold_of(incident("chat-1")) is None


@settings(max_examples=60, deadline=None)
@given(
    present=st.lists(st.booleans(), min_size=4, max_size=4),
    approved=st.lists(st.booleans(), min_size=4, max_size=4),
    ended=st.lists(st.booleans(), min_size=4, max_size=4),
    held=st.lists(st.booleans(), min_size=4, max_size=4),
    seen=st.sampled_from([[], [GOOD], [BAD], [GOOD, BAD], [GOOD, BAD, THIRD]]),
)
def test_no_hold_is_ever_lost_or_made_weaker_than_people_said(
    present: list[bool], approved: list[bool], ended: list[bool], held: list[bool], seen: list[Any]
) -> None:
    """A record that is gone, a workload out of sight, an incident that ended: none of them releases anything."""
    numbered = [incident(f"chat-{n}", status=ENDED if ended[n] else None, created=at(n)) for n in range(4)]
    before = [hold(numbered[n], [BAD], since=at(n)) for n in range(4) if held[n]]
    decisions = [d for n in range(4) if approved[n] for d in released(numbered[n])]
    of = known([i for n, i in enumerate(numbered) if present[n]], holds=before, decisions=decisions)
    found = decided(of, workloads=seen)
    after = {h.incident_uid: h for h in found.holds}
    for hold_before in before:
        assert as_before(after[hold_before.incident_uid], hold_before)
    for number, each in enumerate(numbered):
        if each.metadata.uid in after and after[each.metadata.uid].releasing:
            assert (approved[number], present[number], held[number]) == (True, True, True)
    assert list(found.holds) == sorted(found.holds, key=lambda h: (h.since, h.incident_uid))
    again = decided(known(of.incidents, holds=found.holds, decisions=decisions), workloads=seen)
    assert again.holds == found.holds, "the same once more changes nothing"
