"""Which ConfigMaps and Secrets a workload names, and what is kept of them: digests, and never a value. Pure.

The plain digest of a short secret is as good as the secret. So a Secret has one digest over all of its values, by
scrypt (RFC 7914) under a salt of its own: no table has it, and each guess is dear.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]

MOST_NAMED = 16
"""ConfigMaps, and Secrets, of which digests are kept."""
COST = {"n": 1 << 15, "r": 8, "p": 1}
"""Of one guess at a Secret: 32 MiB, and about a tenth of a second."""
_MEMORY = 64 << 20


def config_maps_of(workloads: Iterable[Object]) -> list[str]:
    """Names of ConfigMaps that the pod templates of these workloads take files or environment from, in order."""
    return _named(workloads, _config_maps)


def secrets_of(workloads: Iterable[Object]) -> list[str]:
    """Names of Secrets that the pod templates of these workloads take files or environment from, in order."""
    return _named(workloads, _secrets)


def digests_of(body: Object) -> dict[str, Any]:
    """Which version of a ConfigMap it was, and the SHA-256 of each of its values."""
    meta = body.get("metadata") or {}
    values = {key: str(value).encode() for key, value in (body.get("data") or {}).items()}
    values |= {key: base64.b64decode(value) for key, value in (body.get("binaryData") or {}).items()}
    return {
        **{key: meta.get(key) for key in ("name", "uid", "resourceVersion")},
        "sha256": {key: hashlib.sha256(value).hexdigest() for key, value in sorted(values.items())},
    }


def sealed(body: Object, *, salt: bytes) -> dict[str, Any]:
    """Which version of a Secret it was, and one digest of all that was in it.

    It is scrypt over `.data` as the API server returns it, as JSON with sorted keys and no spaces.
    """
    meta = body.get("metadata") or {}
    content = json.dumps(body.get("data") or {}, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.scrypt(content, salt=salt, maxmem=_MEMORY, dklen=32, **COST)
    return {
        "kind": "Secret",
        **{key: meta.get(key) for key in ("name", "uid", "resourceVersion")},
        "scrypt": {"salt": salt.hex(), "digest": digest.hex(), **COST},
    }


def _named(workloads: Iterable[Object], sources: Callable[[Object], Iterator[Any]]) -> list[str]:
    templates = ((w.get("spec") or {}).get("template") or {} for w in workloads)
    names = (name for template in templates for name in sources(template.get("spec") or {}))
    return sorted({str(name) for name in names if name})[:MOST_NAMED]


def _config_maps(spec: Object) -> Iterator[Any]:
    yield from ((source.get("configMap") or {}).get("name") for source in _files(spec))
    yield from ((source.get("configMapRef") or {}).get("name") for source in _each(spec, "envFrom"))
    yield from (_key_of(variable, "configMapKeyRef") for variable in _each(spec, "env"))


def _secrets(spec: Object) -> Iterator[Any]:
    for source in _files(spec):
        secret = source.get("secret") or {}
        # A volume of its own says secretName, a projected one says name.
        yield secret.get("secretName") or secret.get("name")
    yield from ((source.get("secretRef") or {}).get("name") for source in _each(spec, "envFrom"))
    yield from (_key_of(variable, "secretKeyRef") for variable in _each(spec, "env"))


def _files(spec: Object) -> Iterator[Object]:
    for volume in spec.get("volumes") or ():
        yield volume
        yield from (volume.get("projected") or {}).get("sources") or ()


def _each(spec: Object, field: str) -> Iterator[Object]:
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        yield from container.get(field) or ()


def _key_of(variable: Object, reference: str) -> Any:
    return ((variable.get("valueFrom") or {}).get(reference) or {}).get("name")
