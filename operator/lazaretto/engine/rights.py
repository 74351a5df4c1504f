"""What the operator may do in a namespace, asked of the API server before it is needed.

Nothing is decided by these answers but what is said on a model: a write that is refused is refused then.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from lazaretto.engine.clock import Clock
from lazaretto.errors import ApiError
from lazaretto.kube.api_server import Api
from lazaretto.kube.resource import ACCESS_REVIEWS, AUTOSCALERS, DEPLOYMENTS, SERVICES, ResourceType
from lazaretto.traffic.registry import ROUTES

log = logging.getLogger(__name__)

RIGHTS_AGE = timedelta(minutes=5)
_NEEDED: tuple[tuple[ResourceType, str], ...] = ((DEPLOYMENTS, "scale"), (AUTOSCALERS, ""), (SERVICES, ""))
_Question = tuple[str, str, str, str]


class Rights:
    """Answers, good for a few minutes; a right that is lacking is asked for again at once, as somebody may mend it."""

    def __init__(self, api: Api, *, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._granted: dict[_Question, datetime] = {}

    async def lacking(self, namespace: str) -> list[str]:
        """Writes that a containment takes and that the operator would be refused, for people."""
        needed = [*_NEEDED, *((surface.resource, "") for surface, _ in ROUTES)]
        answers = await asyncio.gather(*(self.may_not("patch", namespace, kind, sub) for kind, sub in needed))
        return [text for text in answers if text]

    async def may_not(self, verb: str, namespace: str, resource: ResourceType, subresource: str = "") -> str:
        """Which right is lacking, for people; empty if it is granted, or not known."""
        question, now = (verb, namespace, resource.plural, subresource), self._clock.now()
        granted = self._granted.get(question)
        if granted is not None and now - granted < RIGHTS_AGE:
            return ""
        text = await self._ask(verb, namespace, resource, subresource)
        if text:
            self._granted.pop(question, None)
        else:
            self._granted[question] = now
        return text

    async def _ask(self, verb: str, namespace: str, resource: ResourceType, subresource: str) -> str:
        attributes = {
            "namespace": namespace,
            "verb": verb,
            "group": resource.group,
            "resource": resource.plural,
            "subresource": subresource,
        }
        body = {
            "apiVersion": ACCESS_REVIEWS.api_version,
            "kind": ACCESS_REVIEWS.kind,
            "spec": {"resourceAttributes": attributes},
        }
        try:
            answer = await self._api.create(ACCESS_REVIEWS, body, namespace="", manager="lazaretto")
        except ApiError as error:
            log.info("rights in %s not known: %s", namespace, error)
            return ""
        name = f"{resource.plural}/{subresource}" if subresource else resource.plural
        return "" if (answer.get("status") or {}).get("allowed") else f"may not {verb} {name}"
