"""Copies are compared with the API server: what no watch told is found, and a list that is old takes nothing away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from lazaretto.api import AIIncident, ProtectedModel, Resource
from lazaretto.engine import comparison
from lazaretto.engine.comparison import RELIST_EVERY, Comparison
from lazaretto.engine.store import Store
from lazaretto.engine.term import TICK
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.request import Request
from lazaretto.kube.transport import Response
from tests.e2e.shapes import MODEL
from tests.engine.memory_api import called, failure
from tests.engine.running import RunningEngine, run
from tests.engine.world import NAMESPACE, ONCE, World


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@pytest.mark.parametrize(
    ("deaf", "change", "outcome"),
    [
        (AIIncident, lambda world: world.report(), lambda running: running.state() == "Contained"),
        (
            ProtectedModel,
            lambda world: world.remove("ProtectedModel", MODEL),
            lambda running: running.engine.store.model(NAMESPACE, MODEL) is None,
        ),
    ],
    ids=["something new", "a deletion"],
)
def test_a_comparison_finds_what_no_watch_told(deaf: type, change, outcome) -> None:  # type: ignore[no-untyped-def]
    async def story(running: RunningEngine) -> None:
        running.deaf = {deaf}
        change(running.world)
        await running.until(lambda: outcome(running), seconds=RELIST_EVERY + 5.0)

    run(story)


def test_what_is_created_while_the_list_is_on_its_way_is_not_taken_for_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its approval would ring nobody, and nothing would ever be done about it."""
    monkeypatch.setattr(comparison, "RELIST_EVERY", 3.0)

    async def story(running: RunningEngine) -> None:
        world = running.world
        real = running.slow.send

        async def slowly(request: Request, *, timeout: float) -> Response:
            answer = await real(request, timeout=timeout)
            if called(request) == "list aiincidents":
                # The answer is made, and then it takes a while.
                await asyncio.sleep(1.0)
            return answer

        monkeypatch.setattr(running.slow, "send", slowly)
        await running.until(lambda: any(c.what == "list aiincidents" for c in running.slow.calls), seconds=5.0)
        world.change("ResponsePolicy", "leaks-at-once", lambda body: body["spec"].update(mode="Approve"))
        world.report()
        for _ in range(15):
            await asyncio.sleep(0.1)
            assert running.engine.store.get(AIIncident, NAMESPACE, f"{MODEL}-1") is not None
        assert not [call for call in running.slow.calls if call.what == "get aiincidents"], "nor asked about"
        world.approve(verb="ApproveContainment", people=["alice"])
        await running.contained()

    run(story)


def test_what_was_deleted_while_the_list_is_on_its_way_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "RELIST_EVERY", 3.0)

    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained()
        real = running.slow.send

        async def slowly(request: Request, *, timeout: float) -> Response:
            answer = await real(request, timeout=timeout)
            if called(request) == "list containments":
                running.world.approve()
                await running.until(lambda: running.world.containment is None, seconds=20.0)
            return answer

        monkeypatch.setattr(running.slow, "send", slowly)
        await running.until(lambda: running.world.containment is None, seconds=20.0)
        monkeypatch.setattr(running.slow, "send", real)
        await asyncio.sleep(2 * TICK)
        assert running.engine.store.containment(NAMESPACE, MODEL) is None
        assert running.world.specs() == running.world.originals

    run(story)


def test_many_are_counted_and_read_when_the_count_differs_or_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "RELIST_EVERY", 3.0)
    monkeypatch.setattr(comparison, "MANY", 0)
    monkeypatch.setattr(comparison, "SELDOM", 5)

    async def story(running: RunningEngine) -> None:
        def lists() -> list[bool]:
            """Those of incidents: whether each was a whole one."""
            asked = [r for r in running.world.api.requests if called(r) == "list aiincidents"]
            return [request.query["limit"] != "1" for request in asked]

        running.world.report()
        await running.contained()
        before = len(lists())
        await asyncio.sleep(3 * 4)
        assert lists()[before:] == [False] * 4, "as many as are known: they are not read"
        await asyncio.sleep(3)
        assert lists()[before:][-1], "seldom they are, whatever their number"
        running.deaf = {AIIncident}
        running.world.report(2)
        await running.until(
            lambda: running.engine.store.get(AIIncident, NAMESPACE, f"{MODEL}-2") is not None, seconds=4.0
        )

    run(story)


async def test_everybody_else_gets_turns_while_a_long_list_is_taken_in() -> None:
    world, store, turns = World(), Store(), 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def observe(kind: type[Resource], body: Mapping[str, Any], *, deleted: bool) -> None:
        seen.append(turns)

    seen: list[int] = []
    api = ApiServer(world.api, policy=ONCE)
    tasks = [asyncio.create_task(others()), asyncio.create_task(Comparison(api, store, observe).work())]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    assert len(seen) >= 4
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("knows", [True, False], ids=["by field", "before 1.31"])
async def test_what_is_open_is_read_before_what_is_past(knows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world, seen = World(), list[str]()
    for number in (1, 2):
        world.report(number)
    world.change("AIIncident", f"{MODEL}-1", lambda body: body.setdefault("status", {}).update(state="Released"))
    real = world.api.send

    async def answer(request: Request, *, timeout: float) -> Response:
        if "fieldSelector" in request.query and not knows:
            return failure(400, "BadRequest")
        return await real(request, timeout=timeout)

    def observe(kind: type[Resource], body: Mapping[str, Any], *, deleted: bool) -> None:
        seen.extend([body["metadata"]["name"]] if kind is AIIncident else [])

    monkeypatch.setattr(world.api, "send", answer)
    task = asyncio.create_task(Comparison(ApiServer(world.api, policy=ONCE), Store(), observe).work())
    await asyncio.sleep(0.2)
    task.cancel()
    everything = [f"{MODEL}-1", f"{MODEL}-2"]
    assert seen == ([f"{MODEL}-2"] if knows else []) + everything
