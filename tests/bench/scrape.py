"""Reads what the processes themselves say under `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

LAG = "lazaretto_event_loop_lag_seconds"
LAG_SECONDS = 15.0
"""How far back the lag that is told reaches; before a `LagWatch` begins, what came before must be as old."""
_EVERY = 5.0


async def scraped(session: aiohttp.ClientSession, url: str, *, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels."""
    async with session.get(url) as answer:
        text = await answer.text()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels.items() >= labels.items()
    )


class LagWatch:
    """The longest that a process' event loop was late, from when it is watched until now."""

    def __init__(self, url: str) -> None:
        self.longest = 0.0
        self._url = url

    @classmethod
    @asynccontextmanager
    async def over(cls, url: str) -> AsyncIterator[Self]:
        """Watches for the length of a `with`; `longest` is complete when that is left."""
        watch = cls(url)
        async with aiohttp.ClientSession() as session:
            task = asyncio.create_task(watch._repeat(session))
            try:
                yield watch
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await watch._look(session)

    async def _repeat(self, session: aiohttp.ClientSession) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self._look(session)

    async def _look(self, session: aiohttp.ClientSession) -> None:
        self.longest = max(self.longest, await scraped(session, self._url, name=LAG))
