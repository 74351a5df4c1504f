"""Who goes first: others keep back while a critical pass asks, and are delayed, never stopped."""

from __future__ import annotations

import asyncio
import contextvars

from lazaretto.engine.courtesy import PATIENCE, Courtesy
from tests.engine.travelling_time import travelling


def test_others_wait_until_the_last_critical_pass_is_over() -> None:
    async def story() -> None:
        courtesy, loop = Courtesy(), asyncio.get_running_loop()
        with courtesy.first(True):
            other = asyncio.create_task(_turn_outside(courtesy))
            await courtesy.turn()
            await asyncio.gather(courtesy.turn(), courtesy.turn())  # what it starts goes first as well
            assert loop.time() == 0.0
            await asyncio.sleep(PATIENCE / 2)
            assert not other.done()
        await other
        assert loop.time() == PATIENCE / 2
        await courtesy.turn()

    travelling(story())


def test_a_critical_pass_that_hangs_stops_nobody() -> None:
    async def story() -> None:
        courtesy, loop = Courtesy(), asyncio.get_running_loop()
        hanging = asyncio.create_task(_hang(courtesy))
        await asyncio.sleep(0)
        await courtesy.turn()
        assert loop.time() == PATIENCE
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        await courtesy.turn()
        assert loop.time() == PATIENCE

    travelling(story())


def test_what_is_not_critical_lets_nobody_wait() -> None:
    async def story() -> None:
        courtesy, loop = Courtesy(), asyncio.get_running_loop()
        with courtesy.first(False):
            await asyncio.create_task(courtesy.turn())
        assert loop.time() == 0.0

    travelling(story())


async def _turn_outside(courtesy: Courtesy) -> None:
    # A task copies the context of who makes it: this one is made as a worker of its own would be.
    await asyncio.get_running_loop().create_task(courtesy.turn(), context=contextvars.Context())


async def _hang(courtesy: Courtesy) -> None:
    with courtesy.first(True):
        await asyncio.Event().wait()
