"""Fights: somebody moves the same held object again and again. Pure; a moment is a number of seconds on one clock.

The first moves are told one by one. From the fifth on it is a fight, which is told when it begins and when it
ends: a timeline that a reconciler writes into every two seconds would soon hold nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lazaretto.domain.fields import Change

ENOUGH = 5
"""Moves of one object that make a fight."""
QUIET = 900.0
"""Seconds without a move after which a fight is over: GitOps tools come round every few minutes."""
MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class Move:
    """One field of a held object, changed by somebody."""

    object: str
    """As Kind/name."""
    change: Change
    """From what they made of it, to what it is held at."""
    manager: str
    """Field manager that the API server names; empty where it names none."""
    version: str
    """The object's resource version: fields with the same one were moved together."""
    past_fence: bool = False
    """Whether admission refuses that to everybody but break-glass."""


@dataclass(frozen=True, slots=True)
class Fight:
    """The moves of one object between which there was no quiet time."""

    object: str
    began: str
    """Resource version of the first move."""
    moves: int = 0
    managers: tuple[str, ...] = ()
    """Everybody who was named, sorted."""
    version: str = ""
    last: float = 0.0

    def joined(self, move: Move, *, now: float) -> Fight:
        """With one more move; the same version is the same move, however often it is seen."""
        if move.version == self.version:
            return self
        named = {*self.managers, move.manager or "somebody"}
        managers = tuple(sorted(named)) if len(named) <= MOST_NAMED else self.managers
        return replace(self, moves=self.moves + 1, managers=managers, version=move.version, last=now)

    @property
    def is_on(self) -> bool:
        """Whether there were enough moves to call it a fight."""
        return self.moves >= ENOUGH

    def over(self, now: float) -> bool:
        """Whether it has been quiet for long enough."""
        return now - self.last >= QUIET

    @property
    def told(self) -> int:
        """How many moves are told: a number that changes seldom, so that a status need not be written for each."""
        told = ENOUGH
        while told * 2 <= self.moves:
            told *= 2
        return told

    @property
    def by(self) -> str:
        """Who took part, for people."""
        return ", ".join(self.managers)


def contested(fights: Iterable[Fight]) -> str:
    """What is fought over, for people; empty if nothing is."""
    on = sorted((fight for fight in fights if fight.is_on), key=lambda fight: fight.object)
    return "; ".join(f"{fight.object} was moved {fight.told} times or more by {fight.by}" for fight in on)
