"""Posts Kubernetes Events: the short version of the timeline for `kubectl describe` and `kubectl events`.

Events are a courtesy. They have a bounded queue and are dropped, with a count, rather than
ever making anything wait; the timeline on the incident is the record.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lazaretto.api import API_VERSION, Resource
from lazaretto.api.aiincident import TimelineEntry
from lazaretto.api.meta import rfc3339
from lazaretto.errors import AlreadyExists, ApiError
from lazaretto.kube.api_server import Api
from lazaretto.kube.resource import EVENTS

log = logging.getLogger(__name__)

BOUND = 1000
WARNINGS = frozenset({"Interference", "Contested", "Kept", "Stalled", "Degraded"})


class EventWriter:
    """See the module's text."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(BOUND)
        self.dropped = 0

    def announce(self, about: Resource, entries: Iterable[TimelineEntry]) -> None:
        """One Event per timeline entry."""
        for entry in entries:
            kind = "Warning" if entry.type in WARNINGS else "Normal"
            self.post(about, kind, entry.type, entry.message, at=entry.at, identity=str(entry.seq))

    def post(self, about: Resource, kind: str, reason: str, message: str, *, at: datetime, identity: str) -> None:
        """Queue one Event. `identity` makes its name: the same one is posted once."""
        try:
            self._queue.put_nowait(
                (about.metadata.namespace, _event(about, kind, reason, message, at=at, identity=identity))
            )
        except asyncio.QueueFull:
            self.dropped += 1

    async def work(self) -> None:
        """Post what is queued, for ever."""
        while True:
            namespace, body = await self._queue.get()
            try:
                await self._api.create(EVENTS, body, namespace=namespace, manager="lazaretto-events")
            except AlreadyExists:
                pass
            except ApiError as error:
                self.dropped += 1
                log.warning("event %s not posted: %s", body["metadata"]["name"], error)


def _event(about: Resource, kind: str, reason: str, message: str, *, at: datetime, identity: str) -> dict[str, Any]:
    meta = about.metadata
    moment = rfc3339(at)[:19] + "Z"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta.name[:200]}.{meta.uid[:8]}.{identity}", "namespace": meta.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": about.facts.kind,
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
        },
        "type": kind,
        "reason": reason,
        "message": message[:1024],
        "source": {"component": "lazaretto"},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
