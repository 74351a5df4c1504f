"""What to do about one incident: a chain of questions, each of which may settle it.

The answer is a value with its reason. A containment that stands is never given up by this
chain except through a granted release: a policy that was changed or deleted, a model object
that is gone, an alert that resolved - none of them lets a compromised model back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import Enum

from lazaretto.api import reasons
from lazaretto.api.aiincident import AIIncidentSpec, LimitStop
from lazaretto.api.containment import Hold
from lazaretto.api.reach import ReachRule
from lazaretto.api.responsepolicy import ReleaseRule, ResponsePolicy
from lazaretto.api.taxonomy import Impact, Mode
from lazaretto.domain.approvals import ReleaseVerdict, count, release_verdict, relevant, terms_of
from lazaretto.domain.case import Case
from lazaretto.domain.compromise import Diagnosis, diagnose
from lazaretto.domain.copy_of_record import records_out_of_service
from lazaretto.domain.copy_ready import led_to_copy
from lazaretto.domain.growth import grown
from lazaretto.domain.known_good import criteria_of
from lazaretto.domain.limits import Question, Stop, stop
from lazaretto.domain.policy import PolicyChoice, choose_policy
from lazaretto.domain.proposal import propose
from lazaretto.domain.rollback import redeemed, rolls_back
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
    limited: LimitStop | None = None
    """The limit that stops it."""

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


def first_look(spec: AIIncidentSpec, *, floor: Impact | None = None, recurred: bool = False) -> Assessment:
    """The severity as far as the incident itself tells; `floor` and the past can only raise it."""
    hints = [alert.severity_hint for alert in spec.alerts if alert.severity_hint]
    hints += [spec.severity_hint] if spec.severity_hint else []
    return assess(category=spec.category, stated=spec.impact, floor=floor, hints=tuple(hints), recurred=recurred)


def _assess(case: Case, *, floor_of: ResponsePolicy | None) -> Assessment:
    floor = merge_floors(
        case.model.spec.impact_floor if case.model else None, floor_of.spec.impact_floor if floor_of else None
    )
    return first_look(case.incident.spec, floor=floor, recurred=case.recurred)


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
    rule = choice.policy.spec.reach if choice.policy else ReachRule()
    hold = led_to_copy(hold, rule, copies=case.copies, workloads=case.workloads, now=case.now)
    hold = redeemed(hold, workloads=case.workloads)
    growth = grown(
        hold.model_copy(update=asdict(release.terms)),
        workloads=case.workloads,
        revisions=case.revisions,
        switched_off=case.switched_off,
    )
    have, need = len(release.counted), release.required
    message = f"held; release needs {need} approvals of different people, {have} so far"
    if release.reservations:
        message += f"; not counted: {release.reservations}"
    message += f"; {growth.shortfall}" if growth.shortfall else ""
    left = bool(growth.left)
    reason = reasons.AWAITING_RELEASE
    return Verdict(Step.KEEP, reason, message, assessment, choice, release, hold=growth.hold, stalled=left)


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
    if case.protected:
        return Verdict(Step.RECORD, reasons.NAMESPACE_PROTECTED, case.protected, assessment, choice, stalled=True)
    if case.unreadable:
        return Verdict(Step.RECORD, reasons.INVALID, case.unreadable, assessment, choice, stalled=True)
    if case.model is None:
        message = f"ProtectedModel {spec.target.model} does not exist in this namespace; create it to have this decided"
        return Verdict(Step.RECORD, reasons.MODEL_NOT_FOUND, message, assessment, choice, stalled=True)
    if choice.policy is None:
        return Verdict(Step.RECORD, reasons.NO_POLICY, choice.reason, assessment, choice)
    return _under_policy(case, choice.policy, assessment, choice)


def _under_policy(case: Case, policy: ResponsePolicy, assessment: Assessment, choice: PolicyChoice) -> Verdict:
    mode = policy.spec.mode
    diagnosis = _diagnose(case, policy)
    terms = _release(case, assessment, choice).terms
    proposal = propose(case, policy, diagnosis, terms=terms, severity=assessment.severity)
    hold = proposal.hold
    plan = proposal.text

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
        return verdict(Step.RECORD, proposal.obstacle, proposal.text, stalled=True)
    if case.switched_off and not approvals:
        message = f"automatic action is switched off: {case.switched_off}; needs one ApproveContainment decision"
        return verdict(Step.WAIT, reasons.SWITCHED_OFF, f"{message}; then: {plan}", stalled=True)
    if approvals:
        return verdict(Step.CONTAIN, reasons.CONTAINING, plan)
    if needed := _needed_elsewhere(case, policy, hold):
        message = f"{needed}; needs one ApproveContainment decision; then: {plan}"
        return verdict(Step.WAIT, reasons.STANDS_IN, message, stalled=True)
    if limit := _limit(case, policy, assessment):
        found = verdict(Step.WAIT, reasons.LIMIT_REACHED, f"{limit.text}; {_REMEDY}; then: {plan}", stalled=True)
        return replace(found, limited=limit.record)
    return verdict(Step.CONTAIN, reasons.CONTAINING, plan)


_REMEDY = "needs one ApproveContainment decision, or ResetLimits for all of the namespace"


def _needed_elsewhere(case: Case, policy: ResponsePolicy, hold: Hold) -> str:
    """What the containment would take the ground from, unless the policy accepts a full outage."""
    if policy.spec.on_no_known_good == "Zero":
        return ""
    found = [f"{w.ref} stands in for {case.stands_in[w.uid]}" for w in hold.compromised if w.uid in case.stands_in]
    return "; ".join(found)


def _limit(case: Case, policy: ResponsePolicy, assessment: Assessment) -> Stop | None:
    question = Question(case.incident, case.model_name, assessment.severity, case.released_at, case.now)
    return stop(policy.spec.limits, question=question, usage=case.usage)


def _diagnose(case: Case, policy: ResponsePolicy) -> Diagnosis:
    assert case.model is not None  # noqa: S101  # checked by the caller
    spec, target = case.incident.spec, case.incident.spec.target
    began = spec.occurred_at.value if spec.occurred_at else None
    return diagnose(
        case.workloads,
        named=target.revision if target else None,
        held=case.held_workloads,
        revisions=case.revisions,
        revoked=case.revoked,
        records=records_out_of_service(case.revisions, case.workloads),
        condemned=_condemned_before(case),
        criteria=criteria_of(
            policy.spec.known_good,
            model=case.model,
            category=spec.category,
            began=began,
            reach=policy.spec.reach,
            rolls_back=rolls_back(policy, model=case.model),
        ),
    )


def _condemned_before(case: Case) -> set[str]:
    """Identities that the incident's status says were held, though the journal of that is gone.

    What serves by then is what took over: to judge by that again would take it out of service in its turn.
    """
    told = case.incident.status.containment
    if told is None:
        return set()
    # A workload that was rolled back bears the same name, and runs what took over.
    good = {r.spec.identity for r in case.revisions if r.metadata.name == told.known_good}
    return {w.identity for w in case.workloads if w.ref in told.compromised} - good
