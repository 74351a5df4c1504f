"""Terms of one engine: nothing is written outside of them, and each takes up what it finds stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from lazaretto.kube.request import Request
from tests.e2e.shapes import BAD
from tests.engine.edits import replicas
from tests.engine.memory_api import called
from tests.engine.running import RunningEngine, run
from tests.engine.world import KEY, World


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


class Appointment:
    """In place of an election: the test says who leads."""

    def __init__(self) -> None:
        self.term: int | None = None
        self.resigned = False
        self._told = asyncio.Queue[int | None]()

    def begin(self, term: int) -> None:
        self.term = term
        self._told.put_nowait(term)

    def end(self, *, told: bool = True) -> None:
        self.term = None
        if told:
            self._told.put_nowait(None)

    def holds(self, term: int) -> bool:
        return self.term == term

    async def terms(self) -> AsyncIterator[int | None]:
        while True:
            yield await self._told.get()

    async def work(self, namespace: str) -> None:
        await asyncio.Event().wait()

    async def resign(self) -> None:
        self.resigned = True


def written(world: World) -> list[str]:
    """Writes but for questions about rights."""
    return [str(request) for request in world.api.writes if "selfsubject" not in request.path]


def test_a_follower_knows_everything_and_writes_nothing() -> None:
    appointed = Appointment()

    async def story(running: RunningEngine) -> None:
        running.world.report()
        await asyncio.sleep(100.0)
        assert written(running.world) == []
        assert running.engine.store.model(*KEY) is not None
        assert running.passes() == 0
        appointed.begin(1)
        await running.contained(seconds=1.0)

    run(story, election=appointed)


def test_a_term_that_is_over_is_over_in_the_middle_of_a_pass() -> None:
    """What it would have written next is not sent, even before its workers have been told."""
    appointed = Appointment()

    def over(request: Request) -> None:
        if called(request) == "create containments":
            appointed.end(told=False)

    async def story(running: RunningEngine) -> None:
        appointed.begin(1)
        await asyncio.sleep(1.0)
        world = running.world
        world.api.hook = over
        world.report()
        await running.until(lambda: world.containment is not None, seconds=5.0)
        stored = len(world.api.history)
        world.api.hook = None
        await asyncio.sleep(30.0)
        assert [each.call for each in world.api.history[stored:]] == []
        appointed.end()
        appointed.begin(2)
        await running.contained()

    run(story, election=appointed)


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.02, 0.04, 0.1, 0.2, 0.5, 1.0])
def test_the_next_term_of_the_same_process_goes_on_from_what_is_stored(moment: float) -> None:
    appointed = Appointment()

    async def story(running: RunningEngine) -> None:
        appointed.begin(1)
        await asyncio.sleep(1.0)
        world = running.world
        world.api.delay = 0.002
        running.rollout = 0.3
        world.report()
        await asyncio.sleep(moment)
        appointed.end()
        await asyncio.sleep(0.3)
        appointed.begin(2)
        await running.contained()
        world.approve()
        await running.until(lambda: running.state() == "Released" and world.containment is None, seconds=10.0)
        assert world.specs() == world.originals

    run(story, election=appointed)


def test_between_terms_nobody_puts_back_what_is_moved_and_the_next_one_does() -> None:
    appointed = Appointment()

    async def story(running: RunningEngine) -> None:
        appointed.begin(1)
        running.world.report()
        await running.contained()
        appointed.end()
        await asyncio.sleep(1.0)
        running.world.change("Deployment", BAD, replicas(5))
        await asyncio.sleep(30.0)
        assert running.world.read("Deployment", BAD)["spec"]["replicas"] == 5
        appointed.begin(2)
        await running.until(lambda: running.world.read("Deployment", BAD)["spec"]["replicas"] == 0, seconds=1.0)

    run(story, election=appointed)


def test_the_lease_is_given_up_when_nothing_writes_any_more() -> None:
    appointed = Appointment()

    async def story(running: RunningEngine) -> None:
        appointed.begin(1)
        await asyncio.sleep(1.0)
        await running.engine.stop()
        assert appointed.resigned
        assert running.engine.term is None

    run(story, election=appointed)
