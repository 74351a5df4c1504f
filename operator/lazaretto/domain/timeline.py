"""The timeline of an incident: newest entries kept, all of them counted and chained by hashes.

An entry has a key that says which fact it records; the same fact is recorded once, however
many passes see it, so the timeline can be rebuilt level by level after a crash. Each hash
covers the previous one: whoever wrote down an earlier head can prove later that nothing
before it was changed. Against somebody who never wrote one down, it proves nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lazaretto.api.aiincident import TimelineEntry

KEPT = 50
LONGEST_KEY = 160


@dataclass(frozen=True, slots=True)
class Fact:
    """Something to record once. `key` identifies it within its incident."""

    key: str
    type: str
    message: str
    object: str = ""
    field: str = ""
    before: str = ""
    after: str = ""
    by: str = ""
    at: datetime | None = None
    """When it happened, if that is known better than by when it was seen."""

    def __post_init__(self) -> None:
        """Bound the key. What tells two apart may stand at its end, so a digest takes the place of what is cut."""
        if len(self.key) > LONGEST_KEY:
            digest = hashlib.sha256(self.key.encode()).hexdigest()
            object.__setattr__(self, "key", f"{self.key[: LONGEST_KEY - 65]}#{digest}")


@dataclass(frozen=True, slots=True)
class Timeline:
    """The stored part of a timeline."""

    entries: tuple[TimelineEntry, ...] = ()
    count: int = 0
    head: str = ""


def record(timeline: Timeline, facts: Sequence[Fact], *, now: datetime) -> Timeline:
    """The timeline with those facts appended that it does not hold yet."""
    known = {entry.key for entry in timeline.entries}
    entries, count, head = list(timeline.entries), timeline.count, timeline.head
    for fact in facts:
        if fact.key in known:
            continue
        known.add(fact.key)
        count += 1
        entry = TimelineEntry(
            seq=count,
            at=fact.at or now,
            type=fact.type,
            message=fact.message[:1024],
            object=fact.object[:320],
            field=fact.field[:512],
            before=fact.before[:512],
            after=fact.after[:512],
            by=fact.by[:256],
            key=fact.key,
        )
        head = chain(head, entry)
        entries.append(entry.model_copy(update={"hash": head}))
    return Timeline(tuple(entries[-KEPT:]), count, head)


def chain(previous: str, entry: TimelineEntry) -> str:
    """Hash of an entry: SHA-256 over the previous hash and the entry's canonical JSON without its hash."""
    content = entry.model_copy(update={"hash": ""}).dump()
    content.pop("hash", None)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{previous}\n{canonical}".encode()).hexdigest()


def broken_at(timeline: Timeline) -> int | None:
    """Sequence number of the first kept entry that does not follow from the one before; None if all do.

    Entry 1 follows from nothing. Once earlier ones were dropped, what the oldest kept entry followed
    from is gone: its own text is then not covered any more, only its place and its hash.
    """
    entries = timeline.entries
    previous = "" if entries and entries[0].seq == 1 else None
    for place, entry in enumerate(entries, start=entries[0].seq if entries else 1):
        if entry.seq != place or (previous is not None and entry.hash != chain(previous, entry)):
            return entry.seq
        previous = entry.hash
    if entries and (entries[-1].seq, entries[-1].hash) != (timeline.count, timeline.head):
        return entries[-1].seq
    if len(entries) != min(timeline.count, KEPT):
        return entries[0].seq if entries else timeline.count
    return None
