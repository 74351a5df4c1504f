"""How a standing hold grows: what runs the revision it holds is held as well, whenever it shows up. Pure.

A hold never shrinks but by its release: what it came to hold stays held, whatever becomes of the workload's template.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lazaretto.api.containment import MOST_WORKLOADS, Hold
from lazaretto.api.modelrevision import ModelRevision
from lazaretto.api.references import WorkloadIdentity
from lazaretto.domain.scene import Workload

_FULL = f"one incident can hold {MOST_WORKLOADS} workloads; delete them"


@dataclass(frozen=True, slots=True)
class Growth:
    """The hold with what it has come to hold, and what runs its revision and is not held."""

    hold: Hold
    left: tuple[Workload, ...] = ()
    why: str = ""
    """Why those are left."""

    @property
    def shortfall(self) -> str:
        """What is left and why, for people; empty if nothing is."""
        if not self.left:
            return ""
        more = f" and {len(self.left) - 1} more" if self.left[1:] else ""
        return f"not held, though of the held revision: {self.left[0].ref}{more} ({self.why})"


def grown(
    hold: Hold, *, workloads: Sequence[Workload], revisions: Sequence[ModelRevision], switched_off: str = ""
) -> Growth:
    """The hold, and in it every workload that runs one of its revisions.

    Never the known-good workload, whatever that one runs by now: traffic goes there, and moving it is a decision.
    A hold that is being released grows no more, and none does while automatic action is `switched_off`.
    """
    if hold.releasing:
        return Growth(hold)
    bad = _identities(hold, workloads=workloads, revisions=revisions)
    found = sorted((w for w in workloads if w.identity in bad and not _named(hold, w)), key=lambda w: w.ref)
    room = 0 if switched_off else MOST_WORKLOADS - len(hold.compromised)
    fresh, left = found[:room], tuple(found[room:])
    why = f"automatic action is switched off: {switched_off}" if switched_off else _FULL
    if not fresh:
        return Growth(hold, left, why)
    good = next((w for w in workloads if hold.known_good and _is(hold.known_good.workload, w)), None)
    compromised = [*hold.compromised, *(w.condemned(beside=good) for w in fresh)]
    return Growth(hold.model_copy(update={"compromised": compromised}), left, why)


def _identities(hold: Hold, *, workloads: Sequence[Workload], revisions: Sequence[ModelRevision]) -> set[str]:
    """What the hold is about: identities as they were recorded when it began.

    What a held workload runs by now may be the repair that somebody is preparing there, so its template counts only
    where nothing was recorded.
    """
    bad = {r.spec.identity for r in revisions if r.metadata.name in hold.revisions}
    if not bad:
        held = {w.uid for w in hold.compromised}
        bad = {w.identity for w in workloads if w.uid in held}
    good = hold.known_good.revision if hold.known_good else ""
    return bad - {r.spec.identity for r in revisions if r.metadata.name == good}


def _named(hold: Hold, workload: Workload) -> bool:
    """Whether the hold speaks of this workload already."""
    named = [*hold.compromised, *([hold.known_good.workload] if hold.known_good else ())]
    return any(_is(reference, workload) for reference in named)


def _is(reference: WorkloadIdentity, workload: Workload) -> bool:
    """By uid, or as one that was made anew under the same kind and name."""
    return workload.uid == reference.uid or workload.ref == reference.ref
