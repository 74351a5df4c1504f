"""Kinds that a cluster may lack: held where they are installed, and not asked for where they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lazaretto.engine.term import SURVEY_EVERY, TICK
from tests.e2e.shapes import BAD, MODEL
from tests.engine.edits import contained
from tests.engine.running import RunningEngine, run
from tests.engine.world import Operator, World

SCALED = {
    "kind": "ScaledObject",
    "metadata": {"name": BAD, "annotations": {"team": "x"}},
    "spec": {"scaleTargetRef": {"name": BAD}},
}
PAUSED = {"autoscaling.keda.sh/paused": "true", "autoscaling.keda.sh/paused-replicas": "0"}


def noted(world: World) -> object:
    return world.read("ScaledObject", BAD)["metadata"]["annotations"]


def with_keda() -> World:
    world = World(more=[SCALED])
    world.api.absent = set()
    return world


async def test_a_scaled_object_is_held_and_given_back(begin: Callable[..., Operator]) -> None:
    operator = begin(with_keda())
    world = await contained(operator)
    assert noted(world) == {"team": "x", **PAUSED}
    world.approve()
    await operator.settle()
    assert noted(world) == {"team": "x"}
    assert world.containment is None


def test_what_is_not_installed_is_not_asked_for_by_any_pass() -> None:
    async def story(running: RunningEngine) -> None:
        world = running.world
        await running.until(lambda: world.read("ProtectedModel", MODEL).get("status"), seconds=5.0)
        before = len(running.fast.calls)
        world.report()
        await running.contained()
        made = [call.what for call in running.fast.calls[before:]]
        assert "list scaledobjects" not in made[: made.index("create containments")]

    run(story)


def test_what_is_installed_while_a_model_is_held_is_found_by_the_survey() -> None:
    async def story(running: RunningEngine) -> None:
        world = running.world
        world.report()
        await running.contained()
        world.api.absent = set()
        world.add(SCALED)
        await asyncio.sleep(SURVEY_EVERY * 1.2 + TICK * 1.2 + 5.0)
        assert noted(world) == {"team": "x", **PAUSED}

    run(story)


def test_routes_are_searched_for_all_the_same() -> None:
    """They may be served a moment later, and would be a way to the model."""

    async def story(running: RunningEngine) -> None:
        world = running.world
        world.api.absent = {"httproutes"}
        await asyncio.sleep(SURVEY_EVERY * 1.2)
        world.api.absent = set()
        world.report()
        await running.contained()
        assert world.specs()[f"HTTPRoute/{MODEL}"] != world.originals[f"HTTPRoute/{MODEL}"]

    run(story)
