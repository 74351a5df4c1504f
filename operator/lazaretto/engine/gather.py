"""Reads everything one decision needs about a model's live objects, in one parallel round.

Collections are searched in the API server's cache: a list that must be the newest waits for that
cache, up to 100 ms on a quiet collection. What the containment already speaks of is read by name,
which is always the newest, and so is whatever is about to be written (`confirm`): no base and no
write ever rests on a cached copy.

What cannot be read for lack of rights is reported, not guessed, and does not keep the rest
from being contained. Anything else that fails, fails the pass: it is repeated. What syncs the
namespace is an exception: whatever is wrong with that must not keep a model in service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lazaretto.api.containment import Containment
from lazaretto.api.protectedmodel import ProtectedModel
from lazaretto.domain.fields import ABSENT, find_target, read_journal
from lazaretto.domain.scene import Bounds, Scene, Workload
from lazaretto.errors import ApiError, Forbidden, NotFound
from lazaretto.gitops.registry import OWNERS
from lazaretto.kube.api_server import Api, Object
from lazaretto.kube.request import label_selector
from lazaretto.kube.resource import ResourceType
from lazaretto.kube.surface import Object as LiveObject
from lazaretto.kube.surface import Surface, metadata, name_of, template_in, uid_of
from lazaretto.traffic.registry import ROUTES, SERVICE
from lazaretto.traffic.service import SELECTOR, service_facts
from lazaretto.workloads.registry import BOUNDS, SCALERS, WORKLOADS

ASIDE = 0.5
"""Seconds for what nothing rests on."""
Name = tuple[str, str]
"""Kind and name of an object of the namespace."""


@dataclass(frozen=True, slots=True)
class Live:
    """The live objects by surface, and what could not be read."""

    objects: Mapping[Surface, Sequence[Object]]
    workloads: tuple[Workload, ...]
    denied: tuple[str, ...] = ()
    """One sentence for each kind that the operator may not read."""
    blind: frozenset[str] = frozenset()
    """Kinds of which some object, or all, could not be read: what is not seen of them may exist all the same."""
    missing: tuple[str, ...] = ()
    """Workloads that the model names and that do not exist, as Kind/name."""
    newest: frozenset[str] = frozenset()
    """Uids of objects that were read by name."""
    absent: frozenset[str] = frozenset()
    """Kinds that are not installed."""
    unread: tuple[str, ...] = ()
    """One sentence for each kind that would be paused and may not be read. Nothing rests on those."""
    recalled: bool = False
    """Whether autoscalers and routes are those alone that were familiar: there may be others."""

    @property
    def templates(self) -> Mapping[str, Mapping[str, Any]]:
        """Pod templates of the workloads, by uid."""
        found = [obj for surface, _ in WORKLOADS for obj in self.objects.get(surface, ())]
        return {uid_of(obj): template_in(obj) for obj in found}

    @property
    def all_workloads_seen(self) -> bool:
        """Whether no workload of the model can be hidden for lack of rights."""
        return not any(surface.resource.kind in self.blind for surface, _ in WORKLOADS)


async def gather(
    api: Api,
    *,
    namespace: str,
    model: ProtectedModel | None,
    containment: Containment | None,
    familiar: Collection[Name] = (),
    absent: Collection[str] = (),
    gitops: bool = False,
    recalled: bool = False,
) -> Live:
    """Read the model's workloads, and all autoscalers, Services and routes of its namespace.

    What is `familiar` is read by name as well, which saves the round that would `confirm` it. Kinds that are
    `absent` from the cluster are not searched for. With `gitops`, also what syncs the namespace. With `recalled`,
    autoscalers and routes are not searched for: those that are familiar are read.
    """
    others = [*SCALERS, SERVICE, *(surface for surface, _ in ROUTES)]
    owners = OWNERS if gitops else ()
    known = {surface.resource.kind for surface in others if surface is not SERVICE} if recalled else set()
    search = _Search(
        api, namespace=namespace, containment=containment, familiar=familiar, absent=absent, unlisted=known
    )
    jobs = [search.workloads(surface, model) for surface, _ in WORKLOADS]
    jobs += [search.all_of_kind(surface) for surface in others]
    jobs += [search.aside(surface, search.all_of_kind(surface)) for surface in owners]
    await asyncio.gather(*jobs)
    # Answers come in any order; what is told about them must not depend on it.
    order = [*(surface for surface, _ in WORKLOADS), *others, *owners]
    objects = {surface: search.objects[surface] for surface in order if surface in search.objects}
    return Live(
        objects,
        _read_workloads(objects),
        denied=tuple(sorted(search.denied)),
        blind=frozenset(search.blind),
        missing=tuple(sorted(search.missing)),
        newest=search.newest,
        absent=frozenset(search.absent),
        unread=tuple(sorted(search.unread)),
        recalled=recalled,
    )


async def confirm(api: Api, live: Live, objects: Sequence[tuple[Surface, LiveObject]], *, namespace: str) -> Live:
    """The same, with these objects as they are now; one that does not exist any more is left out."""
    search = _Search(api, namespace=namespace)
    await asyncio.gather(*(search.confirm(surface, name_of(obj)) for surface, obj in objects))
    asked = {(surface, name_of(obj)) for surface, obj in objects}
    merged = {
        surface: sorted(
            [*(o for o in known if (surface, name_of(o)) not in asked), *search.named(surface).values()], key=name_of
        )
        for surface, known in live.objects.items()
    }
    return replace(
        live,
        objects=merged,
        workloads=_read_workloads(merged),
        denied=tuple(sorted({*live.denied, *search.denied})),
        blind=live.blind | search.blind,
        newest=live.newest | search.newest,
        unread=tuple(sorted({*live.unread, *search.unread})),
    )


def scene_of(live: Live, *, namespace: str, model: str, containment: Containment | None) -> Scene:
    """The scene that decisions see: live, with held selectors shown at their base."""
    targets = containment.spec.targets if containment else []

    def base_selector(obj: Object) -> object:
        base = read_journal(find_target(targets, uid_of(obj))).base
        return None if base.get(SELECTOR, ABSENT) is ABSENT else base[SELECTOR]

    services = tuple(service_facts(obj, selector=base_selector(obj)) for obj in live.objects.get(SERVICE, ()))
    routed = frozenset(
        name for surface, services_of in ROUTES for obj in live.objects.get(surface, ()) for name in services_of(obj)
    )
    return Scene(namespace, model, live.workloads, services, routed)


class _Search:
    """One round of reading, and what it has found so far."""

    def __init__(
        self,
        api: Api,
        *,
        namespace: str,
        containment: Containment | None = None,
        familiar: Collection[Name] = (),
        absent: Collection[str] = (),
        unlisted: Collection[str] = (),
    ) -> None:
        self.objects: dict[Surface, list[Object]] = {}
        """What was found, one of each name, sorted."""
        self.denied: set[str] = set()
        self.unread: set[str] = set()
        self.blind: set[str] = set()
        self.absent = set(absent)
        self.missing: list[str] = []
        self._named: dict[Surface, dict[str, Object]] = {}
        self._api = api
        self._namespace = namespace
        self._containment = containment
        self._familiar = familiar
        self._unlisted = unlisted

    async def workloads(self, surface: Surface, model: ProtectedModel | None) -> None:
        """Those that the model names or selects, and those that a containment speaks of."""
        kind = surface.resource.kind
        selectors = [s for s in (model.spec.workloads if model else ()) if s.kind == kind]
        selecting = [s.match_labels for s in selectors if s.match_labels]
        named = {s.name for s in selectors if s.name}
        held = _held_names(self._containment, kind) - named
        known = {name for each, name in self._familiar if each == kind} - named - held if selecting else ()
        reading = [self.by_name(surface, name, expected=name in named) for name in sorted(named | held)]
        reading += [self.by_name(surface, name, labels=selecting) for name in sorted(known)]
        listing = [self._selected(surface, labels) for labels in selecting]
        _, listed = await asyncio.gather(asyncio.gather(*reading), asyncio.gather(*listing))
        self._merge(surface, [obj for found in listed for obj in found])

    async def all_of_kind(self, surface: Surface) -> None:
        """Everything of the namespace."""
        kind = surface.resource.kind
        targets = self._containment.spec.targets if self._containment else ()
        names = sorted({t.name for t in targets if t.kind == kind} | {n for each, n in self._familiar if each == kind})
        reading = asyncio.gather(*(self.by_name(surface, name) for name in names))
        listed, answers = await asyncio.gather(self._all(surface), reading)
        # What was asked for by name and not found is gone, whatever the cache still says.
        asked = {name for name, answer in zip(names, answers, strict=True) if answer}
        if listed is not None or self.named(surface):
            self._merge(surface, [obj for obj in listed or () if name_of(obj) not in asked])

    async def aside(self, surface: Surface, reading: Awaitable[object]) -> None:
        """Read what nothing rests on: whatever goes wrong with it, or takes long, is said and keeps nothing waiting."""
        try:
            async with asyncio.timeout(ASIDE):
                await reading
        except TimeoutError:
            self._lacks(surface.resource, f"could not read {surface.resource.plural} within {ASIDE} s")
        except ApiError as error:
            self._lacks(surface.resource, f"could not read {surface.resource.plural}: {error.message}")

    async def confirm(self, surface: Surface, name: str) -> None:
        """Read one object that is about to be written."""
        reading = self.by_name(surface, name)
        await (self.aside(surface, reading) if surface in OWNERS else reading)

    @property
    def newest(self) -> frozenset[str]:
        """Uids of everything that was read by name."""
        return frozenset(uid_of(obj) for found in self._named.values() for obj in found.values())

    def named(self, surface: Surface) -> Mapping[str, Object]:
        """What was read by name."""
        return self._named.get(surface, {})

    async def by_name(
        self, surface: Surface, name: str, *, expected: bool = False, labels: Sequence[Mapping[str, str]] = ()
    ) -> bool:
        """Read one object; whether it is known now that it exists, or that it does not.

        With `labels` it is kept only if it carries all of one of them.
        """
        try:
            obj = await self._api.get(surface.resource, namespace=self._namespace, name=name)
        except NotFound:
            if expected:
                self.missing.append(f"{surface.resource.kind}/{name}")
        except Forbidden as error:
            self._deny(surface.resource, error)
            return False
        else:
            carried = (metadata(obj).get("labels") or {}).items()
            if not labels or any(each.items() <= carried for each in labels):
                self._named.setdefault(surface, {})[name] = obj
        return True

    async def _all(self, surface: Surface) -> list[Object] | None:
        """The collection from the API server's cache; None if it may not be read."""
        if surface.resource.kind in self.absent or surface.resource.kind in self._unlisted:
            return []
        try:
            return await self._api.list(surface.resource, namespace=self._namespace, cached=True)
        except NotFound:
            # The kind is not installed: nothing of it can lead to the model.
            self.absent.add(surface.resource.kind)
            return []
        except Forbidden as error:
            self._deny(surface.resource, error)
            return None

    async def _selected(self, surface: Surface, wanted: Mapping[str, str]) -> list[Object]:
        labels = label_selector(wanted)
        try:
            objects = await self._api.list(surface.resource, namespace=self._namespace, labels=labels, cached=True)
        except Forbidden as error:
            self._deny(surface.resource, error)
            return []
        if not objects:
            self.missing.append(f"{surface.resource.kind} with labels {labels}")
        return objects

    def _merge(self, surface: Surface, listed: Iterable[Object]) -> None:
        """Where an object was found by name and in a list as well, the former counts."""
        unique = {name_of(obj): obj for obj in listed} | dict(self.named(surface))
        self.objects[surface] = [unique[name] for name in sorted(unique)]

    def _deny(self, resource: ResourceType, error: Forbidden) -> None:
        self._lacks(resource, f"may not read {resource.plural}: {error.message}")

    def _lacks(self, resource: ResourceType, told: str) -> None:
        journalled = {t.kind for t in self._containment.spec.targets} if self._containment else set()
        aside = resource.kind in {each.resource.kind for each in OWNERS} - journalled
        (self.unread if aside else self.denied).add(told)
        self.blind.add(resource.kind)


def _read_workloads(objects: Mapping[Surface, Sequence[Object]]) -> tuple[Workload, ...]:
    bounds: dict[Name, Bounds] = {}
    for surface in SCALERS:
        bounds |= dict(BOUNDS[surface.resource.kind](obj) for obj in objects.get(surface, ()))
    found = [read(obj) for surface, read in WORKLOADS for obj in objects.get(surface, ())]
    return tuple(replace(w, scaled=bounds.get((w.kind, w.name))) for w in found)


def _held_names(containment: Containment | None, kind: str) -> set[str]:
    """Workloads that a containment speaks of, whatever the model says by now."""
    names: set[str] = set()
    for hold in containment.spec.holds if containment else ():
        involved = [*hold.compromised, *([hold.known_good.workload] if hold.known_good else ())]
        names |= {w.name for w in involved if w.kind == kind}
    names |= {c.name for c in (containment.spec.copies if containment and kind == "Deployment" else ())}
    return names | {t.name for t in (containment.spec.targets if containment else ()) if t.kind == kind}
