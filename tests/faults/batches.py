"""Plays plans that kill nobody, several at once: each when the first of its batch is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, TypeVar, cast

import pytest

from tests.faults.oracle import Outcome

P = TypeVar("P")


def parameters(plans: Sequence[P], *, every_time: Collection[P]) -> list[Any]:
    """All of them; those that are not for every run are slow."""
    return [pytest.param(p, id=str(p), marks=[] if p in every_time else [pytest.mark.slow]) for p in plans]


class Batches(Generic[P]):
    """See the module's text. `play` plays those of one batch, and says what became of each."""

    def __init__(
        self, request: pytest.FixtureRequest, *, size: int, play: Callable[[Sequence[P]], Sequence[Outcome]]
    ) -> None:
        """Of every selected plan of the module whose test asks for the fixture that makes this."""
        plans: list[P] = [
            cast(P, item.callspec.params["plan"])
            for item in request.session.items
            if isinstance(item, pytest.Function)
            and item.path == request.path
            and request.fixturename in item.fixturenames
        ]
        self._batches = [plans[first : first + size] for first in range(0, len(plans), size)]
        self._play = play
        self._played: dict[P, Outcome] = {}

    def outcome(self, plan: P) -> Outcome:
        """What became of a plan."""
        if plan not in self._played:
            batch = next(batch for batch in self._batches if plan in batch)
            self._played |= dict(zip(batch, self._play(batch), strict=True))
        return self._played[plan]
