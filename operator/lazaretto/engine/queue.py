"""A queue of keys: each at most once, urgent ones first, one worker per key.

Critical keys may have workers of their own.

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

CRITICAL = 0
URGENT = 1
NORMAL = 2
IDLE = 3


class WorkQueue(Generic[Key]):
    """See the module's text. Not for several event loops or threads."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Key]] = []
        self._waiting: dict[Key, int] = {}
        self._running: dict[Key, int] = {}
        self._again: dict[Key, int] = {}
        self._timers: dict[Key, tuple[float, asyncio.TimerHandle]] = {}
        self._order = itertools.count()
        self._ready = asyncio.Event()
        self._critical = asyncio.Event()

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
        if priority == CRITICAL:
            self._critical.set()

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

    async def take(self, *, critical: bool = False) -> Key:
        """The next key, or the next critical one. It is not handed out again before `done`."""
        bell, least = (self._critical, CRITICAL) if critical else (self._ready, IDLE)
        while True:
            while self._heap and self._heap[0][0] <= least:
                priority, _, key = heapq.heappop(self._heap)
                if self._waiting.get(key) == priority:
                    del self._waiting[key]
                    self._running[key] = priority
                    return key
            bell.clear()
            await bell.wait()

    def done(self, key: Key) -> None:
        """The key was worked on."""
        self._running.pop(key, None)
        if (priority := self._again.pop(key, None)) is not None:
            self.add(key, priority=priority)

    def priority_of(self, key: Key) -> int:
        """The priority with which the key, which is being worked on, was taken."""
        return self._running.get(key, NORMAL)

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
