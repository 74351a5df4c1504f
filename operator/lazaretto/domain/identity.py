"""What makes two pod templates the same model revision.

The identity covers what the pods load and run: images, commands, arguments, environment,
and where files are mounted from. Labels, replicas, resources and probes do not matter. An
image tag or a `hf://` reference counts as written. What a tag stands for is not part of it;
surveys learn that from the pods that run (`domain/digests.py`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

_DIGEST = re.compile("sha256:[0-9a-f]{64}")
_HUB = re.compile(r"hf://[^\s'\",;]+")
_COMMIT = re.compile("@[0-9a-f]{40}$")
_CONTAINER_FIELDS = (
    "name",
    "image",
    "command",
    "args",
    "workingDir",
    "env",
    "envFrom",
    "volumeMounts",
    "volumeDevices",
)

# The API server fills these in where a manifest is silent. The first do not decide what is loaded, whatever
# they say; the others do, and mean the same as silence at this value alone.
_IMMATERIAL = frozenset({"defaultMode", "expirationSeconds", "pullPolicy"})
_FILLED_IN = {"apiVersion": "v1", "divisor": "0", "iscsiInterface": "default", "volumeMode": "Filesystem"}


def identity_of(template: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over the parts of a pod template that decide which model is served."""
    return _hash(template, _CONTAINER_FIELDS)


def frame_of(template: Mapping[str, Any]) -> str:
    """The same without the containers' images: what runs in them is the same under another name."""
    return _hash(template, [field for field in _CONTAINER_FIELDS if field != "image"])


def _hash(template: Mapping[str, Any], fields: Sequence[str]) -> str:
    spec = template.get("spec") or {}
    content = {
        "containers": [_container(c, fields) for c in spec.get("containers") or ()],
        "initContainers": [_container(c, fields) for c in spec.get("initContainers") or ()],
        "volumes": spec.get("volumes") or [],
    }
    told = {part: without_defaults(value) for part, value in content.items()}
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


class Loads(TypedDict):
    """What the pods of a template load and run, as a `Workload` has it."""

    identity: str
    images: tuple[str, ...]
    unpinned: tuple[str, ...]
    tagged: tuple[tuple[str, str], ...]
    pinned: tuple[tuple[str, str], ...]
    frame: str
    resolvable: bool


def loads_of(template: Mapping[str, Any]) -> Loads:
    """All of that at once."""
    return Loads(
        identity=identity_of(template),
        images=tuple(images_of(template)),
        unpinned=tuple(unpinned(template)),
        tagged=tuple(tagged(template)),
        pinned=tuple(pinned(template)),
        frame=frame_of(template),
        resolvable=not unresolvable(template),
    )


def images_of(template: Mapping[str, Any]) -> list[str]:
    """Images of the template's containers, as written."""
    return [str(c.get("image", ""))[:512] for c in (template.get("spec") or {}).get("containers") or ()][:16]


def unpinned(template: Mapping[str, Any]) -> list[str]:
    """References of the template that may stand for something else tomorrow, at most 16.

    These are images, image volumes included, without a digest, and `hf://` references without a commit.
    """
    found = [*(image for _, image in tagged(template)), *unresolvable(template)]
    return [ref[:512] for ref in dict.fromkeys(found)][:16]


def tagged(template: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Containers, those for initialisation included, whose image has no digest, each with that image."""
    images = [(str(c.get("name") or ""), str(c.get("image") or "")) for c in _containers(template)]
    return [(name, image) for name, image in images if image and not image_digest(image)]


def pinned(template: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Containers, those for initialisation included, whose image is named by digest, each with that digest."""
    digests = [(str(c.get("name") or ""), image_digest(str(c.get("image") or ""))) for c in _containers(template)]
    return [(name, digest) for name, digest in digests if digest]


def unresolvable(template: Mapping[str, Any]) -> list[str]:
    """References without a digest or commit of which no running pod tells what they stood for."""
    volumes = (template.get("spec") or {}).get("volumes") or ()
    images = [str((v.get("image") or {}).get("reference") or "") for v in volumes]
    found = [image for image in images if image and not image_digest(image)]
    hub = (ref for c in _containers(template) for text in _texts(c) for ref in _HUB.findall(text))
    return [*found, *(ref for ref in hub if not _COMMIT.search(ref))]


def image_digest(image: str) -> str:
    """The digest by which an image reference names its content; empty if it names it otherwise, as by a tag."""
    _, _, digest = image.partition("@")
    return digest if _DIGEST.fullmatch(digest) else ""


def revision_name(model: str, identity: str) -> str:
    """Name of the ModelRevision that the operator writes for an identity."""
    return f"{model}-{identity[:10]}"


def without_defaults(value: Any) -> Any:
    """The value without what the API server fills in or drops: a manifest and its stored form are the same."""
    if isinstance(value, list):
        return [without_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {k: without_defaults(v) for k, v in value.items() if k not in _IMMATERIAL}
    return {k: v for k, v in kept.items() if not _says_nothing(v) and v != _FILLED_IN.get(k)}


def _says_nothing(value: Any) -> bool:
    """Whether a field of this value means the same as no field; a zero says something."""
    return value is None or value is False or value in ("", [], {})


def _containers(template: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    spec = template.get("spec") or {}
    return [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]


def _texts(container: Mapping[str, Any]) -> list[str]:
    """What a container is told at its start."""
    told = [*(container.get("command") or ()), *(container.get("args") or ())]
    told += [e.get("value") or "" for e in container.get("env") or ()]
    return [str(text) for text in told]


def _container(container: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    return {field: container[field] for field in fields if container.get(field)}
