"""The status of an incident, part by part: state, conditions, moments, and what people read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from lazaretto.api import AIIncident, IncidentDecision, reasons
from lazaretto.api.aiincident import AIIncidentStatus, IncidentTimes, Occurrence
from lazaretto.api.meta import Condition
from lazaretto.domain.conditions import find
from lazaretto.domain.evidence import Finding
from lazaretto.domain.incident_report import Progress, report
from lazaretto.domain.response import Verdict
from lazaretto.domain.timeline import Fact
from tests.unit.domain.cases import (
    APPROVE,
    HOLD,
    INCIDENT,
    NOT_ASKED,
    NOT_YET,
    OBSERVE,
    answer,
    decided,
    evidence,
    problems,
)
from tests.unit.domain.objects import alert, at, decision, incident, model, policy

GRANTED = decided("ApproveRelease", "alice", "bob")
CONTAIN, KEEP, RELEASE = answer(), answer(hold=HOLD), answer(hold=HOLD, decisions=GRANTED)
WAIT, OBSERVED = answer(policies=[APPROVE]), answer(policies=[OBSERVE])
CLOSE, DISMISS = answer(decisions=decided("Close", "alice")), answer(decisions=decided("FalsePositive", "alice", "bob"))
NO_TARGET, NO_MODEL, NO_POLICY = (
    answer(incident=incident(model=None), model=None),
    answer(model=None),
    answer(policies=[]),
)
STUCK, ORPHANED = answer(workloads=[]), answer(hold=HOLD, policies=[])
NOTHING, DONE, PROVEN = Progress(), Progress(released=True), Progress(evidence=evidence())
COMING = Progress(evidence=evidence(NOT_YET, NOT_YET))
WITHOUT_SCALING = Progress(evidence=evidence(NOT_ASKED))


def told(
    verdict: Verdict,
    progress: Progress = NOTHING,
    *,
    about: AIIncident = INCIDENT,
    decisions: Sequence[IncidentDecision] = (),
    facts: Sequence[Fact] = (),
    now: datetime | None = None,
) -> AIIncidentStatus:
    return report(about, verdict=verdict, progress=progress, decisions=decisions, facts=facts, now=now or at(5))


def after(status: AIIncidentStatus, *, about: AIIncident = INCIDENT) -> AIIncident:
    return about.model_copy(update={"status": status})


def condition(status: AIIncidentStatus, type_: str) -> Condition:
    found = find(status.conditions, type_)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("verdict", "progress", "state", "reason"),
    [
        (OBSERVED, NOTHING, "Observed", OBSERVED.message),
        (NO_TARGET, NOTHING, "Unmatched", NO_TARGET.message),
        (NO_POLICY, NOTHING, "NoPolicy", NO_POLICY.message),
        (NO_MODEL, NOTHING, "Stalled", NO_MODEL.message),
        (STUCK, NOTHING, "Stalled", "no workload of the model exists"),
        (WAIT, NOTHING, "AwaitingApproval", WAIT.message),
        (CONTAIN, NOTHING, "Containing", CONTAIN.message),
        (KEEP, COMING, "Containing", "2 pods left"),
        (KEEP, PROVEN, "Contained", KEEP.message),
        (KEEP, WITHOUT_SCALING, "Shifted", KEEP.message),
        (KEEP, Progress(evidence=evidence(NOT_ASKED, NOT_YET)), "Containing", KEEP.message),
        (KEEP, Progress(evidence=evidence(), problems=problems("a", "b")), "Degraded", "a; b"),
        (CONTAIN, Progress(problems=problems("HTTPRoute/x: no answer")), "Degraded", "HTTPRoute/x: no answer"),
        (RELEASE, NOTHING, "Releasing", "release approved by alice, bob"),
        (
            RELEASE,
            Progress(waiting="restoring Deployment/x", problems=problems("a")),
            "Releasing",
            "restoring Deployment/x",
        ),
        (RELEASE, DONE, "Released", "restored and verified; release approved by alice, bob"),
        (CLOSE, NOTHING, "Closed", "ended by decision; nothing was held"),
    ],
)
def test_state_and_reason_for_people(verdict: Verdict, progress: Progress, state: str, reason: str) -> None:
    status = told(verdict, progress)
    assert (status.state, status.reason) == (state, reason)


ACCEPTED, FOUND, PENDING = (
    "Accepted=True/PolicyChosen",
    "TargetResolved=True/Resolved",
    "Released=False/AwaitingRelease",
)
MOVED = "TrafficShifted=True/Proved"


@pytest.mark.parametrize(
    ("verdict", "progress", "expected"),
    [
        (OBSERVED, NOTHING, f"{ACCEPTED} Contained=False/ObserveOnly {FOUND}"),
        (WAIT, NOTHING, f"{ACCEPTED} Contained=False/AwaitingApproval Stalled=True/AwaitingApproval {FOUND}"),
        (NO_TARGET, NOTHING, "Accepted=False/NoTarget Contained=False/NoTarget TargetResolved=False/NoTarget"),
        (NO_POLICY, NOTHING, "Accepted=False/NoPolicy Contained=False/NoPolicy"),
        (
            *(NO_MODEL, NOTHING),
            "Accepted=False/ModelNotFound Contained=False/ModelNotFound"
            " Stalled=True/ModelNotFound TargetResolved=False/ModelNotFound",
        ),
        (
            *(STUCK, NOTHING),
            f"{ACCEPTED} Contained=False/WorkloadNotFound"
            " Stalled=True/WorkloadNotFound TargetResolved=False/WorkloadNotFound",
        ),
        (CONTAIN, NOTHING, f"{ACCEPTED} Contained=False/Containing {FOUND}"),
        (KEEP, COMING, f"{ACCEPTED} Contained=False/Containing {PENDING} {FOUND} TrafficShifted=False/Containing"),
        (KEEP, PROVEN, f"{ACCEPTED} Contained=True/Proved {PENDING} {FOUND} {MOVED}"),
        (KEEP, WITHOUT_SCALING, f"{ACCEPTED} Contained=Unknown/NotRequested {PENDING} {FOUND} {MOVED}"),
        (
            *(KEEP, Progress(evidence=replace(evidence(), fenced=Finding("False", reasons.NOT_FENCED, "passes")))),
            f"{ACCEPTED} Contained=True/Proved Fenced=False/NotFenced {PENDING} {FOUND} {MOVED}",
        ),
        (ORPHANED, PROVEN, f"Accepted=False/NoPolicy Contained=True/Proved {PENDING} {FOUND} {MOVED}"),
        (RELEASE, NOTHING, f"{ACCEPTED} Contained=False/Releasing {FOUND}"),
        (
            *(RELEASE, DONE),
            f"{ACCEPTED} Contained=False/ReleaseVerified Released=True/ReleaseVerified {FOUND}"
            " TrafficShifted=False/ReleaseVerified",
        ),
        (CLOSE, NOTHING, f"{ACCEPTED} Contained=False/Closed"),
        (DISMISS, NOTHING, f"{ACCEPTED} Contained=False/FalsePositive"),
        (
            *(CONTAIN, Progress(problems=problems("may not patch deployments", reason=reasons.FORBIDDEN))),
            f"{ACCEPTED} Contained=False/Containing Degraded=True/MissingPermission {FOUND}",
        ),
        (
            *(KEEP, Progress(evidence=evidence(), problems=problems("no answer"))),
            f"{ACCEPTED} Contained=True/Proved Degraded=True/WriteFailed {PENDING} {FOUND} {MOVED}",
        ),
    ],
)
def test_conditions(verdict: Verdict, progress: Progress, expected: str) -> None:
    conditions = told(verdict, progress).conditions
    assert " ".join(f"{c.type}={c.status}/{c.reason}" for c in conditions) == expected


@pytest.mark.parametrize("verdict", [KEEP, RELEASE])
def test_what_was_proved_once_is_not_said_of_a_pass_that_wrote_and_read_nothing_back(verdict: Verdict) -> None:
    status = told(verdict, about=after(told(KEEP, PROVEN)))
    assert condition(status, "Contained").status == "False"
    assert condition(status, "TrafficShifted").status == "Unknown"
    assert condition(status, "Released").reason == verdict.reason
    assert condition(status, "Released").message == verdict.message


def test_a_finding_keeps_its_words() -> None:
    status = told(KEEP, COMING)
    assert condition(status, "Contained").message == "2 pods left"
    assert condition(told(OBSERVED), "Accepted").message == "default: priority 0; the only one that matches"
    assert condition(told(CONTAIN), "Contained").message == "writes were sent; not read back yet"


def test_conditions_and_status_say_which_generation_they_are_about() -> None:
    about = INCIDENT.model_copy(update={"metadata": INCIDENT.metadata.model_copy(update={"generation": 7})})
    status = told(KEEP, Progress(evidence=evidence(), problems=problems("x")), about=about)
    assert {status.observed_generation, *(c.observed_generation for c in status.conditions)} == {7}


# Moments.


def test_an_alert_gives_the_first_moments() -> None:
    later = alert("b" * 16, start=at(2))
    first = alert(start=at(1)).model_copy(update={"received_at": at(1.5)})
    times = told(OBSERVED, about=incident(alerts=[later, first])).times
    assert times == IncidentTimes(occurred_at=at(1), fired_at=at(1), received_at=at(1.5))


def test_an_incident_without_alerts_was_received_when_it_was_created() -> None:
    assert told(OBSERVED, about=incident(created=at(3))).times == IncidentTimes(occurred_at=at(3), received_at=at(3))


@pytest.mark.parametrize(
    ("stated", "active", "began"),
    [(None, None, 2), (None, 1, 1), (3, 1, 3), (0.5, None, 0.5)],
    ids=["the first alert", "its condition", "a stated moment, although later", "a stated moment, earlier"],
)
def test_the_beginning_is_what_was_stated_or_the_earliest_known(
    stated: float | None, active: float | None, began: float
) -> None:
    occurred = Occurrence(value=at(stated)) if stated else None
    about = incident(alerts=[alert(start=at(2))], occurred_at=occurred)
    known = IncidentTimes(active_at=at(active) if active else None)
    about = after(AIIncidentStatus(times=known), about=about)
    times = told(OBSERVED, about=about).times
    assert (times.occurred_at, times.active_at) == (at(began), known.active_at)


def test_an_earlier_alert_moves_the_beginning_and_nothing_else() -> None:
    before = told(KEEP, PROVEN, about=incident(alerts=[alert(start=at(2))]))
    more = incident(alerts=[alert(start=at(2)), alert("b" * 16, start=at(1))])
    times = told(KEEP, PROVEN, about=after(before, about=more), now=at(9)).times
    assert times == before.times.model_copy(update={"occurred_at": at(1)})


def test_the_first_decision_but_for_notes_acknowledges() -> None:
    decisions = [
        decision("Note", "alice", created=at(2)),
        decision("TakeCommand", "bob", created=at(4)),
        decision("Acknowledge", "alice", created=at(3)),
    ]
    assert told(OBSERVED, decisions=decisions[:1]).times.acknowledged_at is None
    assert told(OBSERVED, decisions=decisions).times.acknowledged_at == at(3)


def test_a_containment_goes_through_its_moments() -> None:
    started = told(CONTAIN, Progress(journalled_at=at(4)), now=at(5))
    proved = told(KEEP, Progress(evidence=evidence(), journalled_at=at(4)), about=after(started), now=at(6))
    ended = told(RELEASE, DONE, about=after(proved), now=at(7))
    assert started.times == IncidentTimes(occurred_at=at(0), received_at=at(0), containment_started_at=at(4))
    assert proved.times == started.times.model_copy(update={"contained_at": at(6)})
    assert ended.times == proved.times.model_copy(update={"released_at": at(7), "closed_at": at(7)})


def test_an_incident_that_nothing_was_held_for_is_closed_and_not_released() -> None:
    times = told(CLOSE, now=at(6)).times
    assert (times.closed_at, times.released_at) == (at(6), None)


@pytest.mark.parametrize("progress", [NOTHING, COMING, WITHOUT_SCALING])
def test_only_proof_makes_it_contained(progress: Progress) -> None:
    assert told(KEEP, progress).times.contained_at is None


# What people read.


def test_priority_falls_as_it_is_contained_and_released() -> None:
    mild = incident(category="CostHarvesting")
    kept = answer(incident=mild, hold=HOLD)
    released = answer(incident=mild, hold=HOLD, decisions=GRANTED[:1])
    reports = [told(kept, about=mild), told(kept, PROVEN, about=mild), told(released, DONE, about=mild)]
    assert [(status.severity, status.priority) for status in reports] == [
        ("SEV3", "P2"),
        ("SEV3", "P3"),
        ("SEV3", "P4"),
    ]


def test_what_was_concluded_from_which_numbers() -> None:
    status = told(answer(model=model(), policies=[policy("leaks", mode="Approve", priority=5)]))
    assert (status.policy, status.mode) == ("leaks", "Approve")
    assert status.policy_reason == "priority 5; the only one that matches"
    assert status.assumed == ["compliance", "dataIntegrity", "modelPerformance", "userSafety"]
    assert status.impact is not None
    assert status.impact.data_integrity == 3
    assert (told(NO_POLICY).policy, told(NO_POLICY).mode) == ("", None)


def test_the_last_who_took_command_has_it_even_if_the_decision_is_gone() -> None:
    commands = [decision("TakeCommand", "alice"), decision("TakeCommand", "bob"), decision("Note", "alice")]
    status = told(KEEP, decisions=commands)
    assert status.commander == "bob"
    assert told(KEEP, about=after(status)).commander == "bob"


def test_approvals_that_count_are_listed_as_far_as_there_is_room() -> None:
    status = told(RELEASE)
    assert ([a.by for a in status.approvals], status.approvals_required) == (["alice", "bob"], 2)
    assert told(OBSERVED, about=after(status)).approvals == status.approvals
    crowd = answer(hold=HOLD, decisions=decided("ApproveRelease", *(f"person-{n}" for n in range(20))))
    assert len(told(crowd).approvals) == 16


def test_the_containment_is_named_with_what_it_holds_and_how_far_it_is_proved() -> None:
    status = told(KEEP, PROVEN)
    assert status.containment is not None
    assert status.containment.dump() == {
        **{"name": "chat", "knownGood": "chat-v1", "compromised": ["Deployment/chat-v2"], "proof": "L2"},
    }
    assert told(KEEP, about=after(status)).containment == status.containment
    assert told(RELEASE, DONE, about=after(status)).containment == status.containment


@pytest.mark.parametrize("verdict", [WAIT, OBSERVED, NO_POLICY])
def test_a_hold_that_is_only_proposed_is_no_containment(verdict: Verdict) -> None:
    assert told(verdict).containment is None
