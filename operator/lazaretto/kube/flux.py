"""Has Flux leave single objects alone: one annotation more on whatever a surface holds.

Flux marks what it owns by labels. Its kustomize-controller skips an object whose live copy says `reconcile: disabled`,
and its helm-controller corrects no drift of one that says `driftDetection: disabled`
(`ssa/manager_apply.go` and `ssa/jsondiff/unstructured.go` in fluxcd/pkg, 0.83). Whoever forges the labels has
an annotation put there that concerns that object alone, and that they could set themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lazaretto.api.containment import MOST_FIELDS
from lazaretto.domain.fields import Change, Fields
from lazaretto.domain.scene import Demand, Scene
from lazaretto.kube import annotation, surface
from lazaretto.kube.request import Request
from lazaretto.kube.resource import ResourceType
from lazaretto.kube.surface import Object, Proof, Surface

DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class _Controller:
    owner: str
    """Label that names the owning object."""
    exclusion: str
    """Path of the annotation that excludes one object."""


_CONTROLLERS = (
    _Controller("kustomize.toolkit.fluxcd.io/name", annotation.KUSTOMIZE_EXCLUSION),
    _Controller("helm.toolkit.fluxcd.io/name", annotation.HELM_EXCLUSION),
)


class FluxHeld:
    """A surface of which Flux leaves the held objects alone, where the demand says so; see `Surface`.

    The annotation comes after what stops the model, with a write of its own, and nothing rests on it.
    """

    def __init__(self, inner: Surface) -> None:
        self.inner = inner
        self.resource: ResourceType = inner.resource
        self.manager = inner.manager
        self.owned = inner.owned
        self.release_stage = inner.release_stage
        self.fence = inner.fence

    def read(self, obj: Object, *, base: Fields | None = None) -> Fields:
        """The same, and both annotations."""
        excluded = {each.exclusion: annotation.value_at(obj, each.exclusion) for each in _CONTROLLERS}
        return {**self.inner.read(obj, base=base), **excluded}

    def hold(self, obj: Object, base: Fields, *, scene: Scene, demand: Demand) -> Fields:
        """The same, and the annotation of whoever owns the object, if the journal has room for it."""
        held = self.inner.hold(obj, base, scene=scene, demand=demand)
        kept = any(w.uid == surface.uid_of(obj) for w in demand.rolled_back)
        if not (held or kept) or not demand.pause_gitops:
            return held
        labels: Mapping[str, str] = surface.metadata(obj).get("labels") or {}
        owners = [each.exclusion for each in _CONTROLLERS if each.owner in labels]
        return {**held, **dict.fromkeys(owners[: max(0, MOST_FIELDS - len(held))], DISABLED)}

    def write(self, obj: Object, changes: Sequence[Change]) -> Request:
        """What the inner surface holds, or once that is as wanted, the annotations."""
        first = [change for change in changes if not annotation.is_aside(change.path)]
        if first:
            return self.inner.write(obj, first)
        return annotation.patch(obj, changes, resource=self.resource, manager=self.manager)

    def prove(self, obj: Object) -> Proof:
        """The same: Flux does not say what it leaves alone."""
        return self.inner.prove(obj)

    def settled(self, obj: Object) -> str:
        """The same."""
        return self.inner.settled(obj)
