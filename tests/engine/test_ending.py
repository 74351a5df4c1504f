"""Tasks end, also those that miss their cancellation."""

from __future__ import annotations

import asyncio

from lazaretto.engine.ending import ended
from tests.engine.travelling_time import travelling


def test_a_task_that_goes_on_once_is_cancelled_again() -> None:
    missed: list[int] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(60.0)
            except asyncio.CancelledError:
                missed.append(1)
                if len(missed) > 2:
                    raise

    async def fails() -> None:
        raise RuntimeError("made up")

    async def story() -> None:
        tasks = [asyncio.create_task(stubborn()), asyncio.create_task(fails())]
        await asyncio.sleep(1.0)
        await ended(tasks)
        assert all(task.done() for task in tasks)

    travelling(story())
    assert len(missed) == 3
