"""How soon something may be done again. Pure; a moment is a number of seconds on any one clock."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lazaretto.domain.evidence import Problem

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
_NEGLIGIBLE = 1e-3
"""Sums of seconds are never exact, and timers may ring early: less than this is no wait."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many times at once, and one more after every so many seconds."""

    burst: int
    every: float
    spent: float = 0.0
    at: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until it may be done the next time; 0 if it may be done now."""
        return _wait((self._spent(now) + 1.0 - self.burst) * self.every)

    def taken(self, now: float) -> Allowance:
        """What is left once it was done. Doing it too early is owed."""
        return replace(self, spent=self._spent(now) + 1.0, at=now)

    def whole(self, now: float) -> bool:
        """Whether nothing of it is spent."""
        return self._spent(now) == 0.0

    def _spent(self, now: float) -> float:
        return max(0.0, self.spent - max(0.0, now - self.at) / self.every)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write that the API server refuses for what it says: tried again after a pause that doubles."""

    problem: Problem
    times: int
    due: float

    @classmethod
    def after(cls, before: Refusal | None, problem: Problem, *, now: float) -> Refusal:
        """Refused, once more if it was `before`."""
        times = before.times + 1 if before else 1
        # Bounded: after a thousand refusals the power would not fit into a float any more.
        return cls(problem, times, now + min(FIRST_PAUSE * 2.0 ** min(times - 1, 16), LONGEST_PAUSE))

    def wait(self, now: float) -> float:
        """Seconds until it is to be tried again."""
        return _wait(self.due - now)


def _wait(seconds: float) -> float:
    return seconds if seconds > _NEGLIGIBLE else 0.0
