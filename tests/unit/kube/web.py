"""A small HTTP server on this machine, and a kubeconfig that leads to it."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str
    connection: int


@dataclass
class Site:
    """The server; `handler` may be replaced between requests."""

    url: str
    handler: Handler
    seen: list[Seen] = field(default_factory=list)

    @property
    def connections(self) -> int:
        """How many connections the requests came by."""
        return len({each.connection for each in self.seen})


async def hello(_: web.Request) -> web.StreamResponse:
    return web.json_response({"kind": "Pod"})


@asynccontextmanager
async def site(handler: Handler = hello, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """Serves until left; requests that are still being answered are cut off."""
    made = Site("", handler)
    transports: list[Any] = []  # kept, so that no two connections of a test have the same id

    async def answer(request: web.Request) -> web.StreamResponse:
        transports.append(request.transport)
        body = await request.text()
        query, headers = dict(request.query), dict(request.headers)
        made.seen.append(Seen(request.method, request.path, query, headers, body, id(request.transport)))
        return await made.handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    made.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


async def started(request: web.Request, *, length: int | None = None) -> web.StreamResponse:
    """An answer of which the head has been sent."""
    answer = web.StreamResponse()
    answer.content_length = length
    await answer.prepare(request)
    return answer


def cut(request: web.Request) -> None:
    """Ends the connection without another word."""
    assert request.transport is not None
    request.transport.abort()


def kubeconfig(folder: Path, server: str, *, user: dict[str, Any] | None = None, **cluster: Any) -> str:
    """Writes a kubeconfig with one context; returns its path."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "alice"}}],
        "clusters": [{"name": "test", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "alice", "user": user or {}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document))
    return str(path)
