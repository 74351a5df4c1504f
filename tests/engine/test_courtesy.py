"""Who goes first: critical passes before all, first containments before the rest; nobody is stopped."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from contextlib import nullcontext

import pytest

from lazaretto.engine.courtesy import AT_ONCE, BESIDE, CROWD, Courtesy
from lazaretto.engine.queue import CRITICAL, IDLE, NORMAL, URGENT
from tests.engine.travelling_time import travelling

TAKES = 0.01
"""Seconds that a request takes."""


@pytest.mark.parametrize("priority", [URGENT, NORMAL, IDLE])
def test_what_is_critical_waits_for_nobody_and_leaves_others_few_places(priority: int) -> None:
    async def story() -> None:
        courtesy, loop = Courtesy(), asyncio.get_running_loop()
        many, few = AT_ONCE[min(priority, NORMAL)], BESIDE[min(priority, NORMAL)]
        others = [_apart(lambda: _ask(courtesy, priority)) for _ in range(10 * many)]
        await asyncio.sleep(0)
        with courtesy.priority(CRITICAL):
            # What it starts goes first as well, however much that is.
            await asyncio.gather(*(_ask(courtesy) for _ in range(3 * many)))
            assert loop.time() == TAKES
            await asyncio.sleep(9.5 * TAKES)
            assert sum(other.done() for other in others) == many + 9 * few
        began = loop.time()
        await asyncio.gather(*others)
        # As soon as the last critical pass is over, all places are taken again.
        assert loop.time() - began <= (10 * many - 9 * few) / many * TAKES

    travelling(story())


@pytest.mark.parametrize("priority", [CRITICAL, URGENT])
def test_a_pass_that_hangs_stops_nobody(priority: int) -> None:
    async def story() -> None:
        courtesy, loop = Courtesy(), asyncio.get_running_loop()
        many = 1 if priority == CRITICAL else CROWD + 1
        hanging = [asyncio.create_task(_hang(courtesy, priority)) for _ in range(many)]
        await asyncio.sleep(0)
        await asyncio.gather(*(_ask(courtesy) for _ in range(10)))
        assert round(loop.time() / TAKES) == 10 / BESIDE[NORMAL]
        for each in hanging:
            each.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        before = loop.time()
        await asyncio.gather(*(_ask(courtesy) for _ in range(AT_ONCE[NORMAL])))
        assert loop.time() == before + TAKES

    travelling(story())


def test_a_few_who_are_fought_over_keep_nobody_waiting() -> None:
    async def story() -> None:
        courtesy, loop = Courtesy(), asyncio.get_running_loop()
        fighting = [asyncio.create_task(_hang(courtesy, URGENT)) for _ in range(CROWD)]
        await asyncio.sleep(0)
        await asyncio.gather(*(_ask(courtesy) for _ in range(AT_ONCE[NORMAL])))
        assert loop.time() == TAKES
        for each in fighting:
            each.cancel()
        await asyncio.gather(*fighting, return_exceptions=True)

    travelling(story())


def test_what_is_told_goes_before_the_next_look() -> None:
    async def story() -> list[str]:
        courtesy = Courtesy()
        done: list[str] = []

        async def ask(what: str, priority: int | None) -> None:
            with courtesy.priority(priority) if priority is not None else nullcontext():
                await _ask(courtesy)
            done.append(what)

        busy = [_apart(lambda: _ask(courtesy)) for _ in range(AT_ONCE[NORMAL])]
        await asyncio.sleep(0)
        late = [_apart(lambda p=p: ask("look", p)) for p in (NORMAL, IDLE, NORMAL)]  # type: ignore[misc]  # bound at once
        late.append(_apart(lambda: ask("status", None)))
        await asyncio.gather(*busy, *late)
        return done

    assert travelling(story())[0] == "status"


def test_what_is_less_urgent_takes_nothing_from_a_first_containment() -> None:
    async def story() -> None:
        courtesy, loop = Courtesy(), asyncio.get_running_loop()
        hanging = asyncio.create_task(_hang(courtesy, NORMAL))
        with courtesy.priority(URGENT):
            rest = [_apart(lambda: _ask(courtesy)) for _ in range(10 * AT_ONCE[NORMAL])]
            await asyncio.gather(*(_ask(courtesy) for _ in range(AT_ONCE[URGENT])))
        assert loop.time() == TAKES
        await asyncio.gather(*rest)
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)

    travelling(story())


def _apart(work: Callable[[], Coroutine[None, None, None]]) -> asyncio.Task[None]:
    """As a worker of its own would do it: a task copies the context of who makes it."""
    return asyncio.get_running_loop().create_task(work(), context=contextvars.Context())


async def _ask(courtesy: Courtesy, priority: int | None = None) -> None:
    async with courtesy.place(priority):
        await asyncio.sleep(TAKES)


async def _hang(courtesy: Courtesy, priority: int) -> None:
    with courtesy.priority(priority):
        await asyncio.Event().wait()
