"""Few at a time, the most urgent first; nothing waits for ever, and nobody keeps a place for long."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from lazaretto.kube.places import SHARE, Places
from tests.engine.travelling_time import travelling

NUMBER = 4
TAKES = 0.01
"""Seconds that a request takes."""
PATIENCE = 0.25


def test_few_ask_at_a_time() -> None:
    async def story() -> None:
        places, loop = Places(NUMBER, patience=PATIENCE), asyncio.get_running_loop()
        await asyncio.gather(*(_ask(places) for _ in range(10 * NUMBER)))
        assert round(loop.time() / TAKES) == 10

    travelling(story())


def test_the_most_urgent_go_first_and_the_rest_is_not_put_off_for_ever() -> None:
    async def story() -> list[int]:
        places = Places(NUMBER, patience=PATIENCE)
        done: list[int] = []

        async def ask(priority: int) -> None:
            await _ask(places, priority)
            done.append(priority)

        busy = [asyncio.create_task(_ask(places)) for _ in range(NUMBER)]
        await asyncio.sleep(0)
        await asyncio.gather(*busy, *(ask(priority) for priority in [3] * 30 + [1] * 30))
        return done

    done = travelling(story())
    assert done[: 4 * SHARE].count(3) == 4
    assert done[-1] == 3
    assert max(index for index, priority in enumerate(done) if priority == 1) <= 30 * SHARE / (SHARE - 1)


def test_of_one_priority_the_first_comes_first() -> None:
    async def story() -> list[int]:
        places = Places(1, patience=PATIENCE)
        done: list[int] = []

        async def ask(number: int) -> None:
            await _ask(places)
            done.append(number)

        await asyncio.gather(*map(ask, range(20)))
        return done

    assert travelling(story()) == list(range(20))


def test_who_takes_long_keeps_nobody_waiting() -> None:
    async def story() -> None:
        places, loop = Places(NUMBER, patience=PATIENCE), asyncio.get_running_loop()
        hanging = [asyncio.create_task(_hang(places)) for _ in range(NUMBER)]
        await asyncio.sleep(0)
        await _ask(places)
        assert loop.time() == PATIENCE + TAKES
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        # Their places were free already: giving up must not free them once more.
        assert await _rounds(places) == 2

    travelling(story())


def test_who_is_called_off_takes_no_place_along() -> None:
    async def story() -> None:
        places = Places(NUMBER, patience=PATIENCE)
        async with AsyncExitStack() as taken:
            for _ in range(NUMBER):
                await taken.enter_async_context(places.place(0))
            waiting = [asyncio.create_task(_ask(places)) for _ in range(2 * NUMBER)]
            await asyncio.sleep(0)
            for task in waiting[:NUMBER]:
                task.cancel()
        # The others were given their places just now, and have not gone on yet.
        for task in waiting[NUMBER:]:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await _rounds(places) == 2

    travelling(story())


def test_the_number_may_change_at_any_time() -> None:
    async def story() -> None:
        places, loop = Places(NUMBER, patience=PATIENCE), asyncio.get_running_loop()
        asking = [asyncio.create_task(_ask(places)) for _ in range(4 * NUMBER)]
        await asyncio.sleep(0)
        places.number = 1
        await asyncio.sleep(3.5 * TAKES)
        assert sum(task.done() for task in asking) == NUMBER + 2
        places.number = len(asking)
        await asyncio.gather(*asking)
        assert round(loop.time() / TAKES, 1) == 4.5

    travelling(story())


async def _rounds(places: Places) -> int:
    """How many rounds twice as many requests take as there are places."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    await asyncio.gather(*(_ask(places) for _ in range(2 * NUMBER)))
    return round((loop.time() - before) / TAKES)


async def _ask(places: Places, priority: int = 0) -> None:
    async with places.place(priority):
        await asyncio.sleep(TAKES)


async def _hang(places: Places) -> None:
    async with places.place(0):
        await asyncio.Event().wait()
