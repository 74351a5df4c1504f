"""Going round: every item once in so many seconds, spread over that time.

All at once they would stand in the way of a new incident. However many there are, no more than
five come in a second; then a round takes longer.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

SHORTEST_PAUSE = 0.2
IDLE = 1.0


async def rounds(items: Callable[[], Iterable[T]], *, every: float) -> AsyncIterator[T]:
    """Yields for ever; `items` is asked anew for each round. The first comes after a pause."""
    while True:
        found = list(items())
        if not found:
            await asyncio.sleep(IDLE)
        pause = max(every / max(1, len(found)), SHORTEST_PAUSE)
        for item in found:
            await asyncio.sleep(pause * (0.9 + 0.2 * random.random()))  # noqa: S311  # jitter
            yield item
