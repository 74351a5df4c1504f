"""Waiting for something to come about, with one patience for all tests.

How long it takes is measured in `tests/bench`. A test only says that it comes about, so a slow or shared machine
makes it slower and never red.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

PATIENCE = 90.0
"""Seconds after which what did not come about is called missing."""


def until(found: Callable[[], Any], *, what: str = "what was waited for", seconds: float = PATIENCE) -> Any:
    """Waits until `found()` is true and returns it; fails by saying `what` did not come about."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"not after {seconds:g} s: {what}"
        time.sleep(0.02)
    return value


def outlive_the_beginning(containment: Mapping[str, Any] | None) -> None:
    """Waits for the second after its holds began: only then does an approval, stamped with whole seconds, count."""
    holds = containment["spec"].get("holds", []) if containment else []
    began = max((datetime.fromisoformat(hold["since"]) for hold in holds), default=None)
    if began is not None:
        outlive(began)


def outlive(moment: datetime) -> None:
    """Waits until what an API server dates, in whole seconds, is dated no earlier than the moment."""
    until(lambda: datetime.now(UTC).replace(microsecond=0) >= moment, what="a second of its own")
