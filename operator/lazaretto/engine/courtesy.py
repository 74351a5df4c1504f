"""Who lets whom go first, while many models are contained at once.

An API server that is busy answers everybody late. So while there are more than a few containments that have just
begun, read-backs, surveys, statuses and Events have few requests at a time. Those of a critical containment wait for
nobody, and while it lasts all others have few. Statuses and Events go before the next look at what they tell of.

It is a courtesy and no lock: something always goes on, and nobody keeps a place for long (see `Places`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from lazaretto.engine.queue import CRITICAL, IDLE, NORMAL, URGENT
from lazaretto.kube.api_server import Api, Object, Objects
from lazaretto.kube.places import Places
from lazaretto.kube.request import STREAM, Body, Request
from lazaretto.kube.resource import ResourceType

PATIENCE = 0.25
AT_ONCE = {URGENT: 32, NORMAL: 32}
"""Requests at a time, by priority. They share a server, and whoever asks for more at a time gets the greater part."""
BESIDE = {URGENT: 4, NORMAL: 2}
"""The same beside a critical pass; what is not urgent, also beside more than `CROWD` passes that are."""
CROWD = 4
"""Passes. Who fights for some models, again and again, must not keep what is told of all others waiting."""

_priority: ContextVar[int] = ContextVar("priority", default=NORMAL)


class Courtesy:
    """See the module's text. What a pass starts has the priority of the pass."""

    def __init__(self) -> None:
        self._under_way: Counter[int] = Counter()
        self._places = {priority: Places(number, patience=PATIENCE) for priority, number in AT_ONCE.items()}

    @contextmanager
    def priority(self, priority: int) -> Iterator[None]:
        """What runs within has this priority, one of those of the queue."""
        token = _priority.set(priority if priority < NORMAL else IDLE)
        self._count(priority, 1)
        try:
            yield
        finally:
            _priority.reset(token)
            self._count(priority, -1)

    def place(self, priority: int | None = None) -> AbstractAsyncContextManager[None]:
        """Among the few who ask at a time; by the priority of the pass, unless one is given."""
        priority = _priority.get() if priority is None else priority
        return nullcontext() if priority == CRITICAL else self._places[min(priority, NORMAL)].place(priority)

    def _count(self, priority: int, change: int) -> None:
        self._under_way[priority] += change
        critical = self._under_way[CRITICAL] > 0
        crowded = critical or self._under_way[URGENT] > CROWD
        self._places[URGENT].number = (BESIDE if critical else AT_ONCE)[URGENT]
        self._places[NORMAL].number = (BESIDE if crowded else AT_ONCE)[NORMAL]


class CourteousApi:
    """`Api` that keeps requests back until it is their turn. Pages and logs take no place: they take long."""

    def __init__(self, api: Api, courtesy: Courtesy) -> None:
        self._api = api
        self._courtesy = courtesy

    async def get(self, resource: ResourceType, *, namespace: str, name: str) -> Object:
        """See `Api.get`."""
        async with self._courtesy.place():
            return await self._api.get(resource, namespace=namespace, name=name)

    async def list(
        self, resource: ResourceType, *, namespace: str = "", labels: str = "", cached: bool = False
    ) -> Objects:
        """See `Api.list`."""
        async with self._courtesy.place():
            return await self._api.list(resource, namespace=namespace, labels=labels, cached=cached)

    async def pages(self, resource: ResourceType, *, fields: str = "") -> AsyncIterator[Objects]:
        """See `Api.pages`."""
        async for items in self._api.pages(resource, fields=fields):
            yield items

    async def count(self, resource: ResourceType) -> int:
        """See `Api.count`."""
        async with self._courtesy.place():
            return await self._api.count(resource)

    async def create(self, resource: ResourceType, body: Body, *, namespace: str, manager: str) -> Object:
        """See `Api.create`."""
        async with self._courtesy.place():
            return await self._api.create(resource, body, namespace=namespace, manager=manager)

    async def patch(self, request: Request) -> Object:
        """See `Api.patch`."""
        async with self._courtesy.place():
            return await self._api.patch(request)

    async def delete(self, resource: ResourceType, *, namespace: str, name: str, uid: str, version: str = "") -> None:
        """See `Api.delete`."""
        async with self._courtesy.place():
            await self._api.delete(resource, namespace=namespace, name=name, uid=uid, version=version)

    async def logs(self, *, namespace: str, pod: str, container: str, lines: int, limit: int) -> str:
        """See `Api.logs`."""
        return await self._api.logs(namespace=namespace, pod=pod, container=container, lines=lines, limit=limit)

    async def watch(
        self, resource: ResourceType, *, namespace: str = "", name: str = "", version: str = "", seconds: int = STREAM
    ) -> AsyncIterator[Mapping[str, Any]]:
        """See `Api.watch`. To open one costs as much as a request, and whatever it is for, others come first."""
        async with self._courtesy.place(NORMAL):
            pass
        async for event in self._api.watch(resource, namespace=namespace, name=name, version=version, seconds=seconds):
            yield event
