"""Requests over a real socket: what arrives, which connections carry it, and every way to get no answer."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from lazaretto.errors import Unavailable
from lazaretto.kube import request as requests
from lazaretto.kube.request import Request
from lazaretto.kube.resource import DEPLOYMENTS
from lazaretto.kube.transport import AioTransport, connect
from tests.unit.kube.web import Site, cut, kubeconfig, site, started

ONE: dict[str, Any] = {"namespace": "shop", "name": "chat"}
PATH = "/apis/apps/v1/namespaces/shop/deployments"
GET = requests.get(DEPLOYMENTS, **ONE)
REMOVE = {"op": "remove", "path": "/a"}
WATCH = requests.watch(DEPLOYMENTS, namespace="shop")
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
LONG = 30.0
"""Longer than a test may take: what it bounds is meant to end before."""


async def lines(transport: AioTransport) -> list[bytes]:
    return [line async for line in transport.lines(WATCH, idle=LONG)]


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (GET, "application/json"),
        (requests.list_objects(DEPLOYMENTS, namespace="shop", labels="a in (b,c),!d"), "application/json"),
        (requests.continued(requests.list_objects(DEPLOYMENTS), "a+b/c==&x=1;%41#?é"), "application/json"),
        (requests.create(DEPLOYMENTS, {"a": "é"}, namespace="shop", manager="m"), "application/json"),
        (
            requests.merge_patch(DEPLOYMENTS, {"a": None}, **ONE, manager="m", subresource="scale"),
            "application/merge-patch+json",
        ),
        (requests.json_patch(DEPLOYMENTS, (REMOVE,), **ONE, manager="m"), "application/json-patch+json"),
        (requests.json_patch(DEPLOYMENTS, [], **ONE, manager="m"), "application/json-patch+json"),
        (requests.delete(DEPLOYMENTS, **ONE, uid="u1"), "application/json"),
    ],
    ids=["get", "list", "next page", "create", "merge patch", "JSON patch", "empty patch", "delete"],
)
async def test_a_request_arrives_as_it_was_made(
    server: Site, transport: AioTransport, request_: Request, kind: str
) -> None:
    assert (await transport.send(request_, timeout=LONG)).json() == {"kind": "Pod"}
    [seen] = server.seen
    assert (seen.method, seen.path, seen.query) == (request_.method, request_.path, request_.query)
    assert (json.loads(seen.body) if seen.body else None) == request_.body
    wanted = {"Content-Type": kind, "Accept": "application/json", "Authorization": "Bearer secret"}
    assert wanted.items() <= seen.headers.items()


@pytest.mark.parametrize("status", [200, 201, 404, 409, 422, 429, 500, 503])
async def test_an_answer_of_any_status_is_an_answer(server: Site, transport: AioTransport, status: int) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=b"<html>", headers={"Retry-After": "7"})

    server.handler = refuse
    answer = await transport.send(GET, timeout=LONG)
    assert (answer.status, answer.body, answer.json()) == (status, b"<html>", {})
    assert answer.headers.get("retry-after") == "7"


async def test_one_connection_serves_one_request_after_another(server: Site, transport: AioTransport) -> None:
    for _ in range(5):
        await transport.send(GET, timeout=LONG)
    assert (len(server.seen), server.connections) == (5, 1)


async def test_requests_at_once_do_not_wait_for_each_other(server: Site, transport: AioTransport) -> None:
    """All of them must have arrived before the first is answered."""
    together = asyncio.Barrier(20)

    async def wait(_: web.Request) -> web.StreamResponse:
        await together.wait()
        return web.json_response({})

    server.handler = wait
    await asyncio.gather(*(transport.send(GET, timeout=LONG) for _ in range(20)))


async def test_proxies_of_the_environment_are_ignored(
    server: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site() as proxy:
        for name in PROXIES:
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        transport = await connect(kubeconfig(tmp_path, server.url, user={"token": "secret"}))
        await transport.send(GET, timeout=LONG)
        await lines(transport)
        await transport.close()
        assert (len(server.seen), proxy.seen) == (2, [])


async def test_a_redirect_does_not_take_the_token_elsewhere(server: Site, transport: AioTransport) -> None:
    async with site() as other:

        async def elsewhere(_: web.Request) -> web.StreamResponse:
            raise web.HTTPTemporaryRedirect(f"{other.url}/")

        server.handler = elsewhere
        await transport.send(GET, timeout=LONG)
        assert server.seen
        assert [each for each in other.seen if "Authorization" in each.headers] == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x15\x03\x01\x00\x02\x02F",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 302 Found\r\nLocation: http://[bad\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["nothing", "TLS", "length", "header", "chunk", "gzip", "redirect to nowhere", "redirect for ever"],
)
async def test_what_is_no_answer_is_unavailable_and_the_token_stays_out_of_the_error(
    tmp_path: Path, raw: bytes
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    transport = await connect(kubeconfig(tmp_path, url, user={"token": "secret"}))
    for sending in (transport.send(GET, timeout=LONG), lines(transport)):
        with pytest.raises(Unavailable) as caught:
            await sending
        assert "secret" not in str(caught.value)
    await transport.close()
    listener.close()


async def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    transport = await connect(kubeconfig(tmp_path, f"http://127.0.0.1:{port}"))
    with pytest.raises(Unavailable, match=f"GET {PATH}/chat: 0 no answer"):
        await transport.send(GET, timeout=LONG)
    with pytest.raises(Unavailable):
        await lines(transport)
    await transport.close()


async def test_silence_is_unavailable(server: Site, transport: AioTransport) -> None:
    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(LONG)
        raise AssertionError

    server.handler = silent
    with pytest.raises(Unavailable):
        await transport.send(GET, timeout=0.1)


async def test_an_answer_that_stalls_is_unavailable(server: Site, transport: AioTransport) -> None:
    async def stall(request: web.Request) -> web.StreamResponse:
        answer = await started(request, length=100)
        await answer.write(b"{")
        await asyncio.sleep(LONG)
        await answer.write(b" " * 98 + b"}")
        return answer

    server.handler = stall
    with pytest.raises(Unavailable, match="cut off"):
        await transport.send(GET, timeout=0.2)


@pytest.mark.parametrize("length", [100, None], ids=["sized", "chunked"])
async def test_an_answer_that_is_cut_off_is_unavailable(
    server: Site, transport: AioTransport, length: int | None
) -> None:
    """A half-read object must never pass for a whole one."""

    async def break_off(request: web.Request) -> web.StreamResponse:
        answer = await started(request, length=length)
        await answer.write(b'{"kind": "Pod"}')
        await asyncio.sleep(0.02)
        cut(request)
        return answer

    server.handler = break_off
    with pytest.raises(Unavailable):
        await transport.send(GET, timeout=LONG)


async def test_a_late_answer_is_not_taken_for_the_next_one(server: Site, transport: AioTransport) -> None:
    late = asyncio.Event()

    async def by_name(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/slow"):
            await late.wait()
        return web.json_response({"path": request.path})

    server.handler = by_name
    with pytest.raises(Unavailable):
        await transport.send(requests.get(DEPLOYMENTS, namespace="shop", name="slow"), timeout=0.1)
    late.set()
    assert (await transport.send(GET, timeout=LONG)).json() == {"path": f"{PATH}/chat"}


async def test_a_connection_that_the_server_closed_costs_a_new_one_and_nothing_else(
    server: Site, transport: AioTransport
) -> None:
    async def once(_: web.Request) -> web.StreamResponse:
        answer = web.json_response({})
        answer.force_close()
        return answer

    server.handler = once
    for _ in range(2):
        assert (await transport.send(GET, timeout=LONG)).status == 200
    assert server.connections == 2
