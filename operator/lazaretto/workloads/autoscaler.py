"""`autoscaling/v2` HorizontalPodAutoscalers: held so that they cannot wake a target at zero.

An HPA leaves a target at zero replicas alone as long as its own minimum is above zero, but
one with `minReplicas: 0` (Kubernetes 1.37, HPAScaleToZero) revives it. `scaleUp.selectPolicy:
Disabled` forbids every scale-up and leaves all else as it was.

The API server completes a `behavior` with defaults. Values are compared in completed form, and
an absent `behavior` stays different from a completed one: release removes it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lazaretto.domain.fields import ABSENT, Change, Fields
from lazaretto.domain.scene import Bounds, Demand, Scene
from lazaretto.kube import surface
from lazaretto.kube.request import Request, json_patch
from lazaretto.kube.resource import AUTOSCALERS, SCALED_OBJECTS
from lazaretto.kube.surface import Object, Proof

BEHAVIOR = "spec.behavior"

# Kubernetes' pkg/apis/autoscaling/v2/defaults.go: what a rule becomes that leaves these out.
_SCALE_UP = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_SCALE_DOWN = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


class AutoscalerSurface:
    """See `Surface`."""

    resource = AUTOSCALERS
    manager = "lazaretto-autoscaler"
    owned: tuple[str, ...] = ("f:spec", "f:behavior")
    release_stage = surface.AUTOSCALERS_LAST
    fence = ""

    def read(self, obj: Object, *, base: Fields | None = None) -> Fields:
        """The scaling behaviour in completed form."""
        behavior = (obj.get("spec") or {}).get("behavior")
        return {BEHAVIOR: ABSENT if behavior is None else _completed(behavior)}

    def hold(self, obj: Object, base: Fields, *, scene: Scene, demand: Demand) -> Fields:
        """Scale-up disabled for an autoscaler of a workload that must not run, or not grow."""
        target = (obj.get("spec") or {}).get("scaleTargetRef") or {}
        # What KEDA made it puts right again at once; while its target serves on, the fence alone keeps it from growing.
        owners = surface.metadata(obj).get("ownerReferences") or ()
        ours = not any(owner.get("kind") == SCALED_OBJECTS.kind for owner in owners)
        stays = (*demand.scale_to_zero, *(demand.tolerated if ours else ()))
        if not any(w.kind == target.get("kind") and w.name == target.get("name") for w in stays):
            return {}
        behavior = base.get(BEHAVIOR, ABSENT)
        before = {} if behavior is ABSENT else behavior
        held = {**before, "scaleUp": {**(before.get("scaleUp") or {}), "selectPolicy": "Disabled"}}
        return {BEHAVIOR: _completed(held)}

    def write(self, obj: Object, changes: Sequence[Change]) -> Request:
        """A JSON patch of the whole behaviour: only so can it be removed again without a trace."""
        (change,) = changes
        operation: dict[str, Any] = {"op": "add", "path": "/spec/behavior", "value": change.after}
        if change.after is ABSENT:
            operation = {"op": "remove", "path": "/spec/behavior"}
        return json_patch(
            self.resource,
            [{"op": "test", "path": "/metadata/uid", "value": surface.uid_of(obj)}, operation],
            namespace=surface.namespace_of(obj),
            name=surface.name_of(obj),
            manager=self.manager,
        )

    def prove(self, obj: Object) -> Proof:
        """Stored is all that an HPA shows: its controller acts on the stored spec."""
        return Proof("L0", "scale-up is disabled")

    def settled(self, obj: Object) -> str:
        """An HPA is in service as soon as it is stored."""
        return ""


def bounds_of(obj: Object) -> tuple[tuple[str, str], Bounds]:
    """Kind and name of what an HPA scales, and what it keeps it within."""
    spec = obj.get("spec") or {}
    target = spec.get("scaleTargetRef") or {}
    least = spec.get("minReplicas")
    found = Bounds(1 if least is None else int(least), int(spec.get("maxReplicas") or 1))
    return (str(target.get("kind") or ""), str(target.get("name") or "")), found


def _completed(behavior: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **behavior,
        "scaleUp": {**_SCALE_UP, **(behavior.get("scaleUp") or {})},
        "scaleDown": {**_SCALE_DOWN, **(behavior.get("scaleDown") or {})},
    }
