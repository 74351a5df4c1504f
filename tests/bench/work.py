"""How much work a call is, counted instead of timed: the bytecodes that it runs in our own code.

The same call with the same arguments counts the same on any machine, however busy, so a growth can gate the tests.
What is done inside of C (sorting, hashing, JSON) is not seen.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any


def work(call: Callable[[], object], *, within: str = "lazaretto") -> int:
    """Bytecodes that the call runs in modules of that package."""
    count = 0

    def step(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "opcode"
        return step

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        if not str(frame.f_globals.get("__name__", "")).startswith(within):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The b of cost = a * size**b that fits best: 1 is as much for each, 2 is each with each."""
    xs, ys = [math.log(size) for size in sizes], [math.log(max(cost, 1e-9)) for cost in costs]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)
