"""Which ConfigMaps a workload names, and what is kept of them: digests, and never a value. Pure.

Of Secrets nothing is kept: the digest of a short secret is as good as the secret.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]

MOST_NAMED = 16
"""ConfigMaps of which digests are kept."""


def config_maps_of(workloads: Iterable[Object]) -> list[str]:
    """Names of ConfigMaps that the pod templates of these workloads take files or environment from, in order."""
    templates = ((w.get("spec") or {}).get("template") or {} for w in workloads)
    sources = (source for template in templates for source in _sources(template.get("spec") or {}))
    return sorted({str(source["name"]) for source in sources if source.get("name")})[:MOST_NAMED]


def digests_of(body: Object) -> dict[str, Any]:
    """Which version of a ConfigMap it was, and the SHA-256 of each of its values."""
    meta = body.get("metadata") or {}
    values = {key: str(value).encode() for key, value in (body.get("data") or {}).items()}
    values |= {key: base64.b64decode(value) for key, value in (body.get("binaryData") or {}).items()}
    return {
        **{key: meta.get(key) for key in ("name", "uid", "resourceVersion")},
        "sha256": {key: hashlib.sha256(value).hexdigest() for key, value in sorted(values.items())},
    }


def _sources(spec: Object) -> Iterator[Object]:
    for volume in spec.get("volumes") or ():
        for each in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            yield each.get("configMap") or {}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        yield from (each.get("configMapRef") or {} for each in container.get("envFrom") or ())
        yield from ((each.get("valueFrom") or {}).get("configMapKeyRef") or {} for each in container.get("env") or ())
