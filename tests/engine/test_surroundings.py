"""What a survey remembers of a model, so that a containment reads it in its first round."""

from __future__ import annotations

import pytest

from lazaretto.api import ProtectedModel
from lazaretto.engine.gather import gather, scene_of
from lazaretto.engine.surroundings import Surroundings
from lazaretto.kube.api_server import ApiServer
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape
from tests.engine.running import RunningEngine, run
from tests.engine.world import KEY, NAMESPACE, ONCE, World

EVERYTHING = {("Deployment", BAD), ("Deployment", GOOD), ("HorizontalPodAutoscaler", BAD)}


async def remembered(world: World) -> Surroundings:
    model = ProtectedModel.read(world.read("ProtectedModel", MODEL))
    live = await gather(ApiServer(world.api, policy=ONCE), namespace=NAMESPACE, model=model, containment=None)
    surroundings = Surroundings()
    surroundings.remember(KEY, live, scene=scene_of(live, namespace=NAMESPACE, model=MODEL, containment=None))
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
        assert len(first) == 8
        # Lists and reads by name went out together: none waited for another one's answer.
        assert "get httproutes" in first[:6]

    run(story)
