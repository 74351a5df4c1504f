"""What to do about one incident: a chain of questions, each of which may settle it.

The answer is a value with its reason. A containment that stands is never given up by this
chain except through a granted release: a policy that was changed or deleted, a model object
that is gone, an alert that resolved - none of them lets a compromised model back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum

from lazaretto.api import reasons
from lazaretto.api.aiincident import AIIncident
from lazaretto.api.containment import MOST_IMAGES, MOST_WORKLOADS, Hold, KnownGood
from lazaretto.api.incidentdecision import IncidentDecision
from lazaretto.api.modelrevision import ModelRevision
from lazaretto.api.protectedmodel import ProtectedModel
from lazaretto.api.responsepolicy import ReleaseRule, ResponsePolicy
from lazaretto.api.taxonomy import Mode
from lazaretto.domain.approvals import ReleaseVerdict, Terms, count, release_verdict, relevant, terms_of
from lazaretto.domain.compromise import Diagnosis, diagnose
from lazaretto.domain.known_good import criteria_of
from lazaretto.domain.limits import tripped
from lazaretto.domain.policy import PolicyChoice, choose_policy
from lazaretto.domain.scene import Workload
from lazaretto.domain.severity import Assessment, assess, merge_floors


class Step(Enum):
    """What happens next with an incident."""

    RECORD = "record"
    """Nothing is done; the reason says why."""
    WAIT = "wait"
    """A person must decide first."""
    CONTAIN = "contain"
    """A hold is to be placed."""
    KEEP = "keep"
    """The hold stands."""
    RELEASE = "release"
    """The hold is to be taken off."""
    CLOSE = "close"
    """Nothing was held, and people said that is all."""
    ENDED = "ended"
    """Released or closed before."""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything one decision looks at."""

    incident: AIIncident
    model: ProtectedModel | None
    policies: Sequence[ResponsePolicy]
    decisions: Sequence[IncidentDecision]
    revisions: Sequence[ModelRevision]
    revoked: Collection[str]
    """Revisions that other open incidents name."""
    workloads: Sequence[Workload]
    held_workloads: Collection[str]
    """Uids that other incidents hold."""
    hold: Hold | None
    """The hold that this incident has."""
    now: datetime
    recurred: bool = False
    """Whether one of its alerts belonged to another incident of the model before."""
    denied: Sequence[str] = ()
    """What may not be read, one sentence each."""
    all_workloads_seen: bool = True
    """Whether no workload of the model is among that."""
    held_models: Collection[str] = ()
    """Models of the namespace that are held already."""
    switched_off: str = ""
    """Why nothing may be done without a person."""

    @property
    def model_name(self) -> str:
        """The model that the incident concerns; empty without one."""
        return self.model.metadata.name if self.model else ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens next, and everything that led to it."""

    step: Step
    reason: str
    message: str
    assessment: Assessment
    choice: PolicyChoice
    release: ReleaseVerdict | None = None
    diagnosis: Diagnosis | None = None
    hold: Hold | None = None
    """The hold to place, or the one that stands."""
    stalled: bool = False
    """A person is needed."""

    @property
    def mode(self) -> Mode | None:
        """How far the chosen policy goes."""
        return self.choice.policy.spec.mode if self.choice.policy else None


def respond(case: Case) -> Verdict:
    """The verdict on one incident. Pure; the same case has the same verdict."""
    assessment = _assess(case, floor_of=None)
    choice = _choose(case, assessment)
    if choice.policy is not None:
        assessment = _assess(case, floor_of=choice.policy)
    if case.hold is not None:
        # Whatever the status says: as long as the hold stands, the incident has not ended.
        return _held(case, case.hold, assessment, choice)
    times = case.incident.status.times
    if times.released_at is not None or times.closed_at is not None:
        return Verdict(Step.ENDED, reasons.CLOSED, "the incident has ended", assessment, choice)
    return _unheld(case, assessment, choice)


def _assess(case: Case, *, floor_of: ResponsePolicy | None) -> Assessment:
    spec = case.incident.spec
    hints = [alert.severity_hint for alert in spec.alerts if alert.severity_hint]
    hints += [spec.severity_hint] if spec.severity_hint else []
    floor = merge_floors(
        case.model.spec.impact_floor if case.model else None, floor_of.spec.impact_floor if floor_of else None
    )
    return assess(category=spec.category, stated=spec.impact, floor=floor, hints=tuple(hints), recurred=case.recurred)


def _choose(case: Case, assessment: Assessment) -> PolicyChoice:
    if case.model is None:
        return PolicyChoice(None, "without a ProtectedModel no policy applies")
    return choose_policy(case.policies, incident=case.incident, model=case.model, severity=assessment.severity)


def _release(case: Case, assessment: Assessment, choice: PolicyChoice) -> ReleaseVerdict:
    rule = choice.policy.spec.release if choice.policy else ReleaseRule()
    mine = relevant(case.decisions, incident=case.incident)
    terms = terms_of(rule, severity=assessment.severity, hold=case.hold)
    return release_verdict(mine, terms=terms, hold=case.hold, now=case.now)


def _held(case: Case, hold: Hold, assessment: Assessment, choice: PolicyChoice) -> Verdict:
    release = _release(case, assessment, choice)
    if release.granted or hold.releasing:
        names = ", ".join(a.by for a in release.counted) or "decisions that are gone by now, or by break-glass"
        what = "declared a false positive by" if release.false_positive else "release approved by"
        return Verdict(Step.RELEASE, reasons.RELEASING, f"{what} {names}", assessment, choice, release, hold=hold)
    hold = hold.model_copy(update=asdict(release.terms))
    have, need = len(release.counted), release.required
    message = f"held; release needs {need} approvals of different people, {have} so far"
    if release.reservations:
        message += f"; not counted: {release.reservations}"
    return Verdict(Step.KEEP, reasons.AWAITING_RELEASE, message, assessment, choice, release, hold=hold)


def _unheld(case: Case, assessment: Assessment, choice: PolicyChoice) -> Verdict:
    spec = case.incident.spec
    mine = relevant(case.decisions, incident=case.incident)
    release = _release(case, assessment, choice)
    if count(mine, ("Close",)) or release.granted:
        reason = reasons.FALSE_POSITIVE if release.granted and release.false_positive else reasons.CLOSED
        message = "ended by decision; nothing was held"
        return Verdict(Step.CLOSE, reason, message, assessment, choice, release)
    if spec.target is None:
        message = "no ProtectedModel matches; recorded, nothing is done"
        return Verdict(Step.RECORD, reasons.NO_TARGET, message, assessment, choice)
    if case.model is None:
        message = f"ProtectedModel {spec.target.model} does not exist in this namespace; create it to have this decided"
        return Verdict(Step.RECORD, reasons.MODEL_NOT_FOUND, message, assessment, choice, stalled=True)
    if choice.policy is None:
        return Verdict(Step.RECORD, reasons.NO_POLICY, choice.reason, assessment, choice)
    return _under_policy(case, choice.policy, assessment, choice)


def _under_policy(case: Case, policy: ResponsePolicy, assessment: Assessment, choice: PolicyChoice) -> Verdict:
    mode = policy.spec.mode
    diagnosis = _diagnose(case, policy)
    hold, obstacle = _propose(case, policy, diagnosis, terms=_release(case, assessment, choice).terms)
    plan = _describe(hold, why_not=diagnosis.why_not) if hold else obstacle[1]

    def verdict(step: Step, reason: str, message: str, *, stalled: bool = False) -> Verdict:
        return Verdict(step, reason, message, assessment, choice, diagnosis=diagnosis, hold=hold, stalled=stalled)

    if mode == "Observe":
        return verdict(Step.RECORD, reasons.OBSERVE_ONLY, f"mode Observe; would: {plan}")
    approvals = count(relevant(case.decisions, incident=case.incident), ("ApproveContainment",))
    exempt = case.model is not None and case.model.spec.exempt
    if (mode == "Approve" or exempt) and not approvals:
        reason = reasons.EXEMPT if exempt else reasons.AWAITING_APPROVAL
        return verdict(Step.WAIT, reason, f"needs one ApproveContainment decision; then: {plan}")
    if hold is None:
        return verdict(Step.RECORD, obstacle[0], obstacle[1], stalled=True)
    if case.switched_off and not approvals:
        message = f"automatic action is switched off: {case.switched_off}; needs one ApproveContainment decision"
        return verdict(Step.WAIT, reasons.SWITCHED_OFF, f"{message}; then: {plan}", stalled=True)
    limit = "" if approvals else tripped(policy.spec.limits, model=case.model_name, held=case.held_models)
    if limit:
        return verdict(Step.WAIT, reasons.LIMIT_REACHED, f"{limit}; then: {plan}", stalled=True)
    return verdict(Step.CONTAIN, reasons.CONTAINING, plan)


def _diagnose(case: Case, policy: ResponsePolicy) -> Diagnosis:
    assert case.model is not None  # noqa: S101  # checked by the caller
    target = case.incident.spec.target
    return diagnose(
        case.workloads,
        named=target.revision if target else None,
        held=case.held_workloads,
        revisions=case.revisions,
        revoked=case.revoked,
        criteria=criteria_of(policy.spec.known_good, model=case.model),
        now=case.now,
    )


def _propose(
    case: Case, policy: ResponsePolicy, diagnosis: Diagnosis, *, terms: Terms
) -> tuple[Hold | None, tuple[str, str]]:
    """The hold that the policy asks for, or (reason, message) why there can be none."""
    target = case.incident.spec.target
    named = diagnosis.compromised and target is not None and target.revision
    if (case.denied and not diagnosis.compromised) or not (case.all_workloads_seen or named):
        # Whoever cannot be seen may be the compromised one, and what is left the good one: no guessing.
        return None, (reasons.FORBIDDEN, "; ".join(case.denied))
    if not diagnosis.compromised:
        return None, (diagnosis.reason, diagnosis.message)
    if (many := len(diagnosis.compromised)) > MOST_WORKLOADS:
        message = f"{many} workloads are compromised; one incident can hold {MOST_WORKLOADS}: name a target.revision"
        return None, (reasons.MODEL_TOO_LARGE, message)
    good, fallback = diagnosis.known_good, None
    if good is None and policy.spec.on_no_known_good == "Hold":
        message = f"no revision is known to be good ({diagnosis.why_not}); onNoKnownGood is Hold: a person must decide"
        return None, (reasons.NO_KNOWN_GOOD, message)
    if good is None and policy.spec.on_no_known_good == "Fallback":
        fallback = case.model.spec.fallback if case.model else None
        if fallback is None:
            message = f"no revision is known to be good ({diagnosis.why_not}), and the model names no fallback Service"
            return None, (reasons.NO_FALLBACK, message)
    bad = {w.identity for w in diagnosis.compromised}
    hold = Hold(
        incident=case.incident.metadata.name,
        incident_uid=case.incident.metadata.uid,
        compromised=[w.condemned(beside=good.workload if good else None) for w in diagnosis.compromised],
        revisions=sorted(r.metadata.name for r in case.revisions if r.spec.identity in bad)[:16],
        known_good=KnownGood(revision=good.revision.metadata.name, workload=good.workload.identified)
        if good and good.revision
        else None,
        fallback=fallback,
        blocked_images=_blocked(diagnosis) if policy.spec.actions.block_images else [],
        shift_traffic=policy.spec.actions.shift_traffic,
        scale_to_zero=policy.spec.actions.scale_to_zero,
        since=case.now,
        **asdict(terms),
    )
    return hold, ("", "")


def _blocked(diagnosis: Diagnosis) -> list[str]:
    """Images of compromised workloads, without those that the known-good revision runs as well."""
    good = diagnosis.known_good.workload.image_digests if diagnosis.known_good else frozenset()
    bad = {digest for w in diagnosis.compromised for digest in w.image_digests}
    return sorted(bad - good)[:MOST_IMAGES]


def _describe(hold: Hold, *, why_not: str) -> str:
    bad = ", ".join(w.ref for w in hold.compromised)
    parts = []
    if hold.shift_traffic and hold.known_good:
        parts.append(f"move traffic from {bad} to {hold.known_good.workload.name} ({hold.known_good.revision})")
    elif hold.shift_traffic and hold.fallback:
        parts.append(f"move traffic from {bad} to fallback Service/{hold.fallback.name}: no known-good ({why_not})")
    elif hold.shift_traffic:
        parts.append(f"cut traffic to {bad}; nothing serves instead: no known-good ({why_not})")
    if hold.scale_to_zero:
        parts.append(f"scale {bad} to 0 and hold its autoscalers")
    if hold.blocked_images:
        parts.append(f"refuse pods with {', '.join(hold.blocked_images)}")
    return "; ".join(parts)
