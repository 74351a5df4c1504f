"""What a policy would hold of what was found compromised, or why it cannot. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from lazaretto.api import reasons
from lazaretto.api.containment import MOST_IMAGES, MOST_WORKLOADS, Hold, KnownGood, PlannedCopy, Rollback
from lazaretto.api.reach import Reach
from lazaretto.api.responsepolicy import ResponsePolicy
from lazaretto.api.taxonomy import Severity
from lazaretto.domain.approvals import Terms
from lazaretto.domain.case import Case
from lazaretto.domain.compromise import Diagnosis
from lazaretto.domain.known_good import Candidate
from lazaretto.domain.reach import begin, enough
from lazaretto.domain.rollback import rolls_back, unfit
from lazaretto.domain.scene import Workload


@dataclass(frozen=True, slots=True)
class Proposal:
    """A hold with what it does, or the obstacle with what to do about it."""

    hold: Hold | None
    obstacle: str
    """Reason why there can be no hold; empty if there is one."""
    text: str


def propose(case: Case, policy: ResponsePolicy, diagnosis: Diagnosis, *, terms: Terms, severity: Severity) -> Proposal:
    """The hold that `policy` asks for on what `diagnosis` found, to be released on `terms`."""
    target = case.incident.spec.target
    named = diagnosis.compromised and target is not None and target.revision
    if (case.denied and not diagnosis.compromised) or not (case.all_workloads_seen or named):
        # Whoever cannot be seen may be the compromised one, and what is left the good one: no guessing.
        return Proposal(None, reasons.FORBIDDEN, "; ".join(case.denied))
    if not diagnosis.compromised:
        return Proposal(None, diagnosis.reason, diagnosis.message)
    if (many := len(diagnosis.compromised)) > MOST_WORKLOADS:
        message = f"{many} workloads are compromised; one incident can hold {MOST_WORKLOADS}: name a target.revision"
        return Proposal(None, reasons.MODEL_TOO_LARGE, message)
    good, fallback = diagnosis.known_good, None
    copied = good if good is not None and not good.workload.exists else None
    if good is None and policy.spec.on_no_known_good == "Hold":
        message = f"no revision is known to be good ({diagnosis.why_not}); onNoKnownGood is Hold: a person must decide"
        return Proposal(None, reasons.NO_KNOWN_GOOD, message)
    if good is None and policy.spec.on_no_known_good == "Fallback":
        fallback = case.model.spec.fallback if case.model else None
        if fallback is None:
            message = f"no revision is known to be good ({diagnosis.why_not}), and the model names no fallback Service"
            return Proposal(None, reasons.NO_FALLBACK, message)
    reach = _reach(case, policy, diagnosis, severity=severity)
    if (reach is not None or copied is not None) and case.model is not None:
        # What answers until it is ready; the policy did not ask for an outage.
        fallback = case.model.spec.fallback
    bad = {w.identity for w in diagnosis.compromised}
    rollback = _rollback(case, policy, diagnosis)
    copies = copied is not None and rollback is None and policy.spec.actions.shift_traffic
    hold = Hold(
        incident=case.incident.metadata.name,
        incident_uid=case.incident.metadata.uid,
        compromised=[w.condemned(beside=good.workload if good and not copied else None) for w in diagnosis.compromised],
        revisions=sorted(r.metadata.name for r in case.revisions if r.spec.identity in bad)[:16],
        known_good=KnownGood(revision=good.revision.metadata.name, workload=good.workload.identified)
        if good and good.revision and not copied
        else None,
        awaits=planned(copied, bad=diagnosis.compromised) if copied and copies else None,
        rollback=rollback,
        reach=reach,
        fallback=fallback,
        blocked_images=_blocked(diagnosis) if policy.spec.actions.block_images else [],
        shift_traffic=policy.spec.actions.shift_traffic,
        scale_to_zero=policy.spec.actions.scale_to_zero,
        pause_gitops=policy.spec.actions.pause_gitops,
        isolate=policy.spec.actions.isolate,
        keep_pods=policy.spec.evidence.pods if policy.spec.actions.scale_to_zero else 0,
        since=case.now,
        **asdict(terms),
    )
    return Proposal(hold, "", _describe(hold, why_not=diagnosis.why_not))


def planned(copied: Candidate, *, bad: Sequence[Workload]) -> PlannedCopy:
    """The copy that a candidate which does not exist yet stands for, to be as large as what it stands in for."""
    assert copied.revision is not None  # noqa: S101  # a candidate that may serve has one
    workload, revision = copied.workload, copied.revision.metadata.name
    replicas = enough(bad, good=workload)
    return PlannedCopy(name=workload.name, revision=revision, identity=workload.identity, replicas=replicas)


def _rollback(case: Case, policy: ResponsePolicy, diagnosis: Diagnosis) -> Rollback | None:
    """The compromised workload's way back to what was recorded of it, where the policy prefers that to a copy."""
    good = diagnosis.known_good
    if case.model is None or good is None or good.revision is None or good.workload.exists:
        return None
    if not rolls_back(policy, model=case.model) or unfit(good.revision, compromised=diagnosis.compromised):
        return None
    return Rollback(
        workload=diagnosis.compromised[0].identified,
        revision=good.revision.metadata.name,
        identity=good.workload.identity,
        deadline=policy.spec.reach.deadline,
    )


def _reach(case: Case, policy: ResponsePolicy, diagnosis: Diagnosis, *, severity: Severity) -> Reach | None:
    actions = policy.spec.actions
    if diagnosis.known_good is None or not diagnosis.known_good.workload.exists or not actions.shift_traffic:
        return None
    return begin(
        policy.spec.reach,
        good=diagnosis.known_good.workload,
        bad=diagnosis.compromised,
        severity=severity,
        isolates=actions.isolate,
        stops=actions.scale_to_zero,
        now=case.now,
    )


def _blocked(diagnosis: Diagnosis) -> list[str]:
    """Images of compromised workloads, without those that the known-good revision runs as well."""
    good = diagnosis.known_good.workload.image_digests if diagnosis.known_good else frozenset()
    bad = {digest for w in diagnosis.compromised for digest in w.image_digests}
    return sorted(bad - good)[:MOST_IMAGES]


def _describe(hold: Hold, *, why_not: str) -> str:
    bad = ", ".join(w.ref for w in hold.compromised)
    parts = _traffic(hold, bad=bad, why_not=why_not)
    if hold.scale_to_zero:
        parts.append(f"scale {bad} to 0 and hold its autoscalers")
    if hold.isolate:
        parts.append(f"deny all traffic of the pods of {bad}")
    if hold.keep_pods:
        parts.append(f"keep {hold.keep_pods} of them as evidence")
    if hold.blocked_images:
        parts.append(f"refuse pods with {', '.join(hold.blocked_images)}")
    if hold.pause_gitops:
        parts.append("pause Flux and Argo CD where they own what is held")
    return "; ".join(parts)


def _traffic(hold: Hold, *, bad: str, why_not: str) -> list[str]:
    if hold.reach and hold.known_good:
        return [_reaching(hold.reach, bad=bad, good=hold.known_good)]
    if hold.shift_traffic and hold.known_good:
        return [f"move traffic from {bad} to {hold.known_good.workload.name} ({hold.known_good.revision})"]
    if hold.rollback:
        return [f"cut traffic to {bad}, and roll its template back to the record {hold.rollback.revision}"]
    if hold.awaits:
        return [f"cut traffic to {bad} and make {_copy_text(hold.awaits)}"]
    if hold.shift_traffic and hold.fallback:
        return [f"move traffic from {bad} to fallback Service/{hold.fallback.name}: no known-good ({why_not})"]
    if hold.shift_traffic:
        return [f"cut traffic to {bad}; nothing serves instead: no known-good ({why_not})"]
    return []


def _copy_text(planned: PlannedCopy) -> str:
    return f"Deployment/{planned.name} by a copy from the record {planned.revision}, to serve when it is ready"


def _reaching(reach: Reach, *, bad: str, good: KnownGood) -> str:
    up = f"scale {good.workload.name} ({good.revision}) up to {reach.replicas}"
    if reach.cut_at is None:
        return f"{up} beside {bad}, and move traffic to it when it is ready (WarmThenShift)"
    return f"cut traffic to {bad}, {up} when its pods are gone, and move traffic there ({reach.cut_because})"
