"""What the isolation of one model has come to in one pass."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field

from lazaretto.api import reasons
from lazaretto.domain.evidence import Finding, Problem
from lazaretto.domain.quarantine import ROLE, Quarantine
from lazaretto.domain.timeline import Fact
from lazaretto.errors import ApiError, Conflict, Forbidden

MOST_QUOTED = 256


@dataclass(slots=True)
class Isolated:
    """What one pass has done and found; empty where nothing is to be isolated."""

    written: int = 0
    stale: bool = False
    """Whether something had changed since it was read: decide again."""
    problems: list[Problem] = field(default_factory=list)
    finding: Finding | None = None
    kept: str = ""
    """About the pods that are kept, for people."""
    kept_uids: frozenset[str] = frozenset()
    leftovers: list[str] = field(default_factory=list)
    """What a release still has to remove, as Kind/name."""
    facts: list[Fact] = field(default_factory=list)
    """What the timeline has to say."""
    watched: list[Quarantine] = field(default_factory=list)

    @property
    def restless(self) -> bool:
        """Whether it is worth looking again at once."""
        return self.stale or self.written > 0

    def refused(self, what: str, error: ApiError) -> None:
        """Take in an error, as a problem that says what to do."""
        if isinstance(error, Forbidden):
            self.problems.append(Problem(reasons.FORBIDDEN, f"may not {what}: {error.message[:MOST_QUOTED]}; {ROLE}"))
        else:
            self.problems.append(Problem(reasons.NOT_WRITTEN, f"could not {what}: {error.message[:MOST_QUOTED]}"))

    async def removing(self, what: str, deleting: Awaitable[None]) -> None:
        """Wait for a deletion, and take in what came of it."""
        try:
            await deleting
        except Conflict:
            self.stale = True
        except ApiError as error:
            self.refused(what, error)
        else:
            self.written += 1
