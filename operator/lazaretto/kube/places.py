"""Few requests at a time, and who comes next.

An API server that is busy answers everybody late, and so does an event loop. So the order in which requests are made
is decided here, by their priority, rather than there, where they would all be late together.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SHARE = 4


class Places:
    """A number of places. Those that become free go to the lowest priority that waits, the first of them first.

    Every `SHARE`th goes to whoever has waited longest, whatever its priority: nothing waits for ever. Whoever has a
    place gives it up after `patience` seconds, whatever it still waits for: what hangs on something else keeps
    nobody waiting, and is no measure of how much is asked for.
    """

    def __init__(self, number: int, *, patience: float) -> None:
        self._number = number
        self._patience = patience
        self._taken = 0
        self._given = 0
        self._waiting: dict[asyncio.Future[None], int] = {}
        """Who waits, with what priority, in the order in which they came."""

    @property
    def number(self) -> int:
        """How many places there are. If there are fewer than are taken, nobody has to leave for that."""
        return self._number

    @number.setter
    def number(self, number: int) -> None:
        self._number = number
        self._give()

    @asynccontextmanager
    async def place(self, priority: int) -> AsyncIterator[None]:
        """One of the places, as soon as it is one's turn."""
        await self._take(priority)
        held = True

        def leave() -> None:
            nonlocal held
            if held:
                held = False
                self._leave()

        timer = asyncio.get_running_loop().call_later(self._patience, leave)
        try:
            yield
        finally:
            timer.cancel()
            leave()

    async def _take(self, priority: int) -> None:
        if self._taken < self._number and not self._waiting:
            self._taken += 1
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = priority
        try:
            await waiting
        except asyncio.CancelledError:
            self._waiting.pop(waiting, None)
            if not waiting.cancelled():
                # It was given a place in the very moment in which it was called off.
                self._leave()
            raise

    def _leave(self) -> None:
        self._taken -= 1
        self._give()

    def _give(self) -> None:
        while self._waiting and self._taken < self._number:
            self._given += 1
            by_age = self._given % SHARE == 0
            chosen = next(iter(self._waiting)) if by_age else min(self._waiting, key=self._waiting.__getitem__)
            del self._waiting[chosen]
            if not chosen.cancelled():
                self._taken += 1
                chosen.set_result(None)
