"""Whoever fights a containment is undone within a fraction of a second, at a bounded price, and told of once."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

import pytest

from lazaretto.api import reasons
from lazaretto.api.meta import Condition
from lazaretto.domain.conditions import find
from lazaretto.domain.contest import ENOUGH, QUIET
from lazaretto.domain.pace import LONGEST_PAUSE
from lazaretto.domain.timeline import KEPT, Timeline, broken_at
from lazaretto.engine import status_writer
from lazaretto.engine.opposition import BURST, CALM, EVERY, SERIES
from lazaretto.engine.term import TICK
from lazaretto.kube.request import Request
from lazaretto.kube.transport import Response
from tests.e2e.shapes import BAD, MODEL
from tests.engine.edits import Edit, replicas, weight
from tests.engine.memory_api import called, failure
from tests.engine.running import MOMENT, RunningEngine, run
from tests.engine.world import World

AT_ONCE = 1.5 * MOMENT
"""Nobody looks more often than once in a moment."""
SCALE = "patch deployments/scale"


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def at_zero(world: World) -> bool:
    return bool(world.read("Deployment", BAD)["spec"]["replicas"] == 0)


async def fight(
    running: RunningEngine, *, seconds: float, every: float, kind: str = "Deployment", edit: Edit | None = None
) -> list[float]:
    """Moves an object again and again; returns how long each move stood, in steps of a moment."""
    stood, world = [], running.world
    name = BAD if kind == "Deployment" else MODEL
    for _ in range(round(seconds / every)):
        before = world.read(kind, name)["spec"]
        world.change(kind, name, edit or replicas(3))
        stood.append(await running.until(lambda: world.read(kind, name)["spec"] == before, seconds=5.0))  # noqa: B023
        await asyncio.sleep(max(0.0, every - stood[-1]))
    return stood


def contested(running: RunningEngine) -> list[Condition | None]:
    """What the incident and the containment say."""
    containment = running.world.containment
    assert containment is not None
    statuses = (running.world.incident().status, containment.status)
    return [find(status.conditions, reasons.CONTESTED) for status in statuses]


def counted(running: RunningEngine, *, since: int) -> Counter[str]:
    """What was asked, from a place in the history of requests on."""
    return Counter(called(request) for request in running.world.api.requests[since:])


def test_a_slow_fighter_is_undone_at_once_every_time() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained()
        assert max(await fight(running, seconds=60.0, every=2.0)) <= AT_ONCE

    run(story)


def test_a_fast_fighter_is_undone_within_a_fraction_of_a_second_and_at_a_bounded_price() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained()
        begun = len(running.world.api.requests)
        stood = await fight(running, seconds=5.0, every=MOMENT)
        assert stood[0] <= AT_ONCE
        assert max(stood) <= EVERY + AT_ONCE
        passed = sum(max(MOMENT, each) for each in stood)
        most = BURST + passed / EVERY + 1
        asked = counted(running, since=begun)
        assert most / 2 < asked[SCALE] <= 2 * most, "undos at once, and those of passes"
        assert asked["get containments"] <= most + SERIES, "the journal, before each undo at once"
        assert asked["list services"] <= 2 * most, "passes, and the surveys between them"
        await running.contained()

    run(story)


def test_after_a_calm_time_everything_is_at_once_again() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained()
        await fight(running, seconds=1.0, every=MOMENT)
        await asyncio.sleep(CALM + 1.0)
        assert max(await fight(running, seconds=MOMENT, every=MOMENT)) <= AT_ONCE

    run(story)


def test_a_new_incident_and_a_release_do_not_wait_for_a_fight() -> None:
    async def story(running: RunningEngine) -> None:
        world = running.world
        world.report()
        await running.contained()
        await fight(running, seconds=1.0, every=MOMENT)
        world.report(2, category="UnsafeOutput")
        await asyncio.sleep(MOMENT)
        assert world.containment is not None
        assert len(world.containment.spec.holds) == 2

    run(story)


def test_ten_minutes_of_it_are_told_once_and_cost_a_bounded_number_of_statuses() -> None:
    async def story(running: RunningEngine) -> None:
        world = running.world
        world.report()
        await running.contained()
        before, begun = world.incident().status.timeline_count, len(world.api.requests)
        await fight(running, seconds=600.0, every=2.0)
        for found in contested(running):
            assert found is not None
            assert (found.status, found.reason) == ("True", reasons.FOUGHT)
            assert found.message == f"Deployment/{BAD} was moved 160 times or more by somebody"
        told = [e.type for e in world.incident().status.timeline[before - world.incident().status.timeline_count :]]
        assert Counter(told) == {"Interference": ENOUGH, "Contested": 1}
        warnings = [e["reason"] for e in world.api.all("events") if e["type"] == "Warning"]
        assert Counter(warnings) == {"Interference": ENOUGH, "Contested": 1}
        asked = counted(running, since=begun)
        for kind in ("aiincidents", "containments", "protectedmodels", "modelrevisions"):
            assert asked[f"patch {kind}/status"] <= status_writer.BURST + 600.0 / status_writer.EVERY + 1
        await asyncio.sleep(QUIET + TICK + 5.0)
        assert contested(running) == [None, None]
        status = world.incident().status
        assert status.state == "Contained"
        assert status.timeline[-1].message == f"Deployment/{BAD} was moved 300 times by somebody, and is left alone now"
        assert broken_at(Timeline(tuple(status.timeline), status.timeline_count, status.head_hash)) is None
        assert status.timeline_count < KEPT

    run(story)


def test_a_release_tells_how_often_what_was_moved() -> None:
    async def story(running: RunningEngine) -> None:
        world = running.world
        world.report()
        await running.contained()
        await fight(running, seconds=14.0, every=2.0, kind="HTTPRoute", edit=weight(50))
        world.approve()
        await running.until(lambda: running.state() == "Released" and world.containment is None, seconds=60.0)
        status = world.incident().status
        assert [e.object for e in status.timeline if e.type == "Quiet"] == [f"HTTPRoute/{MODEL}"]
        assert find(status.conditions, reasons.CONTESTED) is None

    run(story)


def test_a_new_process_does_not_deny_a_fight_that_it_knows_nothing_of() -> None:
    world = World()

    async def fought(running: RunningEngine) -> None:
        world.report()
        await running.contained()
        await fight(running, seconds=14.0, every=2.0)
        assert None not in contested(running)

    async def later(running: RunningEngine) -> None:
        await asyncio.sleep(3 * TICK)
        assert None not in contested(running)
        await asyncio.sleep(QUIET)
        assert contested(running) == [None, None]

    run(fought, world=world)
    run(later, world=world)


def refusing(running: RunningEngine, call: str) -> Callable[[], None]:
    """Admission refuses a call from now on; what is returned ends that."""

    def refuse(request: Request) -> Response | None:
        return failure(403, "Forbidden", message="admission webhook says no") if called(request) == call else None

    running.world.api.hook = refuse

    def end() -> None:
        running.world.api.hook = None

    return end


def test_what_is_refused_is_tried_ever_more_seldom_and_said_all_the_time() -> None:
    async def story(running: RunningEngine) -> None:
        refusing(running, SCALE)
        running.world.report()
        await running.until(lambda: running.state() == "Degraded", seconds=2.0)
        begun = len(running.world.api.requests)
        writes = running.world.incident().metadata.resource_version
        await asyncio.sleep(600.0)
        assert 600.0 / LONGEST_PAUSE <= counted(running, since=begun)[SCALE] <= 600.0 / LONGEST_PAUSE + 6
        assert running.world.incident().metadata.resource_version == writes, "nothing new is said"
        assert "admission webhook says no" in running.world.incident().status.reason

    run(story)


def test_what_is_refused_is_tried_at_once_when_something_has_changed() -> None:
    async def story(running: RunningEngine) -> None:
        allow = refusing(running, SCALE)
        running.world.report()
        await running.until(lambda: running.state() == "Degraded", seconds=2.0)
        await asyncio.sleep(300.0)
        allow()
        running.world.change("Deployment", BAD, replicas(4))
        await asyncio.sleep(MOMENT)
        assert at_zero(running.world)
        await running.contained(seconds=60.0)

    run(story)


def test_a_refused_write_keeps_no_other_object_from_being_put_back() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained()
        refusing(running, "patch httproutes")
        running.world.change("HTTPRoute", MODEL, weight(50))
        await asyncio.sleep(100.0)
        assert max(await fight(running, seconds=20.0, every=2.0)) <= AT_ONCE

    run(story)


def test_a_fighter_whose_moves_may_not_be_undone_does_not_make_a_busy_loop() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained()
        refusing(running, SCALE)
        begun = len(running.world.api.requests)
        for number in range(6000):
            running.world.change("Deployment", BAD, replicas(3 + number % 2))
            await asyncio.sleep(MOMENT)
        assert counted(running, since=begun)[SCALE] <= 1 + BURST + 60.0 / EVERY + 1, "after the first, passes alone"

    run(story)
