"""Watches exactly the objects that are held, so that whoever moves one is undone at once.

There is no watch on a namespace's workloads: nothing is followed until it is held, and each
held object costs one stream. A stream that breaks is opened again; whatever comes of an event at
once, it is a bell as well, and the ticker finds what was missed in between. It also covers objects beyond
the bound on streams, each of which is a connection of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from lazaretto.engine.ending import ended
from lazaretto.engine.store import Key
from lazaretto.engine.surfaces import ALL
from lazaretto.errors import ApiError
from lazaretto.kube.api_server import Api
from lazaretto.kube.resource import NETWORK_POLICIES, ResourceType
from lazaretto.kube.surface import Object

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between streams that end as soon as they begin."""
MOST_STREAMS = 600
_TYPES: dict[str, ResourceType] = {surface.resource.kind: surface.resource for surface in ALL} | {
    NETWORK_POLICIES.kind: NETWORK_POLICIES
}


class Watched(Protocol):
    """What tells a held object."""

    @property
    def kind(self) -> str:
        """Its kind."""

    @property
    def name(self) -> str:
        """Its name."""


class Sentry:
    """Keeps one watch per held object; `ring` is called with the model's key on every event.

    Before that, `moved` is given the object as it is now, unless it is gone; it must not raise. Of one object there
    is one call at a time, so it sees the newest events last.
    """

    def __init__(
        self, api: Api, *, ring: Callable[[Key], None], moved: Callable[[Key, Object], Awaitable[None]]
    ) -> None:
        self._api = api
        self._ring = ring
        self._moved = moved
        self._posts: dict[Key, dict[str, asyncio.Task[None]]] = {}
        self._full = False

    def guard(self, key: Key, targets: Sequence[Watched]) -> None:
        """Watch these objects for the model from now on, and no others."""
        posts = self._posts.setdefault(key, {})
        wanted = {f"{t.kind}/{t.name}": t for t in targets if t.kind in _TYPES}
        for name in [name for name in posts if name not in wanted]:
            posts.pop(name).cancel()
        for name, target in wanted.items():
            if (name not in posts or posts[name].done()) and self._has_room():
                posts[name] = asyncio.create_task(self._stand(key, target), name=f"sentry {key[0]}/{name}")
        if not posts:
            self._posts.pop(key, None)

    def _has_room(self) -> bool:
        full = sum(len(posts) for posts in self._posts.values()) >= MOST_STREAMS
        if full and not self._full:
            log.warning("%d held objects are watched; the others are looked at by the ticker alone", MOST_STREAMS)
        self._full = full
        return not full

    async def stop(self) -> None:
        """End all watches."""
        tasks: list[asyncio.Task[Any]] = [task for posts in self._posts.values() for task in posts.values()]
        self._posts.clear()
        await ended(tasks)

    async def _stand(self, key: Key, target: Watched) -> None:
        resource = _TYPES[target.kind]
        loop = asyncio.get_running_loop()
        while True:
            begun, stood = loop.time(), False
            try:
                async for event in self._api.watch(resource, namespace=key[0], name=target.name):
                    stood = True
                    if event.get("type") == "BOOKMARK":
                        continue
                    if event.get("type") != "DELETED":
                        await self._moved(key, event.get("object") or {})
                    self._ring(key)
            except ApiError as error:
                log.info("watch on %s/%s in %s ended: %s", target.kind, target.name, key[0], error)
            # The API server ends each stream after some minutes: nobody looks until the next one stands.
            if loop.time() - begun < PAUSE:
                await asyncio.sleep(PAUSE)
            if stood:
                # Between two streams a change may have been missed. One that never opened is no news.
                self._ring(key)
