"""A template rolled back in place: the compromised Deployment itself comes to run a known-good revision. Pure.

It is contained like any other first, and stays so until no pod of it is left. Then it gets the template that was
recorded, once. From then on it counts as compromised only while it runs anything else, and what was held of it but its
template is given back as by a release; the hold stands, and its release brings no template back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lazaretto.api.containment import Hold, KnownGood, Rollback
from lazaretto.api.modelrevision import ModelRevision
from lazaretto.api.protectedmodel import ProtectedModel
from lazaretto.api.responsepolicy import ResponsePolicy
from lazaretto.domain.durations import parse_duration
from lazaretto.domain.scene import Workload

ROLE = "bind the ClusterRole lazaretto-rollback to the operator's account in this namespace"


def rolls_back(policy: ResponsePolicy, *, model: ProtectedModel) -> bool:
    """Whether the policy wants templates rolled back in place, and what it and the operator's rights say allows that.

    What is not stopped frees no pods, and what is isolated stays cut off by the labels that its new pods would carry.
    """
    actions = policy.spec.actions
    stops = actions.scale_to_zero and actions.shift_traffic and not actions.isolate
    return policy.spec.reach.rollback and model.status.may_roll_back and stops


def unfit(revision: ModelRevision | None, *, compromised: Sequence[Workload]) -> str:
    """Why no compromised workload can be given what is recorded of a revision; empty if the one that there is can."""
    recorded = revision.status.recorded if revision is not None else None
    if len(compromised) != 1:
        return "no workload runs it, and more than one would have to be rolled back to it"
    if recorded is None or (recorded.kind, recorded.name) != (compromised[0].kind, compromised[0].name):
        return f"no workload runs it, and it is not what {compromised[0].ref} ran before"
    return ""


def redeemed(hold: Hold, *, workloads: Sequence[Workload]) -> Hold:
    """The hold, saying of its compromised workloads whether they run what they were rolled back to."""
    rollback = hold.rollback
    if rollback is None or rollback.done_at is None:
        return hold
    spared = {w.uid for w in workloads if is_as_rolled_back(w, rollback)}
    if [w.uid in spared for w in hold.compromised] == [w.rolled_back for w in hold.compromised]:
        return hold
    compromised = [w.model_copy(update={"rolled_back": w.uid in spared}) for w in hold.compromised]
    good = KnownGood(revision=rollback.revision, workload=rollback.workload) if spared else None
    return hold.model_copy(update={"compromised": compromised, "known_good": good})


def is_as_rolled_back(workload: Workload, rollback: Rollback) -> bool:
    """Whether the workload is the one that was rolled back, and runs what it was rolled back to."""
    return workload.uid == rollback.workload.uid and workload.identity == rollback.identity


def undone(hold: Hold) -> bool:
    """Whether somebody changed the template since it was rolled back."""
    done = hold.rollback is not None and hold.rollback.done_at is not None
    return done and not any(w.rolled_back for w in hold.compromised)


def late(rollback: Rollback, *, now: datetime) -> bool:
    """Whether what was rolled back should be in service by now."""
    allowed = parse_duration(rollback.deadline, field="spec.reach.deadline")
    return rollback.done_at is not None and now >= rollback.done_at + allowed
