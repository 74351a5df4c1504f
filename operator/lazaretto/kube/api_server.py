"""The API server as Lazaretto uses it: a few verbs, raw objects in and out.

Objects are plain dictionaries exactly as the server returned them. Every verb raises an
`ApiError` from `lazaretto.errors` on failure and has already retried what may be retried.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

from lazaretto.errors import Expired, NotFound, NotLeading, Unavailable
from lazaretto.kube import request as requests
from lazaretto.kube.request import STREAM, Body, Request
from lazaretto.kube.resource import ResourceType
from lazaretto.kube.retry import BACKGROUND, RetryPolicy, error_of, retrying
from lazaretto.kube.transport import Transport

PAGE = 100
"""Objects at a time where there may be thousands: reading so many keeps the event loop for some ten milliseconds."""
QUIET = 75.0
"""Seconds of silence after which a watch counts as dead: bookmarks come each minute."""
LATE = 2.5
"""Seconds by which the end of a stream may be late."""

Object = dict[str, Any]
Objects = list[Object]  # a name of its own: inside the classes below, `list` is the verb


class Api(Protocol):
    """The verbs. `patch` takes a request that a surface made; the rest name what they want."""

    async def get(self, resource: ResourceType, *, namespace: str, name: str) -> Object:
        """One object. Raises `NotFound`."""

    async def list(
        self, resource: ResourceType, *, namespace: str = "", labels: str = "", cached: bool = False
    ) -> Objects:
        """All objects of a collection, page by page; `cached` ones may be older than the newest write."""

    def pages(self, resource: ResourceType, *, fields: str = "") -> AsyncIterator[Objects]:
        """All objects of a collection, or those that `fields` select, in small pages.

        So there are never many in memory, nor is there much to read at a time.

        Raises `ApiError` after some of them where the server does not know any more how to go on.
        """

    async def count(self, resource: ResourceType) -> int:
        """How many objects a collection has, without reading them."""

    async def create(self, resource: ResourceType, body: Body, *, namespace: str, manager: str) -> Object:
        """Create an object. Raises `AlreadyExists`, also when an earlier try was stored unnoticed."""

    async def patch(self, request: Request) -> Object:
        """Send a patch. Raises `Conflict` when one of its guards does not hold."""

    async def delete(self, resource: ResourceType, *, namespace: str, name: str, uid: str, version: str = "") -> None:
        """Delete the object with this uid, and resource version if one is given; already gone is success."""

    async def logs(self, *, namespace: str, pod: str, container: str, lines: int, limit: int) -> str:
        """The last lines of a container's log, each with its time, cut off after `limit` bytes."""

    def watch(
        self, resource: ResourceType, *, namespace: str = "", name: str = "", version: str = "", seconds: int = STREAM
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Watch events until the stream ends, after so many `seconds`. Raises `Expired` when a list is needed first.

        A dead connection is found after `QUIET` seconds, or a little later than the stream should have ended.
        """


class ApiServer:
    """`Api` over a transport."""

    def __init__(
        self,
        transport: Transport,
        *,
        policy: RetryPolicy = BACKGROUND,
        writes: Callable[[], bool] = lambda: True,
    ) -> None:
        self._transport = transport
        self._policy = policy
        self._writes = writes

    def with_policy(self, policy: RetryPolicy) -> ApiServer:
        """The same connections under another retry policy."""
        return ApiServer(self._transport, policy=policy, writes=self._writes)

    def writing_while(self, writes: Callable[[], bool]) -> ApiServer:
        """The same connections; asked before each try of a write, which raises `NotLeading` instead if it is false."""
        return ApiServer(self._transport, policy=self._policy, writes=writes)

    async def get(self, resource: ResourceType, *, namespace: str, name: str) -> Object:
        """See `Api.get`."""
        return await self._send(requests.get(resource, namespace=namespace, name=name))

    async def list(
        self, resource: ResourceType, *, namespace: str = "", labels: str = "", cached: bool = False
    ) -> Objects:
        """See `Api.list`."""
        first = requests.list_objects(resource, namespace=namespace, labels=labels, cached=cached)
        return [item async for items, _ in self._pages(resource, first) for item in items]

    async def pages(self, resource: ResourceType, *, fields: str = "") -> AsyncIterator[Objects]:
        """See `Api.pages`."""
        async for items, _ in self._pages(resource, requests.list_objects(resource, fields=fields, limit=PAGE)):
            yield items

    def pages_at(self, resource: ResourceType) -> AsyncIterator[tuple[Objects, str]]:
        """Like `pages`, each with the resource version from which a watch continues."""
        return self._pages(resource, requests.list_objects(resource, limit=PAGE))

    async def _pages(self, resource: ResourceType, request: Request) -> AsyncIterator[tuple[Objects, str]]:
        # Items of a list carry neither kind nor apiVersion; add them, so that an object is an object.
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        token: str | None = None
        while token != "":
            page = await self._send(requests.continued(request, token) if token else request)
            metadata = page.get("metadata") or {}
            token = str(metadata.get("continue") or "")
            yield [{**kind, **item} for item in page.get("items") or ()], str(metadata.get("resourceVersion") or "")

    async def count(self, resource: ResourceType) -> int:
        """See `Api.count`."""
        page = await self._send(requests.list_objects(resource, limit=1))
        remaining = (page.get("metadata") or {}).get("remainingItemCount") or 0
        return len(page.get("items") or ()) + int(remaining)

    async def create(self, resource: ResourceType, body: Body, *, namespace: str, manager: str) -> Object:
        """See `Api.create`."""
        return await self._send(requests.create(resource, body, namespace=namespace, manager=manager))

    async def patch(self, request: Request) -> Object:
        """See `Api.patch`."""
        return await self._send(request)

    async def delete(self, resource: ResourceType, *, namespace: str, name: str, uid: str, version: str = "") -> None:
        """See `Api.delete`."""
        try:
            await self._send(requests.delete(resource, namespace=namespace, name=name, uid=uid, version=version))
        except NotFound:
            return

    async def logs(self, *, namespace: str, pod: str, container: str, lines: int, limit: int) -> str:
        """See `Api.logs`. Whatever is no text is replaced."""
        request = requests.logs(namespace=namespace, pod=pod, container=container, lines=lines, limit=limit)

        async def attempt(timeout: float) -> str:
            response = await self._transport.send(request, timeout=timeout)
            if (error := error_of(response, request)) is not None:
                raise error
            return response.body.decode(errors="replace")

        return await retrying(attempt, policy=self._policy)

    async def watch(
        self, resource: ResourceType, *, namespace: str = "", name: str = "", version: str = "", seconds: int = STREAM
    ) -> AsyncIterator[Mapping[str, Any]]:
        """See `Api.watch`."""
        request = requests.watch(resource, namespace=namespace, name=name, version=version, seconds=seconds)
        async for line in self._transport.lines(request, idle=min(QUIET, seconds + LATE)):
            event = _event_of(line)
            if event is None:
                raise Unavailable(0, f"unreadable watch event: {line[:80]!r}", request=str(request))
            if event.get("kind") == "Status" or event.get("type") == "ERROR":
                _raise_watch_error(event, request)
            yield event

    async def _send(self, request: Request) -> Object:
        async def attempt(timeout: float) -> Object:
            if request.method != "GET" and not self._writes():
                raise NotLeading(0, "another replica may write by now", request=str(request))
            response = await self._transport.send(request, timeout=timeout)
            if (error := error_of(response, request)) is not None:
                raise error
            body = response.json()
            if not isinstance(body, dict):
                body = {}
            if not body and request.method == "GET":
                # Taken for an object it would be an empty one, and taken for a list it would say that all is gone.
                raise Unavailable(response.status, f"unreadable answer: {response.body[:80]!r}", request=str(request))
            return body

        return await retrying(attempt, policy=self._policy)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()


def _event_of(line: bytes) -> Mapping[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _raise_watch_error(event: Mapping[str, Any], request: Request) -> None:
    about = event.get("object") or event
    status = about if isinstance(about, dict) else {}
    code = status.get("code")
    code = code if isinstance(code, int) else 0
    kind = Expired if code == 410 else Unavailable
    raise kind(code, str(status.get("message", ""))[:200], request=str(request))
