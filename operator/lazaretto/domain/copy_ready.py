"""How a hold comes to its copy: once made, that one is brought up like any known-good workload after a cut. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from lazaretto.api.containment import Hold, KnownGood, WorkloadCopy
from lazaretto.api.reach import Reach, ReachRule
from lazaretto.domain.demands import standing
from lazaretto.domain.durations import parse_duration
from lazaretto.domain.reach import first_of_cut
from lazaretto.domain.scene import Workload


def led_to_copy(
    hold: Hold, rule: ReachRule, *, copies: Sequence[WorkloadCopy], workloads: Sequence[Workload], now: datetime
) -> Hold:
    """The hold with the copy that it awaits as its known-good workload, to be brought up; the same until it is made.

    A copy of another identity than was recorded, or under another uid than the journal knows, is never led to. One
    that was made anew is brought up anew.
    """
    found = arrived(hold, copies=copies, workloads=workloads)
    if found is None or hold.awaits is None:
        return hold
    good = KnownGood(revision=hold.awaits.revision, workload=found.identified)
    if hold.known_good == good:
        return hold
    began = hold.reach.cut_at if hold.reach is not None and hold.reach.cut_at is not None else hold.since
    reach = Reach(
        asked="CutThenFree",
        phase=first_of_cut(stops=hold.scale_to_zero),
        identity=hold.awaits.identity,
        replicas=hold.awaits.replicas,
        needed=hold.awaits.replicas,
        since=now,
        until=now + parse_duration(rule.deadline, field="spec.reach.deadline"),
        cut_at=began,
        cut_because="no workload ran a known-good revision",
    )
    return hold.model_copy(update={"known_good": good, "reach": reach})


def arrived(hold: Hold, *, copies: Sequence[WorkloadCopy], workloads: Sequence[Workload]) -> Workload | None:
    """The copy that the hold awaits, at zero replicas or more; None while it was not made, or if it was altered."""
    if hold.awaits is None or hold.releasing:
        return None
    made = next((c for c in copies if c.name == hold.awaits.name and c.uid is not None), None)
    if made is None:
        return None
    held = {w.uid for w in hold.compromised}
    ours = (w for w in workloads if w.uid == made.uid and w.uid not in held and w.identity == hold.awaits.identity)
    return next(ours, None)


def is_wanted(copy: WorkloadCopy, *, holds: Iterable[Hold]) -> bool:
    """Whether a standing hold awaits the copy, or sends traffic to it."""
    holds = standing(holds)
    awaited = {h.awaits.name for h in holds if h.awaits is not None}
    return copy.name in awaited | {h.known_good.workload.name for h in holds if h.known_good is not None}
