"""Gateway API HTTPRoutes and GRPCRoutes: weights, backends and mirrors.

In every rule that sends to a compromised backend: its weight becomes 0, and the known-good
backend takes over the weight that was lost; if the rule does not have that backend, it is
added. Mirrors to a compromised backend are removed: they still hand it every prompt.

What is held is named so that it is found again in a rearranged route (`rules`). A patch can
only speak of indexes; it tests the generation, which counts changes of the spec. A route that
was changed since it was read refuses the write and is read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lazaretto.domain.fields import ABSENT, Change, Fields
from lazaretto.domain.scene import Demand, Scene
from lazaretto.kube import surface
from lazaretto.kube.request import Request, json_patch
from lazaretto.kube.resource import GRPC_ROUTES, HTTP_ROUTES, ResourceType
from lazaretto.kube.surface import Object, Proof
from lazaretto.traffic.rules import WEIGHT, Backend, FilterList, Rule, is_mirror, place_of, rules_of, service_of

# Gateway API's own limits: what exceeds them is refused as a whole, and nothing would be cut off.
_MOST_BACKENDS = 16
_HIGHEST_WEIGHT = 1_000_000


class RouteSurface:
    """See `Surface`. HTTPRoute and GRPCRoute differ only in what their rules match."""

    manager = "lazaretto-traffic"
    owned: tuple[str, ...] = ("f:spec", "f:rules")
    release_stage = surface.THEN_TRAFFIC
    fence = "lazaretto-fence-routes"

    def __init__(self, resource: ResourceType) -> None:
        self.resource = resource

    def read(self, obj: Object, *, base: Fields | None = None) -> Fields:
        """Rules and backends as places, weights, and mirrors."""
        found: dict[str, Any] = {}
        for rule in rules_of(obj):
            found[rule.path] = True
            for backend in rule.backends:
                found[backend.path] = dict(backend.body)
                found[f"{backend.path}{WEIGHT}"] = backend.weight
            for place in rule.filter_lists():
                found |= dict(place.mirrors(base or {}))
        return found

    def hold(self, obj: Object, base: Fields, *, scene: Scene, demand: Demand) -> Fields:
        """See the module's text."""
        bad = demand.bad_services(scene) if demand.shift else frozenset()
        if not bad:
            return {}
        wanted: dict[str, Any] = {}
        for rule in rules_of(obj):
            wanted |= _held_backends(rule, base, bad=bad, scene=scene, demand=demand)
        # `base` shows a mirror whether it is still there or already held away.
        for path, value in base.items():
            if is_mirror(path) and value is not ABSENT:
                ref = (value["filter"].get("requestMirror") or {}).get("backendRef") or {}
                if service_of(ref, namespace=scene.namespace) in bad:
                    wanted[path] = ABSENT
        return wanted

    def write(self, obj: Object, changes: Sequence[Change]) -> Request:
        """Weights first, then removals from the back, then additions: indexes stay true throughout."""
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": surface.uid_of(obj)},
            {"op": "test", "path": "/metadata/generation", "value": surface.metadata(obj).get("generation")},
            *_operations(obj, changes),
        ]
        return json_patch(
            self.resource,
            operations,
            namespace=surface.namespace_of(obj),
            name=surface.name_of(obj),
            manager=self.manager,
        )

    def prove(self, obj: Object) -> Proof:
        """L1 once every gateway that reports on the route accepted this generation; none reporting is L0."""
        parents = (obj.get("status") or {}).get("parents") or ()
        if not parents:
            return Proof("L0", "stored; no gateway has reported on this route")
        generation = int(surface.metadata(obj).get("generation") or 0)
        for parent in parents:
            for type_ in ("Accepted", "ResolvedRefs"):
                if not _accepted(parent, type_, generation=generation):
                    name = (parent.get("parentRef") or {}).get("name", "?")
                    return Proof("L0", f"stored; gateway {name} has not reported {type_} for generation {generation}")
        return Proof("L1", "every gateway of the route accepted this generation")

    def settled(self, obj: Object) -> str:
        """A restored route is in service as far as the API shows."""
        return ""


HTTP = RouteSurface(HTTP_ROUTES)
GRPC = RouteSurface(GRPC_ROUTES)


def backend_services(obj: Object) -> frozenset[str]:
    """Services of the route's own namespace that it sends to."""
    namespace = surface.namespace_of(obj)
    found = (service_of(backend.body, namespace=namespace) for rule in rules_of(obj) for backend in rule.backends)
    return frozenset(name for name in found if name is not None)


def _held_backends(rule: Rule, base: Fields, *, bad: frozenset[str], scene: Scene, demand: Demand) -> dict[str, Any]:
    """What becomes of a rule's backends. Those that we added have no base; they are not part of what the rule was."""

    def leads_to(backend: Backend) -> str | None:
        return service_of(backend.body, namespace=scene.namespace)

    ours = [b for b in rule.backends if base.get(b.path) is ABSENT]
    before = [b for b in rule.backends if b not in ours]
    lost = [b for b in before if leads_to(b) in bad]
    # One that we added goes when another takes its part, or when it turns out bad itself.
    wanted: dict[str, Any] = {b.path: ABSENT for b in ours if lost or leads_to(b) in bad}
    wanted |= {f"{b.path}{WEIGHT}": 0 for b in lost}
    taken = {b.path: share for b in lost if (share := _base_weight(b, base)) > 0}
    good = demand.good_services(scene)
    if not good or not taken:
        return wanted
    added = _added(lost[0], scene=scene, demand=demand, weight=min(sum(taken.values()), _HIGHEST_WEIGHT))
    path = rule.backend_path(added)
    heirs = [b for b in before if leads_to(b) in {s.name for s in good}]
    if heirs and base.get(path) is not ABSENT:
        return wanted | _inherited(heirs, [b for b in lost if b.path in taken], base)
    return wanted | ({path: added} if len(before) < _MOST_BACKENDS else {})


def _base_weight(backend: Backend, base: Fields) -> int:
    return int(base[f"{backend.path}{WEIGHT}"])


def _inherited(heirs: Sequence[Backend], lost: Sequence[Backend], base: Fields) -> dict[str, int]:
    """Weights of the known-good backends: each lost one's goes to the one on the same port, else to the first."""
    found: dict[str, int] = {}
    for backend in lost:
        heir = next((h for h in heirs if h.body.get("port") == backend.body.get("port")), heirs[0])
        path = f"{heir.path}{WEIGHT}"
        found[path] = min(found.get(path, _base_weight(heir, base)) + _base_weight(backend, base), _HIGHEST_WEIGHT)
    return found


def _added(lost: Backend, *, scene: Scene, demand: Demand, weight: int) -> dict[str, Any]:
    """A backend for the good Service: on the port that the fallback names, else on that of the lost one."""
    service = demand.good_services(scene)[0]
    named = demand.fallback.port if demand.known_good is None and demand.fallback else None
    port = next(
        (p for p in (named, lost.body.get("port"), *service.ports) if p in service.ports), lost.body.get("port")
    )
    return {"group": "", "kind": "Service", "name": service.name, "port": port, "weight": weight}


def _accepted(parent: Mapping[str, Any], type_: str, *, generation: int) -> bool:
    return any(
        c.get("type") == type_ and c.get("status") == "True" and int(c.get("observedGeneration") or 0) >= generation
        for c in parent.get("conditions") or ()
    )


def _operations(obj: Object, changes: Sequence[Change]) -> Iterator[dict[str, Any]]:
    by_path = {change.path: change for change in changes}
    for rule in rules_of(obj):
        for backend in rule.backends:
            if (change := by_path.get(f"{backend.path}{WEIGHT}")) is not None:
                yield {"op": "add", "path": f"{backend.pointer}/weight", "value": change.after}
        for place in rule.filter_lists():
            yield from _filters(place, by_path)
        yield from _backends(rule, by_path)


def _backends(rule: Rule, by_path: Mapping[str, Change]) -> Iterator[dict[str, Any]]:
    """Backends that we added: corrected or removed from the back, then those that are missing."""
    for backend in reversed(rule.backends):
        if (change := by_path.get(backend.path)) is not None:
            if change.after is ABSENT:
                yield {"op": "remove", "path": backend.pointer}
            else:
                yield {"op": "replace", "path": backend.pointer, "value": change.after}
    present = {backend.path for backend in rule.backends}
    for path, change in by_path.items():
        if rule.has_backend(path) and path not in present and change.after is not ABSENT:
            yield {"op": "add", "path": f"{rule.pointer}/backendRefs/-", "value": change.after}


def _filters(place: FilterList, by_path: Mapping[str, Change]) -> Iterator[dict[str, Any]]:
    """Mirrors: removed from the back, then put back each before what followed it."""
    after = {name: change.after for name, change in place.within(by_path).items()}
    present = list(place.names)
    for index in reversed(range(len(present))):
        if after.get(present[index]) is ABSENT:
            yield {"op": "remove", "path": f"{place.pointer}/{index}"}
            del present[index]
    for name, mirror in [(n, value) for n, value in after.items() if value is not ABSENT]:
        index = place_of(mirror, present)
        if present:
            yield {"op": "add", "path": f"{place.pointer}/{index}", "value": mirror["filter"]}
        else:
            yield {"op": "add", "path": place.pointer, "value": [mirror["filter"]]}
        present.insert(index, name)
