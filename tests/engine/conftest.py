"""Operators that are stopped when their test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.engine.world import Operator, World


@pytest.fixture
async def begin() -> AsyncIterator[Callable[..., Operator]]:
    """Starts an operator, over a world of its own unless one is given."""
    started: list[Operator] = []

    def start(world: World | None = None, **more: Any) -> Operator:
        started.append(Operator(world or World(), **more))
        return started[-1]

    yield start
    for operator in started:
        await operator.stop()
