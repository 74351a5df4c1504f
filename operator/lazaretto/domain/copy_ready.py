"""When traffic goes to the copy that a hold awaits: once that one is ready, and still is what was made. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lazaretto.api.containment import Hold, KnownGood, WorkloadCopy
from lazaretto.domain.demands import standing
from lazaretto.domain.scene import Workload


def led_to_copy(hold: Hold, *, copies: Sequence[WorkloadCopy], workloads: Sequence[Workload]) -> Hold:
    """The hold, with the copy as its known-good workload if the copy that it awaits can serve.

    A copy of another identity than was recorded, or under another uid than the journal knows, is never led to. Who
    is led to one stays there.
    """
    found = arrived(hold, copies=copies, workloads=workloads)
    if found is None or not _serves(found) or hold.awaits is None:
        return hold
    good = KnownGood(revision=hold.awaits.revision, workload=found.identified)
    return hold if hold.known_good == good else hold.model_copy(update={"known_good": good})


def arrived(hold: Hold, *, copies: Sequence[WorkloadCopy], workloads: Sequence[Workload]) -> Workload | None:
    """The copy that the hold awaits, at zero replicas or more; None while it was not made, or if it was altered."""
    if hold.awaits is None or hold.releasing:
        return None
    made = next((c for c in copies if c.name == hold.awaits.name and c.uid is not None), None)
    held = {w.uid for w in hold.compromised}
    return next(
        (
            w
            for w in workloads
            if made is not None and w.uid == made.uid and w.uid not in held and w.identity == hold.awaits.identity
        ),
        None,
    )


def is_wanted(copy: WorkloadCopy, *, holds: Iterable[Hold]) -> bool:
    """Whether a standing hold awaits the copy, or sends traffic to it."""
    awaited = {h.awaits.name for h in standing(holds) if h.awaits is not None}
    return copy.name in awaited | {h.known_good.workload.name for h in standing(holds) if h.known_good is not None}


def _serves(workload: Workload) -> bool:
    return workload.replicas > 0 and workload.ready > 0 and workload.available
