"""Core Services: the selector is moved to the known-good pods.

A Service is moved when nothing in front of it can do the shift: it leads to good and bad pods
alike, or no route sends to it. A Service that only a route uses and that leads to bad pods
alone is left as it is; the route stops sending to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazaretto.domain.fields import Change, Fields
from lazaretto.domain.scene import Demand, Scene, ServiceFacts
from lazaretto.kube import surface
from lazaretto.kube.request import Request, json_patch
from lazaretto.kube.resource import SERVICES
from lazaretto.kube.surface import Object, Proof

SELECTOR = "spec.selector"


class ServiceSurface:
    """See `Surface`."""

    resource = SERVICES
    manager = "lazaretto-traffic"
    owned: tuple[str, ...] = ("f:spec", "f:selector")
    release_stage = surface.THEN_TRAFFIC
    fence = "lazaretto-fence-services"

    def read(self, obj: Object, *, base: Fields | None = None) -> Fields:
        """The selector as a whole: half a selector selects the wrong pods."""
        return {SELECTOR: dict((obj.get("spec") or {}).get("selector") or {})}

    def hold(self, obj: Object, base: Fields, *, scene: Scene, demand: Demand) -> Fields:
        """The selector of the known-good pods, or of the fallback's."""
        service = scene.service(surface.name_of(obj))
        if not demand.shift or service is None or not any(service.selects(w) for w in demand.compromised):
            return {}
        if service.name in scene.routed & demand.bad_services(scene) and demand.good_services(scene):
            return {}
        selector = demand.selector_for(service, scene=scene)
        return {SELECTOR: selector} if selector is not None else {}

    def write(self, obj: Object, changes: Sequence[Change]) -> Request:
        """The selector as a whole, unless somebody else moved it since it was read."""
        (change,) = changes
        # A Service without a selector has nothing to test, and nothing to replace.
        unmoved = [{"op": "test", "path": "/spec/selector", "value": change.before}] if change.before else []
        return json_patch(
            self.resource,
            [
                {"op": "test", "path": "/metadata/uid", "value": surface.uid_of(obj)},
                *unmoved,
                {"op": "add", "path": "/spec/selector", "value": change.after},
            ],
            namespace=surface.namespace_of(obj),
            name=surface.name_of(obj),
            manager=self.manager,
        )

    def prove(self, obj: Object) -> Proof:
        """A Service has no status; its EndpointSlices are compared elsewhere."""
        return Proof("L0", "stored")

    def settled(self, obj: Object) -> str:
        """Endpoints follow by themselves."""
        return ""


def service_facts(obj: Object, *, selector: Any = None) -> ServiceFacts:
    """The facts that decisions need; `selector` is the base of one that is held."""
    spec = obj.get("spec") or {}
    live = spec.get("selector") or {}
    ports = tuple(int(p["port"]) for p in spec.get("ports") or ())
    return ServiceFacts(surface.name_of(obj), surface.uid_of(obj), live if selector is None else selector, ports)
