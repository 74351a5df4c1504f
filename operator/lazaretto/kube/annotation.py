"""Annotations of foreign objects as held fields: where they stand in an object, and the patch that changes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lazaretto.domain.fields import ABSENT, Change, Value
from lazaretto.kube import surface
from lazaretto.kube.request import Request, json_patch
from lazaretto.kube.resource import ResourceType
from lazaretto.kube.surface import Object

_PREFIX = "metadata.annotations."


def path_of(annotation: str) -> str:
    """The field path of an annotation."""
    return f"{_PREFIX}{annotation}"


def is_annotation(path: str) -> bool:
    """Whether a field path is that of an annotation, which no admission policy of the fence guards."""
    return path.startswith(_PREFIX)


KUSTOMIZE_EXCLUSION: Final = path_of("kustomize.toolkit.fluxcd.io/reconcile")
HELM_EXCLUSION: Final = path_of("helm.toolkit.fluxcd.io/driftDetection")
ARGO_CD_SKIP: Final = path_of("argocd.argoproj.io/skip-reconcile")
ASIDE = (KUSTOMIZE_EXCLUSION, HELM_EXCLUSION, ARGO_CD_SKIP)


def is_aside(path: str) -> bool:
    """Whether a field keeps a GitOps tool away and does nothing to the model itself: no proof rests on it."""
    return path in ASIDE


def value_at(obj: Object, path: str) -> Value:
    """The annotation's value, or `ABSENT`."""
    return (surface.metadata(obj).get("annotations") or {}).get(path.removeprefix(_PREFIX), ABSENT)


def patch(obj: Object, changes: Sequence[Change], *, resource: ResourceType, manager: str) -> Request:
    """A JSON patch of the annotations that change, guarded on the object's uid."""
    meta = surface.metadata(obj)
    operations: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": surface.uid_of(obj)}]
    if not meta.get("annotations"):
        # There is no place for them yet, and making one must not wipe out what somebody puts there meanwhile.
        version = str(meta.get("resourceVersion", ""))
        operations.append({"op": "test", "path": "/metadata/resourceVersion", "value": version})
        operations.append({"op": "add", "path": "/metadata/annotations", "value": {}})
    operations += [_operation(change) for change in changes]
    return json_patch(
        resource, operations, namespace=surface.namespace_of(obj), name=surface.name_of(obj), manager=manager
    )


def _operation(change: Change) -> dict[str, Any]:
    name = change.path.removeprefix(_PREFIX).replace("~", "~0").replace("/", "~1")
    path = f"/metadata/annotations/{name}"
    return (
        {"op": "remove", "path": path} if change.after is ABSENT else {"op": "add", "path": path, "value": change.after}
    )
