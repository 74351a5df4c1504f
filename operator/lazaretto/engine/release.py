"""In which order a model comes back. Pure.

Workloads first; when they are available again, the traffic; then what was scaled up to stand in for
them; autoscalers last, because an
autoscaler that wakes first would undo the restored replica count before it was verified.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from lazaretto.api.containment import MOST_LET_GO, Containment, ContainmentSpec, Hold, JournalTarget
from lazaretto.domain.copy_ready import is_wanted
from lazaretto.domain.demands import all_stand, out_of_sight, standing
from lazaretto.domain.fields import Change
from lazaretto.domain.scene import Demand
from lazaretto.engine.gather import Live
from lazaretto.engine.plan import ObjectPlan
from lazaretto.kube.surface import THEN_STAND_INS, WORKLOADS_FIRST


@dataclass(frozen=True, slots=True)
class Comeback:
    """What to restore now, what has to be waited for, and whether all is done."""

    writes: tuple[tuple[ObjectPlan, Sequence[Change]], ...]
    waiting: str
    finished: tuple[str, ...]
    """Uids of objects that nothing demands any more and that are restored and in service."""
    complete: bool


def comeback(plans: Sequence[ObjectPlan], *, live: Live, containment: Containment, yielding: bool = False) -> Comeback:
    """The next step of a release. `plans` holds what the journal and the demand know.

    `yielding`: what was scaled up to stand in goes first, because the released workload waits for its room.
    """
    if blind := _blind(live, containment):
        return Comeback((), blind, (), False)
    loose = [p for p in plans if any(path not in p.wanted for path in (f.path for f in p.entry.fields))]
    writes: list[tuple[ObjectPlan, Sequence[Change]]] = []
    waiting: list[str] = []
    stages = {p.uid: WORKLOADS_FIRST if yielding and p.stage == THEN_STAND_INS else p.stage for p in loose}
    for stage in sorted(set(stages.values())):
        members = [p for p in loose if stages[p.uid] == stage]
        writes += [(p, p.restore.changes) for p in members if p.restore.changes]
        unsettled = [p.surface.settled(p.obj) for p in members if p.given_back and not p.restore.changes]
        waiting += [text for text in unsettled if text]
        waiting += [f"restoring {p.ref}" for p in members if p.restore.changes]
        if waiting:
            break
    finished = [p.uid for p in plans if not p.wanted and not p.restore.changes and not p.surface.settled(p.obj)]
    return Comeback(tuple(writes), "; ".join(waiting), tuple(finished), not waiting)


def gives_back(holds: Sequence[Hold], *, demand: Demand, plans: Sequence[ObjectPlan]) -> bool:
    """Whether anything is to be put back: a hold is being released, or what was rolled back is still held."""
    loose = any(field.path not in p.wanted for p in plans for field in p.entry.fields)
    return not all_stand(holds) or bool(demand.rolled_back and loose)


def waiting_for(leftovers: Sequence[str], *, back: Comeback) -> Comeback:
    """The same step of a release that is not complete before these are gone as well."""
    told = f"{', '.join(leftovers)} to be gone"
    return replace(back, waiting=f"{back.waiting}; {told}" if back.waiting else told, complete=False)


def marked(
    plans: Sequence[ObjectPlan], spec: ContainmentSpec, *, staying: Sequence[Hold], restored: Collection[str]
) -> ContainmentSpec:
    """The journal with the `staying` holds alone, each entry told which of its fields nothing holds any more.

    All of these, and the objects with `restored` uids, are as they should be. An object that stays
    held for another incident's sake lets go of such fields one by one: held again, they get a fresh base.
    """
    held = {p.uid: p.wanted for p in plans if p.wanted}

    def loose(target: JournalTarget) -> list[str]:
        return sorted(f.path for f in target.fields if f.path not in held[target.uid])[:MOST_LET_GO]

    targets = [t.model_copy(update={"restored": loose(t)}) if t.uid in held else t for t in spec.targets]
    done = sorted({t.uid for t in spec.targets} & set(restored))
    copies = [c for c in spec.copies if is_wanted(c, holds=staying)]
    return spec.model_copy(update={"holds": list(staying), "targets": targets, "restored": done, "copies": copies})


def pruned(spec: ContainmentSpec) -> ContainmentSpec:
    """The journal without the objects and fields whose restore was verified."""
    if not spec.restored and not any(t.restored for t in spec.targets):
        return spec
    targets = [
        t.model_copy(update={"fields": [f for f in t.fields if f.path not in t.restored], "restored": []})
        for t in spec.targets
        if t.uid not in spec.restored
    ]
    return spec.model_copy(update={"targets": targets, "restored": []})


def _blind(live: Live, containment: Containment) -> str:
    """Why it cannot be known what is still demanded; then nothing is put back.

    Without the Services, or with a held workload out of sight, other holds would seem to demand
    less than they do.
    """
    if live.denied:
        return "; ".join(live.denied)
    lost = [ref for hold in standing(containment.spec.holds) for ref in out_of_sight(hold, workloads=live.workloads)]
    return f"{', '.join(lost)} is held by another incident and does not exist" if lost else ""
