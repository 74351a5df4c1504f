"""Which pods are kept as evidence, and what of them is changed so that nothing finds them any more. Pure.

All labels go: the ReplicaSet lets go of a pod that its selector does not select, no Service leads to it, and no
NetworkPolicy but ours selects it by name. What they were stays in an annotation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lazaretto.api.containment import EvidencePod
from lazaretto.api.meta import GROUP, LABEL_QUARANTINE
from lazaretto.domain.pod import is_ready

Object = Mapping[str, Any]

LABELS_BEFORE = f"{GROUP}/labels-before"


def choose(pods: Iterable[Object], *, most: int) -> list[EvidencePod]:
    """The oldest ready ones: what was compromised longest has the most to show."""
    ready = sorted((pod for pod in pods if is_ready(pod)), key=_age)
    return [EvidencePod(name=pod["metadata"]["name"], uid=pod["metadata"]["uid"]) for pod in ready[:most]]


def set_apart(pod: Object, *, model: str) -> Sequence[Mapping[str, Any]]:
    """The JSON patch that takes a pod out of everybody's hands; refused if it has changed since it was read."""
    meta = pod["metadata"]
    annotations = {**(meta.get("annotations") or {}), LABELS_BEFORE: json.dumps(meta.get("labels") or {})}
    orphaned = {"op": "add", "path": "/metadata/ownerReferences", "value": []}
    return [
        {"op": "test", "path": "/metadata/uid", "value": meta["uid"]},
        # A pod that is ending by now must not vanish from the eyes of those who wait for its end.
        {"op": "test", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]},
        {"op": "add", "path": "/metadata/labels", "value": {LABEL_QUARANTINE: model}},
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
        *([orphaned] if meta.get("ownerReferences") else []),
    ]


def _age(pod: Object) -> tuple[str, str]:
    meta = pod["metadata"]
    return str(meta.get("creationTimestamp", "")), str(meta["name"])
