"""Conditions are set by verbs, never edited: a transition time moves only when the status does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from lazaretto.api.meta import Condition

Status = Literal["True", "False", "Unknown"]


def set_condition(
    conditions: Sequence[Condition],
    type_: str,
    status: Status,
    reason: str,
    message: str,
    *,
    generation: int,
    now: datetime,
) -> list[Condition]:
    """The list with this condition in it, sorted by type. An unchanged status keeps its transition time."""
    old = find(conditions, type_)
    since = old.last_transition_time if old is not None and old.status == status else now
    new = Condition(
        type=type_,
        status=status,
        reason=reason,
        message=message[:1024],
        observed_generation=generation,
        last_transition_time=since,
    )
    return sorted([*without(conditions, type_), new], key=lambda c: c.type)


def without(conditions: Sequence[Condition], type_: str) -> list[Condition]:
    """The list without this condition. Abnormal conditions exist only while they are true."""
    return [c for c in conditions if c.type != type_]


def find(conditions: Sequence[Condition], type_: str) -> Condition | None:
    """The condition of this type, if there is one."""
    return next((c for c in conditions if c.type == type_), None)


def is_true(conditions: Sequence[Condition], type_: str) -> bool:
    """Whether this was observed to be so."""
    found = find(conditions, type_)
    return found is not None and found.status == "True"
