"""A queue of keys: each at most once, urgent ones first, one worker per key.

Events only say that something may have changed. A key that is added while it waits is still
one key; a key that is added while it is worked on is worked on once more afterwards. Failures
come back with a growing delay of their own, which a new event cuts short.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

URGENT = 0
NORMAL = 1
IDLE = 2


class WorkQueue(Generic[Key]):
    """See the module's text. Not for several event loops or threads."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Key]] = []
        self._waiting: dict[Key, int] = {}
        self._running: set[Key] = set()
        self._again: dict[Key, int] = {}
        self._timers: dict[Key, tuple[float, asyncio.TimerHandle]] = {}
        self._order = itertools.count()
        self._ready = asyncio.Event()

    def add(self, key: Key, *, priority: int = NORMAL) -> None:
        """Ask for the key to be worked on. Never blocks."""
        self._forget_timer(key)
        if key in self._running:
            self._again[key] = min(priority, self._again.get(key, priority))
            return
        if self._waiting.get(key, IDLE + 1) <= priority:
            return
        # A more urgent entry supersedes the old one, which is skipped when it surfaces.
        self._waiting[key] = priority
        heapq.heappush(self._heap, (priority, next(self._order), key))
        self._ready.set()

    def add_after(self, key: Key, delay: float, *, priority: int = NORMAL) -> None:
        """Ask for the key in `delay` seconds; an earlier request stands."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        if key in self._timers and self._timers[key][0] <= due:
            return
        self._forget_timer(key)

        def ring() -> None:
            self._timers.pop(key, None)
            self.add(key, priority=priority)

        self._timers[key] = (due, loop.call_at(due, ring))

    async def take(self) -> Key:
        """The next key. It is not handed out again before `done`."""
        while True:
            while self._heap:
                priority, _, key = heapq.heappop(self._heap)
                if self._waiting.get(key) == priority:
                    del self._waiting[key]
                    self._running.add(key)
                    return key
            self._ready.clear()
            await self._ready.wait()

    def done(self, key: Key) -> None:
        """The key was worked on."""
        self._running.discard(key)
        if (priority := self._again.pop(key, None)) is not None:
            self.add(key, priority=priority)

    @property
    def busy(self) -> bool:
        """Whether a key waits or is being worked on."""
        return bool(self._waiting or self._running)

    def __len__(self) -> int:
        """Keys that wait."""
        return len(self._waiting)

    def _forget_timer(self, key: Key) -> None:
        if (timer := self._timers.pop(key, None)) is not None:
            timer[1].cancel()
