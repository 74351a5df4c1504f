"""Which of several operators writes: decided from one Lease and from one's own steady clock alone. Pure.

The Lease says who holds it and how often that was renewed. Its times are for people: they are never compared with
our clock. What counts is how long we have seen the same record, on a clock that only runs forward (`now`, in seconds
from any beginning).

Never two lead at once, as long as no clock runs more than a fifth too fast or too slow: a leader counts from before it
sent its last stored renewal and stops after `renew` seconds; whoever takes over counts from after having seen it and
waits for the `lease`, half as long again. What was sent before that and arrives late is for the guards of each write.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf

_LEASE = 15


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a lease lasts, in whole seconds, and what follows from that."""

    lease: int = _LEASE

    @property
    def renew(self) -> float:
        """Seconds after which a leader that could not renew it stops to lead."""
        return self.lease * 2 / 3

    @property
    def retry(self) -> float:
        """Seconds between two looks at the Lease."""
        return self.lease * 2 / 15


@dataclass(frozen=True, slots=True)
class Record:
    """What the Lease says; all of it is empty in one that nobody ever held."""

    holder: str = ""
    term: int = 0
    """Grows each time that somebody takes it; nobody leads twice under the same number."""
    seconds: int = 0
    acquired: datetime | None = None
    renewed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one process knows. `identity` names it, and whoever ran in its place before: surely dead by now."""

    identity: str
    pace: Pace = Pace()
    seen: Record | None = None
    since: float = -inf
    """When it was first seen as it is."""
    own: int | None = None
    """The term that is ours by the last look: taken by us, or found under our name at the first look."""
    proved: float = -inf
    """When the write was sent by which we hold it."""
    asked: tuple[Record, float] | None = None
    """The last write that we sent, and when: its answer may be lost."""

    def leads(self, now: float) -> bool:
        """Whether we may write at this moment."""
        return self.own is not None and now - self.proved < self.pace.renew

    def term(self, now: float) -> int | None:
        """The number of the term in which we lead, if we do."""
        return self.own if self.leads(now) else None

    def saw(self, record: Record, *, now: float) -> Candidate:
        """After the Lease was read, or a write of ours was answered; `now` is after the answer."""
        ours = self.own
        proved = self.proved
        if self.asked is not None and record == self.asked[0] and record.holder == self.identity:
            ours, proved = record.term, self.asked[1]
        elif self.seen is None:
            # The first look: what bears our name is from whoever ran in our place before.
            ours = record.term if record.holder == self.identity else None
        elif record != self.seen and proved == -inf:
            # Taken for a dead one's, and renewed: there is another one of our name.
            ours = None
        elif (record.holder, record.term) != (self.identity, ours):
            ours, proved = None, -inf
        since = self.since if record == self.seen else now
        return replace(self, seen=record, since=since, own=ours, proved=proved)

    def wanted(self, *, now: float, wall: datetime) -> Record | None:
        """What to write now, guarded by what was seen; None as long as somebody else may lead."""
        seen = self.seen
        if seen is None:
            return None
        if self.leads(now):
            return replace(seen, seconds=self.pace.lease, renewed=_other(wall, seen.renewed))
        free = not seen.holder or self.own is not None or now - self.since >= (seen.seconds or self.pace.lease)
        if not free:
            return None
        return Record(self.identity, seen.term + 1, self.pace.lease, wall, _other(wall, seen.renewed))

    def sending(self, record: Record, *, now: float) -> Candidate:
        """Before `record` is sent."""
        return replace(self, asked=(record, now))

    def resigned(self, *, wall: datetime) -> Record | None:
        """What to write so that nobody has to wait for us, None if it is not ours."""
        if self.seen is None or self.own is None or self.seen.holder != self.identity:
            return None
        return replace(self.seen, holder="", seconds=1, renewed=_other(wall, self.seen.renewed))


def _other(wall: datetime, before: datetime | None) -> datetime:
    """The moment, but never the same as before: a write that changes nothing proves nothing to anybody."""
    return wall + timedelta(microseconds=1) if wall == before else wall
