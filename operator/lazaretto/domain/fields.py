"""Fields of foreign objects: what they were, what they are held at, what somebody else made of them.

A containment never edits an object as a whole. It holds single fields, and for each it knows
the *base* (before the first touch) and the *held* value (under the present constraints). All
that follows is a comparison of three values, so a crash, a repeat or another order of events
leads to the same end:

    desired = base, overlaid by what the constraints demand

A field that stands neither at its base nor at the value we hold it at was changed by somebody
else. While held, the constraint wins and the change is recorded; at release it is theirs: it
is kept and reported, never overwritten.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from lazaretto.api.containment import MOST_SUPERSEDED, JournalField, JournalTarget
from lazaretto.errors import TooLarge


class Absent:
    """The value of a field that is not there."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = Absent()
Value = Any
"""A JSON value, or `ABSENT`."""
Fields = Mapping[str, Value]
WITHIN: Final = "//"
"""In a path: before it stands the path of a place, which is a field as well; after it, what lies within."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field to be written, or written by somebody else."""

    path: str
    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class Journalled:
    """What the journal knows of one object."""

    base: Fields
    held: Fields
    superseded: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    """What a field was held at before; its write to the present value may never have arrived."""

    def is_ours(self, path: str, value: Value) -> bool:
        """Whether the field has this value because of us."""
        return value in (self.held[path], *self.superseded.get(path, ()))


NOTHING_JOURNALLED = Journalled({}, {})


@dataclass(frozen=True, slots=True)
class Restoration:
    """What release has to do with one object."""

    changes: tuple[Change, ...]
    """Fields to be put back to their base."""
    kept: tuple[Change, ...]
    """Fields that somebody else changed: from our held value to theirs."""
    done: tuple[Change, ...] = ()
    """Fields that stand at their base again: from our held value."""


def encode(value: Value) -> str | None:
    """JSON text for the journal; None for an absent field."""
    return None if value is ABSENT else json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def decode(text: str | None) -> Value:
    """The value of a journal text."""
    return ABSENT if text is None else json.loads(text)


def show(value: Value) -> str:
    """The value for people."""
    return "absent" if value is ABSENT else (encode(value) or "")


def read_journal(target: JournalTarget | None) -> Journalled:
    """Base and held values of a journal entry."""
    if target is None:
        return NOTHING_JOURNALLED
    return Journalled(
        {f.path: decode(f.base) for f in target.fields},
        {f.path: decode(f.held) for f in target.fields},
        {f.path: [decode(text or None) for text in f.superseded] for f in target.fields if f.superseded},
    )


def changes_to(wanted: Fields, *, live: Fields) -> tuple[Change, ...]:
    """What must be written for the live object to be as wanted."""
    return tuple(
        Change(path, live.get(path, ABSENT), value) for path, value in wanted.items() if live.get(path, ABSENT) != value
    )


def extend_journal(
    target: JournalTarget | None, wanted: Fields, *, live: Fields, group: str, kind: str, name: str, uid: str
) -> JournalTarget | None:
    """The journal entry that must be stored before `wanted` is written; None if nothing needs one.

    A base that is already there is never taken again. A field that needs no change is
    journalled too: the constraint on it is real, and its base may be needed later. Raises
    `TooLarge` when the object has more fields to hold than an entry can store.
    """
    if not wanted and target is None:
        return None
    try:
        fields = _fields(target, wanted, live=live)
        restored = target.restored if target else []
        return JournalTarget(group=group, kind=kind, name=name, uid=uid, fields=fields, restored=restored)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "a field"
        raise TooLarge(f"{kind}/{name} is not held: {place} of its journal entry: {first['msg']}") from error


def _fields(target: JournalTarget | None, wanted: Fields, *, live: Fields) -> list[JournalField]:
    known = {field.path: field for field in target.fields} if target else {}
    fields = [
        _held_at(field, wanted[path], live=live.get(path, ABSENT)) if path in wanted else field
        for path, field in known.items()
    ]
    return fields + [
        JournalField(path=path, base=encode(live.get(path, ABSENT)), held=encode(value))
        for path, value in wanted.items()
        if path not in known
    ]


def _held_at(known: JournalField, value: Value, *, live: Value) -> JournalField:
    """The field, held at another value; what it was held at may stay live if the write is lost."""
    held = encode(value)
    if held == known.held:
        return known
    arrived = live == decode(known.held)
    before = [text for text in ([] if arrived else known.superseded) if text != (held or "")]
    superseded = [*before, known.held or ""][-MOST_SUPERSEDED:]
    return JournalField(path=known.path, base=known.base, held=held, superseded=superseded)


def restoration(journal: Journalled, *, live: Fields, still_wanted: Iterable[str]) -> Restoration:
    """How to undo what is no longer constrained.

    A field at its base is done, if it was held at anything else. One at a value that we held it at goes back
    to its base. Anything else is somebody's change and stays, also that the place is gone where a field would go.
    """
    keep = set(still_wanted)
    changes: list[Change] = []
    kept: list[Change] = []
    done: list[Change] = []
    for path, base in journal.base.items():
        now = live.get(path, ABSENT)
        if path in keep:
            continue
        if now == base:
            done += [Change(path, journal.held[path], base)] if journal.held[path] != base else []
        elif journal.is_ours(path, now) and _has_place(path, live):
            changes.append(Change(path, now, base))
        else:
            kept.append(Change(path, journal.held[path], now))
    return Restoration(tuple(changes), tuple(kept), tuple(done))


def _has_place(path: str, live: Fields) -> bool:
    place, within, _ = path.partition(WITHIN)
    return not within or place in live


def find_target(targets: Sequence[JournalTarget], uid: str) -> JournalTarget | None:
    """The journal entry of an object."""
    return next((t for t in targets if t.uid == uid), None)
