"""KEDA's ScaledObjects: paused at zero by annotations, so that no trigger wakes a target that must not run.

`paused-replicas` says at how many, `paused` says so to versions that take the other for a wish. KEDA then stops its
loop, deletes the HorizontalPodAutoscaler that it made, and scales its target to zero once; when the
annotations are gone it makes another. Nothing but these two annotations is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazaretto.domain.fields import Change, Fields
from lazaretto.domain.scene import Bounds, Demand, Scene
from lazaretto.kube import annotation, surface
from lazaretto.kube.request import Request
from lazaretto.kube.resource import SCALED_OBJECTS
from lazaretto.kube.surface import Object, Proof

PAUSED = annotation.path_of("autoscaling.keda.sh/paused")
PAUSED_REPLICAS = annotation.path_of("autoscaling.keda.sh/paused-replicas")


class ScaledObjectSurface:
    """See `Surface`."""

    resource = SCALED_OBJECTS
    manager = "lazaretto-autoscaler"
    owned: tuple[str, ...] = ("f:metadata", "f:annotations")
    release_stage = surface.AUTOSCALERS_LAST
    fence = ""

    def read(self, obj: Object, *, base: Fields | None = None) -> Fields:
        """Both annotations."""
        return {path: annotation.value_at(obj, path) for path in (PAUSED, PAUSED_REPLICAS)}

    def hold(self, obj: Object, base: Fields, *, scene: Scene, demand: Demand) -> Fields:
        """Paused at zero if it scales a workload that must not run."""
        target = (obj.get("spec") or {}).get("scaleTargetRef") or {}
        kind, name = target.get("kind") or "Deployment", target.get("name")
        held = any((w.kind, w.name) == (kind, name) for w in demand.scale_to_zero)
        return {PAUSED: "true", PAUSED_REPLICAS: "0"} if held else {}

    def write(self, obj: Object, changes: Sequence[Change]) -> Request:
        """A JSON patch of the annotations that change."""
        return annotation.patch(obj, changes, resource=self.resource, manager=self.manager)

    def prove(self, obj: Object) -> Proof:
        """L1 once KEDA says that it is paused."""
        conditions = (obj.get("status") or {}).get("conditions") or ()
        if any(c.get("type") == "Paused" and c.get("status") == "True" for c in conditions):
            return Proof("L1", "KEDA has paused it")
        return Proof("L0", "stored; KEDA has not said that it is paused")

    def settled(self, obj: Object) -> str:
        """A ScaledObject is in service as soon as it is stored."""
        return ""


def bounds_of(obj: Object) -> tuple[tuple[str, str], Bounds]:
    """Kind and name of what a ScaledObject scales, and what it keeps it within."""
    spec = obj.get("spec") or {}
    target = spec.get("scaleTargetRef") or {}
    most = spec.get("maxReplicaCount")
    found = Bounds(int(spec.get("minReplicaCount") or 0), 100 if most is None else int(most))
    return (str(target.get("kind") or "Deployment"), str(target.get("name") or "")), found
