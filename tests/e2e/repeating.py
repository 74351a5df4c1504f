"""What somebody does again and again beside a test, from when it is entered until it is left."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Repeating(ABC):
    """Calls `once` in a thread of its own, with a pause of `every` seconds; leaving waits for the last call."""

    def __init__(self, *, every: float) -> None:
        self._every = every
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    @abstractmethod
    def once(self) -> None:
        """One time."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(120.0)

    def _repeat(self) -> None:
        while not self._done.is_set():
            self.once()
            self._done.wait(self._every)
