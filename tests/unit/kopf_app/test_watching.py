"""Kopf itself, with our settings and handlers, against a server that answers as the API server does to watches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiohttp import web

from lazaretto.api import API_VERSION, GROUP, KINDS, VERSION, AIIncident, Containment
from lazaretto.engine.engine import Engine
from lazaretto.kopf_app import operator
from lazaretto.kopf_app.pulse import Pulse
from tests.unit.kopf_app.stand_ins import Account, Recorder

PREFIX = f"/apis/{API_VERSION}"


class Server:
    """Discovery, lists and watches of our kinds; everything else is noted and refused."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.authorized: set[str | None] = set()
        self.streams: dict[str, asyncio.Queue[dict[str, Any] | None]] = {}
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        self.authorized.add(request.headers.get("Authorization"))
        found = self.discovery().get(request.path)
        if found is not None:
            return web.json_response(found)
        plural = request.path.removeprefix(f"{PREFIX}/")
        if request.method != "GET" or plural not in {kind.facts.plural for kind in KINDS}:
            return web.json_response({"kind": "Status", "code": 404}, status=404)
        if "watch" in request.query:
            return await self._watch(request, plural)
        items = [self.object("known")] if plural == "aiincidents" else []
        return web.json_response({"metadata": {"resourceVersion": "5"}, "items": items})

    def object(self, name: str) -> dict[str, Any]:
        return {"metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "5"}, "spec": {}}

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        queue = self.streams[plural] = asyncio.Queue()
        while (event := await queue.get()) is not None:
            await answer.write(json.dumps(event).encode() + b"\n")
        return answer

    def discovery(self) -> dict[str, Any]:
        """What Kopf wants to know to exist before it watches anything: our kinds, namespaces, Events and CRDs."""
        ours = [(kind.facts.plural, kind.facts.singular, kind.facts.kind) for kind in KINDS]
        core = [("namespaces", "namespace", "Namespace"), ("events", "event", "Event")]
        crds = [("customresourcedefinitions", "customresourcedefinition", "CustomResourceDefinition")]
        return {
            "/api": {"versions": ["v1"]},
            "/api/v1": _resources(core),
            "/apis": {"groups": [_group(GROUP, VERSION), _group("apiextensions.k8s.io", "v1")]},
            PREFIX: _resources(ours),
            "/apis/apiextensions.k8s.io/v1": _resources(crds),
        }


def _group(name: str, version: str) -> dict[str, Any]:
    one = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [one], "preferredVersion": one}


def _resources(names: list[tuple[str, str, str]]) -> dict[str, Any]:
    verbs = ["get", "list", "watch", "create", "patch", "delete"]
    return {
        "resources": [
            {"name": plural, "singularName": singular, "kind": kind, "namespaced": True, "verbs": verbs}
            for plural, singular, kind in names
        ]
    }


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@asynccontextmanager
async def watching(server: Server, *, pulse: Pulse | None = None) -> AsyncIterator[Recorder]:
    """Kopf running. At its end it cancels every task younger than itself, which a fixture's would be."""
    recorder = Recorder()
    running = asyncio.create_task(operator.run(cast(Engine, recorder), Account(server.url), pulse=pulse))
    await until(lambda: len(server.streams) == len(KINDS))
    try:
        yield recorder
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert recorder.calls == ["start", "stop"]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_every_event_of_our_kinds_rings_and_nothing_is_written(server: Server) -> None:
    one = server.object("one")
    expected = {(AIIncident, "known", False), (AIIncident, "one", False), (Containment, "one", True)}
    async with watching(server) as engine:
        server.streams["aiincidents"].put_nowait({"type": "ADDED", "object": one})
        server.streams["containments"].put_nowait({"type": "DELETED", "object": one})
        await until(lambda: expected <= set(engine.heard))
    assert sorted(map(repr, engine.heard)) == sorted(map(repr, expected))
    assert {method for method, _ in server.requests} == {"GET"}
    assert server.authorized == {"Bearer token-1"}


async def test_only_our_kinds_are_listed_in_the_whole_cluster(server: Server) -> None:
    async with watching(server):
        pass
    asked = {path for _, path in server.requests} - server.discovery().keys()
    assert asked == {f"{PREFIX}/{kind.facts.plural}" for kind in KINDS}


@pytest.mark.parametrize("code", [None, 410])
async def test_a_watch_that_ends_is_taken_up_again(server: Server, code: int | None) -> None:
    async with watching(server) as engine:
        first = server.streams["aiincidents"]
        if code is not None:
            first.put_nowait({"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "too old"}})
        first.put_nowait(None)
        await until(lambda: server.streams["aiincidents"] is not first)
        server.streams["aiincidents"].put_nowait({"type": "MODIFIED", "object": server.object("later")})
        await until(lambda: (AIIncident, "later", False) in engine.heard)
