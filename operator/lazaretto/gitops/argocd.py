"""Argo CD's Applications: one that owns a held object is not reconciled as long as that is held.

`skip-reconcile` stops everything that Argo CD does for an Application by itself: self-heal, automatic syncs, and its
status (`canProcessApp` in `controller/appcontroller.go`, 3.5). It cannot be narrowed to one object. So an
Application is touched only if its own status lists the held object, and it deploys to this namespace of this
cluster; what the held object says of its owner is not believed, as anybody may write it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lazaretto.domain.fields import Change, Fields
from lazaretto.domain.scene import Demand, Reference, Scene
from lazaretto.kube import annotation, surface
from lazaretto.kube.request import Request
from lazaretto.kube.resource import APPLICATIONS
from lazaretto.kube.surface import Object, Proof

_THIS_CLUSTER = ("https://kubernetes.default.svc", "in-cluster")


class ApplicationSurface:
    """See `Surface`."""

    resource = APPLICATIONS
    manager = "lazaretto-gitops"
    owned: tuple[str, ...] = ("f:metadata", "f:annotations")
    release_stage = surface.GITOPS_LAST
    fence = ""

    def read(self, obj: Object, *, base: Fields | None = None) -> Fields:
        """The annotation."""
        return {annotation.ARGO_CD_SKIP: annotation.value_at(obj, annotation.ARGO_CD_SKIP)}

    def hold(self, obj: Object, base: Fields, *, scene: Scene, demand: Demand) -> Fields:
        """Not reconciled, if it owns something that is held."""
        if not demand.pause_gitops or not _deploys_to(obj, namespace=scene.namespace):
            return {}
        owned = set(_resources(obj, namespace=scene.namespace))
        return {annotation.ARGO_CD_SKIP: "true"} if owned & demand.held else {}

    def write(self, obj: Object, changes: Sequence[Change]) -> Request:
        """A JSON patch of the annotation."""
        return annotation.patch(obj, changes, resource=self.resource, manager=self.manager)

    def prove(self, obj: Object) -> Proof:
        """Stored is all that an Application shows: its status is not written any more."""
        return Proof("L0", "Argo CD is told to leave it; nothing that it owns is synced")

    def settled(self, obj: Object) -> str:
        """Argo CD takes it up again by itself."""
        return ""


def _deploys_to(obj: Object, *, namespace: str) -> bool:
    destination: Mapping[str, Any] = (obj.get("spec") or {}).get("destination") or {}
    here = destination.get("server") in _THIS_CLUSTER or destination.get("name") in _THIS_CLUSTER
    return here and destination.get("namespace") == namespace


def _resources(obj: Object, *, namespace: str) -> Iterator[Reference]:
    """What the Application manages in the namespace, as its controller lists it in `status.resources`."""
    for entry in (obj.get("status") or {}).get("resources") or ():
        if entry.get("namespace") == namespace:
            yield str(entry.get("group") or ""), str(entry.get("kind") or ""), str(entry.get("name") or "")
