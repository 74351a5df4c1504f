"""A whole engine over a world, in an event loop whose time passes by itself, with watches and controllers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from lazaretto.api import KINDS, Resource
from lazaretto.engine.engine import Engine
from lazaretto.engine.term import Term
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.resource import of
from tests.engine.faulty_line import FaultyLine
from tests.engine.travelling_time import travelling
from tests.engine.world import NoonClock, World

MOMENT = 0.01
"""Seconds in which everything that can be done at once is done."""


class RunningEngine:
    """See the module's text. `deaf` kinds are those that no watch tells about."""

    def __init__(self, world: World, **more: Any) -> None:
        self.world = world
        self.fast, self.slow = FaultyLine(world.api), FaultyLine(world.api)
        self.engine = Engine(ApiServer(self.fast), ApiServer(self.slow), clock=NoonClock(), **more)
        self.deaf: set[type[Resource]] = set()
        self.rollout = 0.05
        """Seconds that controllers take."""
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self.engine.start()
        self._tasks = [asyncio.create_task(self._hear(kind)) for kind in KINDS]
        self._tasks.append(asyncio.create_task(self._roll_out()))

    async def stop(self) -> None:
        await self.engine.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hear(self, kind: type[Resource]) -> None:
        while True:
            async for event in ApiServer(self.world.api).watch(of(kind)):
                if kind not in self.deaf:
                    self.engine.observe(kind, event["object"], deleted=event["type"] == "DELETED")

    async def _roll_out(self) -> None:
        while True:
            await asyncio.sleep(self.rollout)
            self.world.controllers()

    @property
    def term(self) -> Term:
        """The term in which it writes."""
        assert self.engine.term is not None
        return self.engine.term

    def passes(self) -> int:
        """How many passes over a model, and surveys, have begun to look at it."""
        return sum(call.what == "list services" for call in self.fast.calls)

    async def until(self, holds: Callable[[], object], *, seconds: float) -> float:
        """Waits until something holds and returns how long that took; fails after so many seconds."""
        begun = asyncio.get_running_loop().time()
        while not holds():
            await asyncio.sleep(MOMENT)
            waited = asyncio.get_running_loop().time() - begun
            assert waited <= seconds, f"not after {seconds} s"
        return asyncio.get_running_loop().time() - begun

    async def contained(self, number: int = 1, *, seconds: float = 5.0) -> float:
        return await self.until(lambda: self.state(number) == "Contained", seconds=seconds)

    def state(self, number: int = 1) -> str:
        return self.world.incident(number).status.state


def run(
    story: Callable[[RunningEngine], Awaitable[None]], *, world: World | None = None, started: bool = True, **more: Any
) -> None:
    """Tells a story in which the engine runs from the beginning, unless it starts that itself."""

    async def scene() -> None:
        running = RunningEngine(world or World(), **more)
        if started:
            running.start()
            await asyncio.sleep(1.0)
        try:
            await story(running)
        finally:
            await running.stop()
        assert running.world.api.watched() == [], "a watch was left behind"

    travelling(scene())
