"""The status of an incident, computed from what was decided, done and seen.

`conditions` carry the meaning, `state` is for display. What was not observed is Unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from lazaretto.api import reasons
from lazaretto.api.aiincident import (
    AIIncident,
    AIIncidentStatus,
    ContainmentReference,
    EvidenceReference,
    IncidentTimes,
)
from lazaretto.api.containment import Hold
from lazaretto.api.incidentdecision import IncidentDecision
from lazaretto.api.meta import Condition
from lazaretto.domain.compromise import compromised_message
from lazaretto.domain.conditions import Status, find, is_true
from lazaretto.domain.evidence import (
    Evidence,
    Finding,
    Problem,
    found_fought,
    found_wrong,
    messages_of,
    with_abnormal,
    with_findings,
)
from lazaretto.domain.response import Step, Verdict
from lazaretto.domain.severity import Urgency, priority_of
from lazaretto.domain.timeline import Fact, Timeline, record

MOST_APPROVALS = 16
"""As many as a status can hold; how many are needed is fewer."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one incident has come, beside its verdict."""

    evidence: Evidence | None = None
    """Read back, while it holds the model."""
    problems: tuple[Problem, ...] = ()
    """What went wrong in this pass."""
    waiting: str = ""
    """What a release still waits for."""
    released: bool = False
    """Everything is restored and verified."""
    contested: str | None = None
    """What is fought over; "" for nothing, None if that is not known."""
    journalled_at: datetime | None = None
    snapshot: EvidenceReference | None = None
    """The snapshot that was taken of what it holds."""


def report(
    incident: AIIncident,
    *,
    verdict: Verdict,
    progress: Progress,
    decisions: Sequence[IncidentDecision],
    facts: Sequence[Fact],
    now: datetime,
) -> AIIncidentStatus:
    """The new status. Equal to the old one if nothing has changed, or if the incident has ended."""
    old = incident.status
    if old.times.released_at is not None or old.times.closed_at is not None:
        return old
    times = _times(incident, verdict, progress, decisions, now)
    state, reason = _state(verdict, progress, times)
    timeline = record(Timeline(tuple(old.timeline), old.timeline_count, old.head_hash), facts, now=now)
    commander = next((d.spec.decided_by for d in reversed(decisions) if d.spec.verb == "TakeCommand"), old.commander)
    urgency: Urgency = "U3" if times.released_at else "U2" if times.contained_at else "U1"
    return AIIncidentStatus(
        observed_generation=incident.metadata.generation,
        state=state,
        reason=reason[:1024],
        severity=verdict.assessment.severity,
        priority=priority_of(verdict.assessment.severity, urgency=urgency),
        impact=verdict.assessment.impact,
        assumed=sorted(verdict.assessment.assumed),
        policy=verdict.choice.policy.metadata.name if verdict.choice.policy else "",
        policy_reason=verdict.choice.reason[:512],
        mode=verdict.mode,
        conditions=_conditions(incident, verdict, progress, now),
        times=times,
        containment=_reference(verdict.hold, progress, old, incident) if _holds(verdict) else old.containment,
        evidence=old.evidence or progress.snapshot,
        limited=verdict.limited or old.limited,
        commander=commander,
        approvals=list(verdict.release.counted)[:MOST_APPROVALS] if verdict.release else old.approvals,
        approvals_required=verdict.release.required if verdict.release else old.approvals_required,
        timeline=list(timeline.entries),
        timeline_count=timeline.count,
        head_hash=timeline.head,
    )


def _holds(verdict: Verdict) -> bool:
    return verdict.step in (Step.CONTAIN, Step.KEEP, Step.RELEASE) and verdict.hold is not None


def _times(
    incident: AIIncident,
    verdict: Verdict,
    progress: Progress,
    decisions: Sequence[IncidentDecision],
    now: datetime,
) -> IncidentTimes:
    """Each moment once it is known. None moves afterwards but the beginning, when an earlier one becomes known."""
    old = incident.status.times
    alerts = incident.spec.alerts
    fired = min((a.starts_at for a in alerts), default=None)
    received = min((a.received_at for a in alerts), default=None) or incident.metadata.creation_timestamp
    acknowledged = min(
        (d.metadata.creation_timestamp for d in decisions if d.metadata.creation_timestamp and d.spec.verb != "Note"),
        default=None,
    )
    stated = incident.spec.occurred_at.value if incident.spec.occurred_at else None
    contained = progress.evidence is not None and progress.evidence.contained.status == "True"
    ended = verdict.step is Step.CLOSE or progress.released
    return IncidentTimes(
        occurred_at=stated or min((t for t in (old.active_at, fired, received) if t is not None), default=None),
        active_at=old.active_at,
        fired_at=old.fired_at or fired,
        received_at=old.received_at or received,
        acknowledged_at=old.acknowledged_at or acknowledged,
        containment_started_at=old.containment_started_at or progress.journalled_at,
        contained_at=old.contained_at or (now if contained else None),
        released_at=old.released_at or (now if progress.released else None),
        closed_at=old.closed_at or (now if ended else None),
    )


_RECORD_STATES = {
    reasons.OBSERVE_ONLY: "Observed",
    reasons.NO_TARGET: "Unmatched",
    reasons.NO_POLICY: "NoPolicy",
}


def _state(verdict: Verdict, progress: Progress, times: IncidentTimes) -> tuple[str, str]:
    """(state, reason) for people."""
    if times.released_at:
        return "Released", f"restored and verified; {verdict.message}"
    if verdict.step is Step.CLOSE:
        return "Closed", verdict.message
    if verdict.step is Step.RELEASE:
        return "Releasing", progress.waiting or verdict.message
    if verdict.step is Step.WAIT:
        return "AwaitingApproval", verdict.message
    if verdict.step is Step.RECORD:
        return _RECORD_STATES.get(verdict.reason, "Stalled"), verdict.message
    if progress.problems:
        return "Degraded", messages_of(progress.problems)
    if times.contained_at and progress.evidence and progress.evidence.contained.status == "True":
        return "Contained", verdict.message
    if progress.evidence and progress.evidence.contained.reason == reasons.NOT_REQUESTED:
        return ("Shifted" if progress.evidence.traffic.status == "True" else "Containing"), verdict.message
    return "Containing", progress.evidence.contained.message if progress.evidence else verdict.message


def _conditions(incident: AIIncident, verdict: Verdict, progress: Progress, now: datetime) -> list[Condition]:
    before = incident.status.conditions
    findings = [*_resolution(verdict), *_standing(verdict, progress, before)]
    conditions = with_findings(before, findings, generation=incident.metadata.generation, now=now)
    return _abnormal(conditions, incident, verdict, progress, now)


def _resolution(verdict: Verdict) -> Iterator[tuple[str, Finding]]:
    """Whether there is a policy, and a target."""
    policy = verdict.choice.policy
    if policy is not None:
        text = f"{policy.metadata.name}: {verdict.choice.reason}"
        yield reasons.ACCEPTED, Finding("True", reasons.POLICY_CHOSEN, text)
    else:
        reason = verdict.reason if verdict.step is Step.RECORD else reasons.NO_POLICY
        yield reasons.ACCEPTED, Finding("False", reason, verdict.message)
    diagnosis = verdict.diagnosis
    if diagnosis is not None:
        status: Status = "True" if diagnosis.compromised else "False"
        yield reasons.TARGET_RESOLVED, Finding(status, diagnosis.reason, diagnosis.message)
    elif verdict.hold is not None:
        # The status that said so at first may have been lost with the process that wrote it.
        text = compromised_message(w.ref for w in verdict.hold.compromised)
        yield reasons.TARGET_RESOLVED, Finding("True", reasons.RESOLVED, text)
    elif verdict.reason in (reasons.NO_TARGET, reasons.MODEL_NOT_FOUND):
        yield reasons.TARGET_RESOLVED, Finding("False", verdict.reason, verdict.message)


def _standing(verdict: Verdict, progress: Progress, before: Sequence[Condition]) -> Iterator[tuple[str, Finding]]:
    """How far containment and release have come."""
    if progress.released:
        yield reasons.RELEASED, Finding("True", reasons.RELEASE_VERIFIED, verdict.message)
        yield reasons.CONTAINED, Finding("False", reasons.RELEASE_VERIFIED, "released")
        yield reasons.TRAFFIC_SHIFTED, Finding("False", reasons.RELEASE_VERIFIED, "released")
        for type_ in (reasons.FENCED, reasons.ISOLATED):
            if find(before, type_) is not None:
                yield type_, Finding("False", reasons.RELEASE_VERIFIED, "released")
        return
    release = Finding("False", verdict.reason, progress.waiting or verdict.message)
    if progress.evidence is not None:
        yield from progress.evidence.findings
        yield reasons.RELEASED, release
        return
    reason, message = release.reason, release.message
    if verdict.step in (Step.CONTAIN, Step.KEEP):
        reason, message = reasons.CONTAINING, "writes were sent; not read back yet"
    yield reasons.CONTAINED, Finding("False", reason, message)
    if is_true(before, reasons.TRAFFIC_SHIFTED):
        yield reasons.TRAFFIC_SHIFTED, Finding("Unknown", reason, message)
    if find(before, reasons.RELEASED) is not None:
        yield reasons.RELEASED, release


def _abnormal(
    conditions: list[Condition], incident: AIIncident, verdict: Verdict, progress: Progress, now: datetime
) -> list[Condition]:
    stalled = verdict.stalled or verdict.step is Step.WAIT
    found = {
        reasons.STALLED: Finding("True", verdict.reason, verdict.message) if stalled else None,
        reasons.DEGRADED: found_wrong(progress.problems),
    }
    contested = "" if progress.released else progress.contested
    if contested is not None:
        found[reasons.CONTESTED] = found_fought(contested)
    for type_, each in found.items():
        conditions = with_abnormal(conditions, type_, each, generation=incident.metadata.generation, now=now)
    return conditions


def _reference(
    hold: Hold | None, progress: Progress, old: AIIncidentStatus, incident: AIIncident
) -> ContainmentReference | None:
    if hold is None or incident.spec.target is None:
        return old.containment
    return ContainmentReference(
        name=incident.spec.target.model,
        known_good=hold.known_good.revision if hold.known_good else "",
        compromised=[w.ref for w in hold.compromised],
        proof=progress.evidence.level if progress.evidence else (old.containment.proof if old.containment else ""),
    )
