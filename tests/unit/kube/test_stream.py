"""Watches over a real socket: line by line while it lasts, and an error when it breaks."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from lazaretto.errors import Unavailable
from lazaretto.kube import request as requests
from lazaretto.kube.resource import DEPLOYMENTS
from lazaretto.kube.transport import AioTransport
from tests.unit.kube.web import Site, cut, started

WATCH = requests.watch(DEPLOYMENTS, namespace="shop")
LONG = 30.0
"""Longer than a test may take: what it bounds is meant to end before."""


async def follow(transport: AioTransport, found: list[bytes], *, idle: float = LONG) -> list[bytes]:
    """Adds each line to those found when it comes."""
    async for line in transport.lines(WATCH, idle=idle):
        found.append(line)
    return found


async def test_a_stream_comes_line_by_line_while_it_lasts(server: Site, transport: AioTransport) -> None:
    """The second line is sent only when the first was received; lines may come in pieces."""
    received = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = await started(request)
        await answer.write(b"one\n")
        await received.wait()
        await answer.write(b"t")
        await asyncio.sleep(0.01)
        await answer.write(b"wo\nthree\n")
        return answer

    server.handler = stream
    found = []
    async for line in transport.lines(WATCH, idle=LONG):
        found.append(line)
        received.set()
    assert found == [b"one\n", b"two\n", b"three\n"]
    assert (server.seen[0].path, server.seen[0].query) == (WATCH.path, WATCH.query)


@pytest.mark.parametrize("said", [b'{"kind": "Status", "code": 410}', b'{\n  "code": 410\n}\n', b""])
async def test_a_refused_stream_yields_what_was_said_as_one(server: Site, transport: AioTransport, said: bytes) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(body=said, status=410)

    server.handler = refuse
    assert await follow(transport, []) == [said]


async def test_a_large_object_fits_into_a_line(server: Site, transport: AioTransport) -> None:
    """What etcd stores has up to 1.5 MiB; printed as JSON it may be more."""

    async def large(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 3_000_000 + b"\n")

    server.handler = large
    assert [len(line) for line in await follow(transport, [])] == [3_000_001]


@pytest.mark.parametrize("after", ["silence", "cut", "endless"])
async def test_a_stream_that_breaks_is_unavailable(server: Site, transport: AioTransport, after: str) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        answer = await started(request)
        await answer.write(b"one\n")
        if after == "silence":
            await asyncio.sleep(LONG)
            return answer
        for _ in range(200 if after == "endless" else 0):
            await answer.write(b"x" * 100_000)
        await asyncio.sleep(0.02)
        cut(request)
        return answer

    server.handler = stream
    found: list[bytes] = []
    with pytest.raises(Unavailable, match="stream broken"):
        await follow(transport, found, idle=0.3)
    assert found == [b"one\n"]
