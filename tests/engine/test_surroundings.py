"""What a survey remembers of a model, so that a containment reads it in its first round."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lazaretto.api import ProtectedModel
from lazaretto.engine.current_pass import look_up
from lazaretto.engine.gather import Live, gather, scene_of
from lazaretto.engine.reconciler import SOON
from lazaretto.engine.store import Store
from lazaretto.engine.surroundings import FRESH, Surroundings
from lazaretto.kube.api_server import ApiServer
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape
from tests.engine.edits import contained, replicas, weight
from tests.engine.running import RunningEngine, run
from tests.engine.world import KEY, NAMESPACE, ONCE, Operator, World

SCALER = "HorizontalPodAutoscaler"
EVERYTHING = {("Deployment", BAD), ("Deployment", GOOD), (SCALER, BAD)}


async def remembered(world: World, *, steady: Callable[[], float] = time.monotonic, **found: Any) -> Surroundings:
    model = ProtectedModel.read(world.read("ProtectedModel", MODEL))
    live = await gather(ApiServer(world.api, policy=ONCE), namespace=NAMESPACE, model=model, containment=None)
    surroundings = Surroundings(steady=steady)
    surroundings.remember(
        KEY, replace(live, **found), scene=scene_of(live, namespace=NAMESPACE, model=MODEL, containment=None)
    )
    return surroundings


@pytest.mark.parametrize(
    ("shape", "ways"),
    [
        (Shape(), {("HTTPRoute", MODEL)}),
        (Shape(route="GRPCRoute"), {("GRPCRoute", MODEL)}),
        (Shape(route=""), {("Service", MODEL)}),
    ],
    ids=["HTTPRoute", "GRPCRoute", "Service"],
)
async def test_what_leads_to_the_model_or_could_wake_it_is_remembered(shape: Shape, ways: set[tuple[str, str]]) -> None:
    assert (await remembered(World(shape))).of(KEY) == EVERYTHING | ways


async def test_a_model_that_is_gone_is_forgotten() -> None:
    surroundings = await remembered(World())
    surroundings.forget(KEY)
    surroundings.forget(KEY)
    assert surroundings.of(KEY) == frozenset()


def test_a_surveyed_model_is_contained_without_a_second_round_of_reading() -> None:
    async def story(running: RunningEngine) -> None:
        await running.until(lambda: running.world.read("ProtectedModel", MODEL).get("status"), seconds=5.0)
        before = len(running.fast.calls)
        running.world.report()
        await running.contained()
        made = [call.what for call in running.fast.calls[before:]]
        first = made[: made.index("create containments")]
        assert sorted(first).count("get httproutes") == 1
        assert sorted(first).count("get horizontalpodautoscalers") == 1
        # Autoscalers and routes were not searched for: those that it had a moment ago were read.
        assert sorted({what for what in first if what.startswith("list")}) == ["list services"]
        assert len(first) == 5
        following = made[len(first) :]
        assert {"list httproutes", "list grpcroutes", "list horizontalpodautoscalers"} <= set(following)

    run(story)


def test_what_has_come_since_the_last_look_is_held_by_the_pass_after_the_first_writes() -> None:
    async def story(running: RunningEngine) -> None:
        world = running.world
        await running.until(lambda: world.read("ProtectedModel", MODEL).get("status"), seconds=5.0)
        route, scaler = copy.deepcopy(world.read("HTTPRoute", MODEL)), copy.deepcopy(world.read(SCALER, BAD))
        for body in (route, scaler):
            body["metadata"] = {"name": "late", "namespace": NAMESPACE}
            world.add(body)
        world.report()
        await running.contained()
        journal = world.containment
        assert journal is not None
        assert {("HTTPRoute", "late"), (SCALER, "late")} <= {(t.kind, t.name) for t in journal.spec.targets}
        assert _weights(world, "late")[BAD] == 0

    run(story)


async def test_nothing_is_proved_of_a_model_before_it_was_looked_at_whole(begin: Callable[..., Operator]) -> None:
    world = World(Shape(autoscaler=False))
    surroundings = await remembered(world)
    world.add({**copy.deepcopy(world.read("HTTPRoute", MODEL)), "metadata": {"name": "late", "namespace": NAMESPACE}})
    world.change("Deployment", BAD, replicas(0))
    world.change("HTTPRoute", MODEL, weight(0))
    world.controllers()
    world.report(target={"model": MODEL, "revision": BAD})
    operator = begin(world, surroundings=surroundings)
    # It finds everything as it should be, and has nothing to write.
    assert await operator.once() == SOON
    assert (_proof(world), _weights(world, "late")[BAD] == 0) == ("", False)
    await operator.settle()
    assert (_proof(world), _weights(world, "late")[BAD] == 0) == ("L1", True)


def _proof(world: World) -> str:
    assert world.containment is not None
    return world.containment.status.proof


def _weights(world: World, route: str) -> dict[str, int]:
    return {
        ref["name"]: ref.get("weight", 1) for ref in world.read("HTTPRoute", route)["spec"]["rules"][0]["backendRefs"]
    }


@pytest.mark.parametrize(
    ("found", "later", "recalled"),
    [
        ({}, 0.0, True),
        ({}, FRESH - 1.0, True),
        ({}, FRESH, False),
        ({"denied": ("may not read httproutes",)}, 0.0, False),
        ({"blind": frozenset({"HTTPRoute"})}, 0.0, False),
    ],
    ids=["now", "lately", "long ago", "denied", "blind"],
)
async def test_only_a_whole_look_that_is_fresh_is_recalled(found: dict[str, Any], later: float, recalled: bool) -> None:
    world, now = World(), [1000.0]
    surroundings = await remembered(world, steady=lambda: now[0], **found)
    now[0] += later
    assert (await looked(world, surroundings)).recalled is recalled


async def test_whoever_is_held_is_looked_at_whole(begin: Callable[..., Operator]) -> None:
    world = await contained(begin())
    assert not (await looked(world, await remembered(world))).recalled


async def looked(world: World, surroundings: Surroundings) -> Live:
    store = Store()
    world.tell(store)
    return await surroundings.look(ApiServer(world.api, policy=ONCE), look_up(store, KEY))
