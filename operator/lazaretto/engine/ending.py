"""Ending tasks, for sure."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

AGAIN = 0.5


async def ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel the tasks until all of them are over, whatever they come to.

    Once is not always enough: a task that is cancelled at the very moment at which what it waits for is there may
    go on as if nothing had happened (`asyncio.wait_for` did that before Python 3.12, also in libraries).
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=AGAIN)
    await asyncio.gather(*tasks, return_exceptions=True)
