"""Whether what a pod template names is there: ConfigMaps, volume claims and the ServiceAccount.

Secrets are not ours to read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from lazaretto.domain.copy_of_record import needs_of
from lazaretto.engine.rights import Rights
from lazaretto.errors import ApiError, NotFound
from lazaretto.kube.api_server import Api
from lazaretto.kube.resource import CONFIG_MAPS, SERVICE_ACCOUNTS, VOLUME_CLAIMS

_KINDS = {each.kind: each for each in (CONFIG_MAPS, SERVICE_ACCOUNTS, VOLUME_CLAIMS)}


async def missing(api: Api, template: Mapping[str, Any], *, namespace: str, rights: Rights | None = None) -> list[str]:
    """What its pods do not start without and what does not exist, as Kind/name.

    With `rights`, only what the operator may read is asked for, and what could not be read counts as there. Without,
    raises `ApiError` where something could not be read.
    """
    needs = needs_of(template)
    kinds = {kind for kind, _ in needs}
    if rights is not None:
        told = await asyncio.gather(*(rights.may_not("get", namespace, _KINDS[kind]) for kind in sorted(kinds)))
        kinds = {kind for kind, lacking in zip(sorted(kinds), told, strict=True) if not lacking}
    asked = [(kind, name) for kind, name in needs if kind in kinds]
    try:
        answers = await asyncio.gather(*(_is_there(api, kind, name, namespace=namespace) for kind, name in asked))
    except ApiError:
        if rights is None:
            raise
        return []
    return [f"{kind}/{name}" for (kind, name), there in zip(asked, answers, strict=True) if not there]


async def _is_there(api: Api, kind: str, name: str, *, namespace: str) -> bool:
    try:
        await api.get(_KINDS[kind], namespace=namespace, name=name)
    except NotFound:
        return False
    return True
