"""Conditions: set by a verb, sorted, and with a transition time that moves only when the status does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api.meta import Condition
from lazaretto.domain.conditions import Status, find, is_true, set_condition, without
from tests.unit.domain.objects import at

TYPES = ("Accepted", "Contained", "Released", "Stalled")
STATUSES: tuple[Status, ...] = ("True", "False", "Unknown")
STATUS = st.sampled_from(STATUSES)


def put(
    conditions: Sequence[Condition],
    type_: str,
    status: Status,
    *,
    reason: str = "Because",
    message: str = "",
    generation: int = 1,
    now: datetime,
) -> list[Condition]:
    return set_condition(conditions, type_, status, reason, message, generation=generation, now=now)


def test_a_new_condition_says_everything() -> None:
    [found] = put([], "Contained", "True", reason="Proved", message="all gone", generation=3, now=at(1))
    assert found == Condition(
        type="Contained",
        status="True",
        reason="Proved",
        message="all gone",
        observed_generation=3,
        last_transition_time=at(1),
    )


def test_the_same_status_keeps_its_time_and_takes_the_rest() -> None:
    before = put([], "Contained", "Unknown", reason="Containing", message="2 pods left", now=at(1))
    [after] = put(before, "Contained", "Unknown", reason="NotProved", message="1 pod left", generation=2, now=at(2))
    assert (after.reason, after.message, after.observed_generation) == ("NotProved", "1 pod left", 2)
    assert after.last_transition_time == at(1)


def test_another_status_moves_the_time() -> None:
    [found] = put(put([], "Contained", "Unknown", now=at(1)), "Contained", "True", now=at(2))
    assert (found.status, found.last_transition_time) == ("True", at(2))


def test_a_long_message_is_cut_to_what_the_field_takes() -> None:
    [found] = put([], "Degraded", "True", message="x" * 2000, now=at(1))
    assert found.message == "x" * 1024


def test_a_condition_that_was_taken_away_begins_anew() -> None:
    gone = without(put([], "Stalled", "True", now=at(1)), "Stalled")
    assert gone == []
    [found] = put(gone, "Stalled", "True", now=at(3))
    assert found.last_transition_time == at(3)


def test_only_true_is_true() -> None:
    assert [is_true(put([], "Contained", status, now=at(1)), "Contained") for status in STATUSES] == [
        True,
        False,
        False,
    ]
    assert not is_true([], "Contained")
    assert not is_true(put([], "Released", "True", now=at(1)), "Contained")


STEPS = st.lists(st.tuples(st.sampled_from(TYPES), STATUS | st.none()), max_size=12)


def after(steps: Sequence[tuple[str, Status | None]]) -> list[Condition]:
    """The list after each step was taken at its own hour; a step without a status takes the condition away."""
    conditions: list[Condition] = []
    for hour, (type_, status) in enumerate(steps):
        conditions = put(conditions, type_, status, now=at(hour)) if status else without(conditions, type_)
    return conditions


@given(STEPS)
def test_after_any_steps_each_type_is_there_once_in_order_with_its_last_status(
    steps: list[tuple[str, Status | None]],
) -> None:
    found = after(steps)
    last = dict(steps)
    assert [c.type for c in found] == sorted(type_ for type_, status in last.items() if status)
    assert {c.type: c.status for c in found} == {type_: status for type_, status in last.items() if status}
    assert all(find(found, type_) == next((c for c in found if c.type == type_), None) for type_ in TYPES)


@given(STEPS)
def test_the_transition_time_is_when_the_unbroken_run_of_the_status_began(
    steps: list[tuple[str, Status | None]],
) -> None:
    for condition in after(steps):
        mine = [(hour, status) for hour, (type_, status) in enumerate(steps) if type_ == condition.type]
        began = next(
            hour
            for position, (hour, _) in enumerate(mine)
            if all(status == condition.status for _, status in mine[position:])
        )
        assert condition.last_transition_time == at(began)


@given(STEPS, st.sampled_from(TYPES), STATUS)
def test_setting_one_leaves_the_others_and_the_given_list_alone(
    steps: list[tuple[str, Status | None]], type_: str, status: Status
) -> None:
    before = after(steps)
    copy = list(before)
    changed = put(before, type_, status, now=at(20))
    assert before == copy
    assert without(changed, type_) == without(before, type_)
    assert put(changed, type_, status, now=at(21)) == changed
