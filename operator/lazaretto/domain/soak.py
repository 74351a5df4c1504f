"""How long a revision has proved itself: time that was watched, and nothing else. Pure.

Time counts between two looks of one process, at both of which the revision served and carried traffic. It is measured
on that process's steady clock, which no correction of the machine's clock moves. What nobody watched, or nobody could
say, earns nothing and takes nothing: an outage of Prometheus, a restart, a long pause. What ends a soak is what was
seen: no available replica, an incident that names the revision, a tag that moved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime

from lazaretto.api.modelrevision import ModelRevisionStatus, SoakRecord

LONGEST_GAP = 180.0
"""Seconds between two looks beyond which nobody knows what was between them: three rounds of surveys."""
SHORTEST_STEP, LONGEST_STEP = 10.0, 900.0
"""Seconds that are earned before they are stored, at least and at most."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look has shown."""

    serves: bool
    """Whether it is available, named by no incident, and the same in all of its pods."""
    carries: bool | None
    """Whether it carries traffic; None if that could not be told."""
    risen: datetime | None = None
    """Since when it is said to be available."""
    anew: bool = False
    """Whether what runs is not what ran at the last look."""


@dataclass(frozen=True, slots=True)
class Soak:
    """What a revision has earned, as one process knows it."""

    since: datetime | None = None
    """Start of its unbroken availability as it was seen; None while it does not serve."""
    earned: float = 0.0
    """Seconds."""
    looked: float | None = None
    """When this process looked last, on its steady clock; None if it never has."""
    counting: bool = False
    """Whether time counted at that look."""


def stored(status: ModelRevisionStatus) -> Soak:
    """What the record says, which outlives the process."""
    return Soak(status.available_since, float(status.soak.earned_seconds) if status.soak else 0.0)


def soaked(kept: Soak, *, remembered: Soak | None, sight: Sight, now: datetime, steady: float) -> Soak:
    """What is earned after a look; `kept` is what is stored, `remembered` what this process knew at its last look.

    The two differ in what was not worth storing yet. Where they differ about the beginning, one of them has seen a
    break that the other has not, and the lesser counts.
    """
    if not sight.serves:
        return Soak(looked=steady)
    before = _before(kept, remembered)
    counting = sight.carries is True
    broken = sight.anew or (before.since is not None and sight.risen is not None and sight.risen > before.since)
    if before.since is None or broken:
        since = now if before.since is None or sight.anew or sight.risen is None else sight.risen
        return Soak(since, 0.0, steady, counting)
    gap = steady - before.looked if before.looked is not None else 0.0
    watched = counting and before.counting and 0.0 < gap <= LONGEST_GAP
    earned = before.earned + (gap if watched else 0.0)
    # Another process may have watched for longer, and stored it. Adding to that would count the same time twice.
    other = kept.earned if remembered is not None and remembered.since == kept.since else 0.0
    return Soak(before.since, max(earned, other), steady, counting)


def _before(kept: Soak, remembered: Soak | None) -> Soak:
    if remembered is None or remembered.looked is None:
        return kept
    if kept.since == remembered.since:
        return remembered
    lesser = min(
        (kept, remembered), key=lambda soak: (soak.earned, -soak.since.timestamp() if soak.since else -math.inf)
    )
    # When the break was is not known either, so the time since the last look is not counted.
    return replace(lesser, looked=None)


def told(status: ModelRevisionStatus, soak: Soak, *, now: datetime) -> SoakRecord | None:
    """What the record is to say: the newest once it is worth a write, and at once when a new soak has begun."""
    if soak.since is None:
        return None
    known = status.soak if status.available_since == soak.since else None
    if known is not None and 0 <= soak.earned - known.earned_seconds < _step(known.earned_seconds):
        return known
    return SoakRecord(earned_seconds=int(soak.earned), seen_at=now)


def _step(seconds: int) -> float:
    """What must be earned until it is stored again: little in the beginning, as soak times may be short."""
    return min(max(seconds / 8, SHORTEST_STEP), LONGEST_STEP)
