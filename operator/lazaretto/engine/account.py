"""Who the operator is to the API server."""

from __future__ import annotations

import asyncio
import logging

from lazaretto.domain.admission import NAMESPACE
from lazaretto.errors import ApiError, Forbidden, Invalid, NotFound
from lazaretto.kube.api_server import Api
from lazaretto.kube.resource import SELF_REVIEWS

log = logging.getLogger(__name__)

AGAIN = 5.0


async def own_namespace(api: Api) -> str:
    """Where our account lives, and what is installed with it; asked until there is an answer.

    An administrator's account lives nowhere, and some clusters do not say: then it is the namespace of the manifests.
    """
    body = {"apiVersion": SELF_REVIEWS.api_version, "kind": SELF_REVIEWS.kind}
    while True:
        try:
            answer = await api.create(SELF_REVIEWS, body, namespace="", manager="lazaretto")
        except (Forbidden, Invalid, NotFound) as error:
            # Hardened clusters take this right away from everybody; nothing may wait for it for ever.
            log.warning("own account not known, taken to live in %s: %s", NAMESPACE, error)
            return NAMESPACE
        except ApiError as error:
            log.info("own account not known yet: %s", error)
            await asyncio.sleep(AGAIN)
            continue
        parts = str(((answer.get("status") or {}).get("userInfo") or {}).get("username", "")).split(":")
        return parts[2] if parts[:2] == ["system", "serviceaccount"] and len(parts) == 4 else NAMESPACE
