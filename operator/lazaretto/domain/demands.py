"""From holds to demands: what all open incidents together ask of the live objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from lazaretto.api.containment import Containment, Hold
from lazaretto.api.responsepolicy import ResponsePolicy
from lazaretto.domain.reach import cut_off, may_serve, raises, stopped
from lazaretto.domain.rollback import is_as_rolled_back
from lazaretto.domain.scene import Demand, Raise, Workload, union

ARGO_CD: Final = "argoproj.io"
"""Group of the objects that sync others."""


def standing(holds: Iterable[Hold]) -> list[Hold]:
    """Those that constrain something: a hold that is being released does not."""
    return [hold for hold in holds if not hold.releasing]


def all_stand(holds: Sequence[Hold]) -> bool:
    """Whether something is held, and nothing of it is being released."""
    return bool(holds) and not any(hold.releasing for hold in holds)


def demand_of(holds: Sequence[Hold], *, workloads: Sequence[Workload]) -> Demand:
    """The union of what the holds demand of the workloads that exist now.

    A held workload is recognised by its uid, or by its kind and name: one that was deleted and
    created again is held again, with a base of its own.
    """
    ordered = sorted(standing(holds), key=lambda h: (h.since, h.incident_uid))
    return union(_single(hold, workloads) for hold in ordered)


def pauses_gitops(policies: Iterable[ResponsePolicy], containment: Containment | None) -> bool:
    """Whether what syncs the namespace is to be looked at: a policy may want it held, or it is."""
    holds = containment.spec.holds if containment else ()
    targets = containment.spec.targets if containment else ()
    wanted = any(hold.pause_gitops for hold in holds) or any(p.spec.actions.pause_gitops for p in policies)
    return wanted or any(target.group == ARGO_CD for target in targets)


def out_of_sight(hold: Hold, *, workloads: Sequence[Workload]) -> tuple[str, ...]:
    """What it holds and what is not among these, neither by uid nor by kind and name; as Kind/name."""
    seen = {w.uid for w in workloads} | {w.ref for w in workloads}
    return tuple(w.ref for w in hold.compromised if w.uid not in seen and w.ref not in seen)


def _single(hold: Hold, workloads: Sequence[Workload]) -> Demand:
    uids = {w.uid for w in hold.compromised}
    names = {(w.kind, w.name) for w in hold.compromised}
    spared = _spared(hold, workloads)
    bad = tuple(w for w in workloads if (w.uid in uids or (w.kind, w.name) in names) and w not in spared)
    good_uid = hold.known_good.workload.uid if hold.known_good else ""
    good = next((w for w in workloads if w.uid == good_uid), None)
    stops, cut, moved = hold.scale_to_zero, hold.shift_traffic, hold.shift_traffic
    raised: tuple[Raise, ...] = ()
    if (reach := hold.reach) is not None:
        stops, cut, moved = stops and stopped(reach), cut and cut_off(reach), moved and may_serve(reach)
        raised = (Raise(good, reach.replicas),) if good is not None and raises(reach) else ()
    return Demand(
        compromised=bad,
        scale_to_zero=bad if stops else (),
        out_of_sight=out_of_sight(hold, workloads=workloads) if stops else (),
        shift=cut,
        known_good=good if moved else None,
        fallback=hold.fallback if cut else None,
        pause_gitops=hold.pause_gitops,
        tolerated=bad if hold.scale_to_zero and not stops else (),
        raised=raised,
        rolled_back=spared,
    )


def _spared(hold: Hold, workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    """Compromised workloads that run what they were rolled back to, by the journal and by what they are now."""
    marked = {w.uid for w in hold.compromised if w.rolled_back}
    rollback = hold.rollback
    return tuple(w for w in workloads if rollback and w.uid in marked and is_as_rolled_back(w, rollback))
