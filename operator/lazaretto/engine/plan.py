"""What has to be written, object by object. Pure: live objects, journal and demand in, writes out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from lazaretto.api.containment import MOST_TARGETS, Containment, JournalTarget
from lazaretto.domain.fields import (
    Change,
    Fields,
    Restoration,
    changes_to,
    extend_journal,
    find_target,
    read_journal,
    restoration,
)
from lazaretto.domain.scene import Demand, Reference, Scene
from lazaretto.engine.gather import Live, Name
from lazaretto.errors import TooLarge
from lazaretto.kube.annotation import is_aside
from lazaretto.kube.surface import THEN_STAND_INS, WORKLOADS_FIRST, Object, Surface, name_of, uid_of, version_of
from lazaretto.workloads.deployment import stands_in


@dataclass(frozen=True, slots=True)
class ObjectPlan:
    """One object that is held, or was."""

    surface: Surface
    obj: Object
    wanted: Fields
    entry: JournalTarget
    """What the journal must say before anything is written."""
    journalled: bool
    """Whether it says so already."""
    changes: tuple[Change, ...]
    """To be written so that the demand is met."""
    restore: Restoration
    """To be written back because nothing demands it any more."""

    @property
    def unmet(self) -> bool:
        """Whether anything that the model's containment rests on is still to be written."""
        return not all(is_aside(change.path) for change in self.changes)

    @property
    def given_back(self) -> bool:
        """Whether nothing is held of it but what keeps others away."""
        return all(is_aside(path) for path in self.wanted)

    @property
    def stage(self) -> int:
        """When release restores it, see `kube.surface`."""
        raised = self.surface.release_stage == WORKLOADS_FIRST and stands_in(self.entry)
        return THEN_STAND_INS if raised else self.surface.release_stage

    @property
    def ref(self) -> str:
        """Kind/name, for people."""
        return f"{self.surface.resource.kind}/{name_of(self.obj)}"

    @property
    def name(self) -> Name:
        """Kind and name."""
        return self.surface.resource.kind, name_of(self.obj)

    @property
    def uid(self) -> str:
        """Uid of the object."""
        return uid_of(self.obj)

    @property
    def version(self) -> int:
        """Resource version of the object that the plan is made from."""
        return version_of(self.obj)


@dataclass(frozen=True, slots=True)
class Plans:
    """What is to be done, and what cannot be."""

    objects: list[ObjectPlan]
    refused: tuple[str, ...]
    """Objects that are left as they are, because the journal has no room for their bases."""


def plan(live: Live, *, scene: Scene, demand: Demand, containment: Containment | None) -> Plans:
    """Plans for every object that the demand concerns or the journal knows, in a stable order."""
    targets = containment.spec.targets if containment else []
    objects: list[ObjectPlan] = []
    refused: list[str] = []
    spared = _references(live, {w.uid for w in demand.rolled_back})
    for surface, found in live.objects.items():
        # What owns held objects comes after them (`gather`), and is recognised by what is held so far.
        held = {(p.surface.resource.group, *p.name) for p in objects if p.wanted}
        known = replace(demand, held=frozenset(held | spared))
        for obj in found:
            try:
                made = plan_object(surface, obj, scene=scene, demand=known, target=find_target(targets, uid_of(obj)))
            except TooLarge as error:
                refused.append(str(error))
                continue
            objects += [made] if made else []
    kept, excess = _bounded(objects, room=MOST_TARGETS - len(targets), journalled={t.uid for t in targets})
    return Plans(kept, (*refused, *excess))


def _references(live: Live, uids: Collection[str]) -> set[Reference]:
    """What tells these objects' owners from others."""
    if not uids:
        return set()
    return {
        (surface.resource.group, surface.resource.kind, name_of(obj))
        for surface, objects in live.objects.items()
        for obj in objects
        if uid_of(obj) in uids
    }


def plan_object(
    surface: Surface, obj: Object, *, scene: Scene, demand: Demand, target: JournalTarget | None
) -> ObjectPlan | None:
    """The plan for one object; None if nothing holds it. Raises `TooLarge` when its entry has no room for it."""
    journal = read_journal(target)
    now = surface.read(obj, base=journal.base)
    wanted = surface.hold(obj, {**now, **journal.base}, scene=scene, demand=demand)
    entry = extend_journal(
        target,
        wanted,
        live=now,
        group=surface.resource.group,
        kind=surface.resource.kind,
        name=name_of(obj),
        uid=uid_of(obj),
    )
    if entry is None:
        return None
    return ObjectPlan(
        surface=surface,
        obj=obj,
        wanted=wanted,
        entry=entry,
        journalled=entry == target,
        changes=changes_to(wanted, live=now),
        restore=restoration(journal, live=now, still_wanted=wanted),
    )


def _bounded(
    plans: Sequence[ObjectPlan], *, room: int, journalled: Collection[str]
) -> tuple[list[ObjectPlan], list[str]]:
    """As many as the journal has room for: what stops the model first, then traffic, autoscalers last."""
    fresh = sorted((p for p in plans if p.uid not in journalled), key=lambda p: p.stage)
    excess = {p.uid for p in fresh[max(0, room) :]}
    told = [f"{p.ref} is not held: a containment has room for {MOST_TARGETS} objects" for p in fresh[max(0, room) :]]
    return [p for p in plans if p.uid not in excess], told


KEPT_OF_GONE = 4
"""Entries of objects that do not exist any more: nothing is restored there, they show what was."""


def surplus(live: Live, containment: Containment | None) -> list[str]:
    """Uids of journalled objects that are gone, but for the newest few.

    Whoever deletes a held object and makes it anew, again and again, must not fill the journal with it: one that
    is full cannot take the base of the next, which could then not be held.
    """
    lost = gone(live, containment) if containment else []
    return [target.uid for target in lost[: max(0, len(lost) - KEPT_OF_GONE)]]


def gone(live: Live, containment: Containment) -> list[JournalTarget]:
    """Journalled objects that do not exist any more: nothing is left to restore there.

    Of a kind that could not be read, what is not seen is not gone.
    """
    existing = {uid_of(obj) for objects in live.objects.values() for obj in objects}
    readable = {surface.resource.kind for surface in live.objects} - live.blind
    return [t for t in containment.spec.targets if t.kind in readable and t.uid not in existing]
