"""The switch as the engine sees it: read before anything is decided, followed from then on."""

from __future__ import annotations

import asyncio

from lazaretto.domain.admission import NAMESPACE
from lazaretto.domain.switch import SWITCH
from lazaretto.kube.resource import CONFIG_MAPS
from tests.e2e.shapes import BAD
from tests.engine.memory_api import failure
from tests.engine.running import RunningEngine, run
from tests.engine.world import World

LONGEST = 15.0
"""Seconds after which a watch that says nothing is not believed any more."""
PATH = CONFIG_MAPS.path(namespace=NAMESPACE, name=SWITCH)


def off(world: World) -> None:
    world.api.add(PATH, {"kind": "ConfigMap", "metadata": {"name": SWITCH}, "data": {"mode": "Observe"}})


def test_nothing_new_is_contained_until_it_is_on_again() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.until(lambda: running.state() == "AwaitingApproval", seconds=5.0)
        assert "switched off" in running.world.incident().status.reason
        assert running.world.specs() == running.world.originals
        running.world.api.delete(PATH)
        await running.contained(seconds=10.0)

    world = World()
    off(world)
    run(story, world=world)


def test_a_cluster_that_does_not_say_who_we_are_holds_nothing_up() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.report()
        running.world.api.forbidden.add("create selfsubjectreviews")
        running.start()
        await running.contained(seconds=10.0)

    run(story, started=False)


def test_people_outrank_it_and_what_is_held_is_defended_and_released() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained(seconds=10.0)
        off(running.world)
        running.world.change("Deployment", BAD, lambda body: body["spec"].update(replicas=5))
        await running.until(lambda: running.world.read("Deployment", BAD)["spec"]["replicas"] == 0, seconds=10.0)
        running.world.approve()
        await running.until(lambda: running.world.containment is None, seconds=10.0)
        assert running.world.specs() == running.world.originals
        running.world.report(2)
        await running.until(lambda: running.state(2) == "AwaitingApproval", seconds=5.0)
        running.world.approve(2, verb="ApproveContainment", people=["alice"])
        await running.contained(2, seconds=10.0)

    run(story)


def test_nothing_is_decided_before_it_was_read_and_without_the_right_there_is_no_switch() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.report()
        running.world.api.hook = lambda request: failure(500, "x") if request.path == PATH else None
        running.start()
        await running.until(lambda: PATH in {r.path for r in running.world.api.requests}, seconds=5.0)
        assert running.world.specs() == running.world.originals
        running.world.api.hook = lambda request: failure(403, "Forbidden") if request.path == PATH else None
        await running.contained(seconds=60.0)

    run(story, started=False)


def test_an_api_server_that_refuses_everything_at_first_does_not_turn_it_on() -> None:
    """As one does that has not read its roles yet."""

    async def story(running: RunningEngine) -> None:
        running.world.report()
        running.world.api.hook = lambda request: failure(403, "Forbidden") if request.path == PATH else None
        running.start()
        await asyncio.sleep(2.0)
        running.world.api.hook = None
        await running.until(lambda: running.state() == "AwaitingApproval", seconds=5.0)
        assert running.world.specs() == running.world.originals

    world = World()
    off(world)
    run(story, world=world, started=False)


def test_on_a_dead_connection_it_is_found_in_seconds() -> None:
    async def story(running: RunningEngine) -> None:
        off(running.world)
        running.world.api.deaf.clear()
        await asyncio.sleep(LONGEST)
        running.world.report()
        await running.until(lambda: running.state() == "AwaitingApproval", seconds=5.0)

    world = World()
    world.api.deaf.add(CONFIG_MAPS.path(namespace=NAMESPACE))
    run(story, world=world)
