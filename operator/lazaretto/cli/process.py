"""What both processes run on: asyncio's own event loop, and a heap that is not searched in vain."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine


def run(main: Coroutine[object, object, None]) -> None:
    """Run until it ends. Everything that was imported so far is exempt from garbage collection.

    There are some hundred thousand objects of that, and each full collection looks at all of them
    for tens of milliseconds, which a containment would have to wait for.
    """
    gc.collect()
    gc.freeze()
    asyncio.run(main)
