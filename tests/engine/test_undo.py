"""A held object that somebody moved is put back without a pass, told of all the same, and never against a release."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from lazaretto.kube.api_server import ApiServer
from tests.e2e.shapes import BAD, MODEL, Shape
from tests.engine.edits import Edit, contained, replicas, weight
from tests.engine.gate import Gate
from tests.engine.journal_laws import assert_lawful
from tests.engine.memory_api import called, failure
from tests.engine.running import MOMENT, RunningEngine, run
from tests.engine.world import KEY, ONCE, Operator, World

READ, SCALE = "get containments", "patch deployments/scale"
ROUTE, HPA = "patch httproutes", "patch horizontalpodautoscalers"
HELD = {"Deployment": BAD, "HTTPRoute": MODEL, "HorizontalPodAutoscaler": BAD}
MOVES: dict[str, tuple[str, Edit, str]] = {
    "scaled up": ("Deployment", replicas(5), SCALE),
    "sent traffic": ("HTTPRoute", weight(50), ROUTE),
    "let scale": ("HorizontalPodAutoscaler", lambda body: body["spec"].pop("behavior"), HPA),
}


def asked(world: World, *, since: int = 0) -> list[str]:
    return [called(request) for request in world.api.requests[since:]]


async def moved(operator: Operator, kind: str, edit: Edit) -> list[str]:
    """Somebody moves an object and its watch tells; returns what was asked for that."""
    world = operator.world
    world.change(kind, HELD[kind], edit)
    before = len(world.api.requests)
    await operator.undo.moved(KEY, world.read(kind, HELD[kind]))
    return asked(world, since=before)


@pytest.mark.parametrize("move", MOVES)
async def test_what_was_moved_is_put_back_after_one_look_at_the_journal(move: str) -> None:
    operator = Operator(World())
    world = await contained(operator)
    kind, edit, write = MOVES[move]
    held = world.read(kind, HELD[kind])["spec"]
    assert await moved(operator, kind, edit) == [READ, write]
    assert world.read(kind, HELD[kind])["spec"] == held
    await operator.settle()
    told = [e for e in world.incident().status.timeline if e.type == "Interference"]
    assert [entry.object for entry in told] == [f"{kind}/{HELD[kind]}"]
    assert_lawful(world)
    await operator.stop()


async def test_it_is_told_once_also_when_a_pass_fails_before_it_could_tell() -> None:
    operator = Operator(World())
    world = await contained(operator)
    await moved(operator, "Deployment", replicas(5))
    world.api.hook = lambda request: failure(500, "made up") if called(request) == "list services" else None
    with pytest.raises(Exception, match="made up"):
        await operator.once()
    world.api.hook = None
    await operator.settle()
    assert [e.after for e in world.incident().status.timeline if e.type == "Interference"] == ["0"]
    await operator.stop()


async def test_what_is_as_it_is_held_costs_nothing() -> None:
    operator = Operator(World())
    world = await contained(operator)
    annotated: Edit = lambda body: body["metadata"].update(annotations={"of": "others"})  # noqa: E731
    for kind in HELD:
        assert await moved(operator, kind, annotated) == []
    assert world.read("Deployment", BAD)["metadata"]["annotations"] == {"of": "others"}
    await operator.stop()


async def test_an_event_from_before_the_own_write_is_no_news() -> None:
    operator = Operator(World())
    world = await contained(operator)
    world.change("Deployment", BAD, replicas(5))
    old = world.read("Deployment", BAD)
    await operator.undo.moved(KEY, old)
    before = len(world.api.requests)
    await operator.undo.moved(KEY, old)
    assert asked(world, since=before) == []
    await operator.stop()


async def test_one_that_was_made_anew_is_left_to_the_pass_which_takes_its_base() -> None:
    operator = Operator(World())
    world = await contained(operator)
    body = world.read("Deployment", BAD)
    world.remove("Deployment", BAD)
    body["metadata"]["uid"] = "another"
    body["spec"]["replicas"] = 5
    world.add(body)
    before = len(world.api.requests)
    await operator.undo.moved(KEY, world.read("Deployment", BAD))
    assert asked(world, since=before) == []
    await operator.stop()


async def test_what_the_journal_does_not_know_is_left_to_the_pass() -> None:
    operator = Operator(World())
    await contained(operator)

    def another_way_in(body: dict[str, Any]) -> None:
        body["spec"]["rules"].append({"name": "new", "backendRefs": [{"name": BAD, "port": 80}]})

    assert await moved(operator, "HTTPRoute", another_way_in) == []
    await operator.stop()


async def test_a_journal_that_is_another_by_now_is_not_acted_on() -> None:
    operator = Operator(World())
    world = await contained(operator)
    world.change("Containment", MODEL, lambda body: body["spec"].update(cutOff=["other"]))
    assert await moved(operator, "Deployment", replicas(5)) == [READ]
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 5
    await operator.stop()


@pytest.mark.parametrize("call", [READ, SCALE])
@pytest.mark.parametrize("status", [403, 404, 409, 422, 500])
async def test_whatever_goes_wrong_is_left_to_the_pass(call: str, status: int) -> None:
    operator = Operator(World())
    world = await contained(operator)
    world.api.hook = lambda request: failure(status, "made up") if called(request) == call else None
    await moved(operator, "Deployment", replicas(5))
    world.api.hook = None
    await operator.settle()
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0
    assert_lawful(world)
    await operator.stop()


async def test_an_object_that_cannot_be_read_is_said_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    operator = Operator(World())
    world = await contained(operator)
    body = {**world.read("Deployment", BAD), "spec": "broken"}
    await operator.undo.moved(KEY, body)
    assert "cannot be put back at once" in caplog.text
    await operator.stop()


async def test_a_model_that_is_not_held_is_left_alone() -> None:
    operator = Operator(World())
    world = await contained(operator)
    world.approve()
    await operator.settle()
    before = len(world.api.requests)
    await operator.undo.moved(KEY, world.read("Deployment", BAD))
    assert asked(world, since=before) == []
    assert world.specs() == world.originals
    await operator.stop()


PLACES = [(READ, False), (READ, True), (SCALE, False), (SCALE, True)]
BASE, OTHER = 3, 5
SHAPES = {"all that can be held": Shape(), "one Deployment": Shape(route="", autoscaler=False, single=True)}


@pytest.mark.parametrize(("at", "answered"), PLACES, ids=lambda each: str(each))
@pytest.mark.parametrize("count", [BASE, OTHER])
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_release_is_exact_wherever_it_meets_an_undo(at: str, *, answered: bool, count: int, shape: str) -> None:
    """The undo stands at every place of its way while the release makes 0, 1, 2... passes, or waits for it."""
    for passes in itertools.count():
        operator = Operator(World(SHAPES[shape]))
        world = await contained(operator)
        made = await _met(operator, at=at, answered=answered, count=count, passes=passes)
        await operator.settle()
        await operator.stop()
        assert world.containment is None
        restored = world.specs()
        bad = restored[f"Deployment/{BAD}"]
        assert bad["replicas"] in (BASE, count), "as it was, or as somebody wanted it: never held"
        assert {**restored, f"Deployment/{BAD}": {**bad, "replicas": BASE}} == world.originals
        if made < passes:
            break


async def _met(operator: Operator, *, at: str, answered: bool, count: int, passes: int) -> int:
    """An undo begins and stands; people approve; so many passes follow, if they can: returns how many did."""
    world, gate = operator.world, Gate(operator.world.api, at=at, answered=answered)
    operator.undo._api = ApiServer(gate, policy=ONCE)
    world.change("Deployment", BAD, replicas(count))
    undoing = asyncio.create_task(operator.undo.moved(KEY, world.read("Deployment", BAD)))
    await gate.reached.wait()
    world.approve()
    made = 0

    async def release() -> None:
        nonlocal made
        while made < passes and world.containment is not None:
            world.controllers()
            await operator.once()
            made += 1

    releasing = asyncio.create_task(release())
    for _ in range(3000):
        await asyncio.sleep(0)
    gate.open.set()
    await undoing
    blocked = not releasing.done()
    await releasing
    return -1 if blocked else made


@pytest.mark.parametrize("move", MOVES)
def test_the_running_engine_writes_before_it_looks_around(move: str) -> None:
    kind, edit, write = MOVES[move]

    async def story(running: RunningEngine) -> None:
        world = running.world
        world.report()
        await running.contained()
        await asyncio.sleep(5.0)
        before = len(world.api.requests)
        world.change(kind, HELD[kind], edit)
        await asyncio.sleep(MOMENT)
        assert asked(world, since=before)[:2] == [READ, write]
        await asyncio.sleep(5.0)
        told = [e for e in world.incident().status.timeline if e.type == "Interference"]
        assert [entry.object for entry in told] == [f"{kind}/{HELD[kind]}"]
        assert asked(world, since=before).count(write) == 1

    run(story)


def test_an_api_server_that_does_not_answer_costs_the_shortcut_alone() -> None:
    async def story(running: RunningEngine) -> None:
        world = running.world
        world.report()
        await running.contained()
        world.api.hook = lambda request: failure(503, "silent") if called(request) == READ else None
        world.change("Deployment", BAD, replicas(5))
        await running.until(lambda: world.read("Deployment", BAD)["spec"]["replicas"] == 0, seconds=2.0)

    run(story)
