"""Who lets whom go first: while a critical model is being contained, all others keep their requests back.

An API server that is busy with a storm answers everybody late. So it is not enough that a critical
pass begins first; the others must not ask in between. They wait `PATIENCE` seconds at most for one
request, so that a critical pass that hangs, or many in a row, delay the others and never stop them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from lazaretto.kube.api_server import Api, Object, Objects
from lazaretto.kube.request import Body, Request
from lazaretto.kube.resource import ResourceType

PATIENCE = 0.25

_first: ContextVar[bool] = ContextVar("first", default=False)


class Courtesy:
    """See the module's text. What a critical pass starts goes first as well."""

    def __init__(self) -> None:
        self._critical = 0
        self._free = asyncio.Event()
        self._free.set()

    @contextmanager
    def first(self, critical: bool) -> Iterator[None]:
        """What runs within goes first, if it is critical."""
        if not critical:
            yield
            return
        token = _first.set(True)
        self._critical += 1
        self._free.clear()
        try:
            yield
        finally:
            _first.reset(token)
            self._critical -= 1
            if not self._critical:
                self._free.set()

    async def turn(self) -> None:
        """Returns when the caller may ask."""
        if self._free.is_set() or _first.get():
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._free.wait()
        except TimeoutError:
            return


class CourteousApi:
    """`Api` that keeps requests back until it is their turn."""

    def __init__(self, api: Api, courtesy: Courtesy) -> None:
        self._api = api
        self._courtesy = courtesy

    async def get(self, resource: ResourceType, *, namespace: str, name: str) -> Object:
        """See `Api.get`."""
        await self._courtesy.turn()
        return await self._api.get(resource, namespace=namespace, name=name)

    async def list(
        self, resource: ResourceType, *, namespace: str = "", labels: str = "", cached: bool = False
    ) -> Objects:
        """See `Api.list`."""
        await self._courtesy.turn()
        return await self._api.list(resource, namespace=namespace, labels=labels, cached=cached)

    async def pages(self, resource: ResourceType, *, fields: str = "") -> AsyncIterator[Objects]:
        """See `Api.pages`."""
        await self._courtesy.turn()
        async for items in self._api.pages(resource, fields=fields):
            yield items

    async def count(self, resource: ResourceType) -> int:
        """See `Api.count`."""
        await self._courtesy.turn()
        return await self._api.count(resource)

    async def create(self, resource: ResourceType, body: Body, *, namespace: str, manager: str) -> Object:
        """See `Api.create`."""
        await self._courtesy.turn()
        return await self._api.create(resource, body, namespace=namespace, manager=manager)

    async def patch(self, request: Request) -> Object:
        """See `Api.patch`."""
        await self._courtesy.turn()
        return await self._api.patch(request)

    async def delete(self, resource: ResourceType, *, namespace: str, name: str, uid: str, version: str = "") -> None:
        """See `Api.delete`."""
        await self._courtesy.turn()
        await self._api.delete(resource, namespace=namespace, name=name, uid=uid, version=version)

    async def logs(self, *, namespace: str, pod: str, container: str, lines: int, limit: int) -> str:
        """See `Api.logs`."""
        await self._courtesy.turn()
        return await self._api.logs(namespace=namespace, pod=pod, container=container, lines=lines, limit=limit)

    def watch(
        self, resource: ResourceType, *, namespace: str = "", name: str = "", version: str = ""
    ) -> AsyncIterator[Mapping[str, Any]]:
        """See `Api.watch`. It waits for nobody: it costs the API server next to nothing."""
        return self._api.watch(resource, namespace=namespace, name=name, version=version)
