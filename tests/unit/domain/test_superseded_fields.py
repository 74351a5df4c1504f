"""Demands that change while a write is lost: what a field was held at before is ours as well."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api.containment import MOST_FIELDS, MOST_SUPERSEDED
from lazaretto.domain.fields import ABSENT, Fields, Value, read_journal
from lazaretto.errors import TooLarge
from tests.unit.domain.test_fields import PATHS, VALUES, World, extended

JOURNAL_ONLY = 1
"""The one write of a pass that is stored before it is killed."""


def test_a_value_whose_successor_was_never_written_is_restored() -> None:
    world = World({"weight": 50})
    world.hold({"weight": 100})
    world.hold({"weight": 0}, writes=JOURNAL_ONLY)
    assert world.live == {"weight": 100}
    assert world.release() == ()
    assert world.live == {"weight": 50}


def test_an_absence_whose_successor_was_never_written_is_restored() -> None:
    world = World({"mirror": "m"})
    world.hold({"mirror": ABSENT})
    world.hold({"mirror": "other"}, writes=JOURNAL_ONLY)
    assert world.release() == ()
    assert world.live == {"mirror": "m"}


def test_what_has_arrived_is_no_longer_remembered() -> None:
    world = World({"weight": 50})
    for value in range(2 * MOST_SUPERSEDED):
        world.hold({"weight": value})
    assert read_journal(world.stored).superseded == {"weight": [2 * MOST_SUPERSEDED - 2]}


@given(
    st.dictionaries(st.sampled_from(PATHS), VALUES, max_size=4),
    st.lists(
        st.tuples(st.dictionaries(st.sampled_from(PATHS), VALUES, max_size=4), st.integers(0, 5)),
        max_size=MOST_SUPERSEDED + 1,
    ),
)
@settings(max_examples=300)
def test_whatever_was_demanded_and_wherever_it_was_killed_release_restores_all(
    start: Fields, passes: list[tuple[Fields, int]]
) -> None:
    world = World(start)
    before = dict(world.live)
    for wanted, writes in passes:
        world.hold(wanted, writes=writes)
    assert world.release() == ()
    assert world.live == before


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        (dict.fromkeys(map(str, range(MOST_FIELDS + 1)), 0), "fields"),
        ({"p" * 321: 0}, "path"),
        ({"x": "v" * 9000}, "held"),
    ],
    ids=["too many fields", "a path too long", "a value too large"],
)
def test_what_the_journal_cannot_store_is_refused_by_name(wanted: dict[str, Value], what: str) -> None:
    with pytest.raises(TooLarge, match=f"Deployment/chat is not held: {what} of its journal entry"):
        extended(None, wanted, live={})
