"""An event loop whose time passes at once when there is nothing to do but wait: delays cost nothing and are exact."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class TravellingLoop(asyncio.SelectorEventLoop):
    """For coroutines that wait for nothing outside the process."""

    def __init__(self) -> None:
        super().__init__()
        self._travelled = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined]  # where the loop waits
        real = selector.select

        def select(timeout: float | None = None) -> Any:
            found = real(0)
            if timeout is None and not found:
                raise RuntimeError("everything waits, and nothing will ever happen")
            self._travelled += 0.0 if found else timeout or 0.0
            return found

        selector.select = select

    def time(self) -> float:
        return self._travelled


def travelling(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in such a loop, and ends what it left behind."""
    with asyncio.Runner(loop_factory=TravellingLoop) as runner:
        return runner.run(work)
