"""The algebra of base, held and live values, as a table and as laws over any order of steps and any crash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api.containment import JournalField, JournalTarget
from lazaretto.domain.fields import (
    ABSENT,
    NOTHING_JOURNALLED,
    WITHIN,
    Change,
    Fields,
    Journalled,
    Value,
    changes_to,
    decode,
    encode,
    extend_journal,
    find_target,
    read_journal,
    restoration,
    show,
)

BASE, HELD, OTHER = {"replicas": 3}, 0, "theirs"
PATHS = ("a", "b", "c", "d")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
VALUES = st.just(ABSENT) | st.sampled_from([0, 1, 50, 100, "", "x", None, {}, {"weight": 1}])
FIELDS = st.dictionaries(st.sampled_from(PATHS), VALUES, max_size=4)
SUBSETS = st.sets(st.sampled_from(PATHS))
ENOUGH = 100
"""More writes than any pass has: it is not interrupted."""


def extended(target: JournalTarget | None, wanted: Fields, *, live: Fields) -> JournalTarget | None:
    return extend_journal(target, wanted, live=live, group="apps", kind="Deployment", name="chat", uid="u1")


def journal(*fields: tuple[str, Value, Value]) -> Journalled:
    return Journalled({path: base for path, base, _ in fields}, {path: held for path, _, held in fields})


class World:
    """One object and its journal, changed by passes that may be killed after any write, and by strangers."""

    def __init__(self, live: Fields) -> None:
        self.live = _present(live)
        self.stored: JournalTarget | None = None

    def hold(self, wanted: Fields, *, writes: int = ENOUGH) -> int:
        """One pass as the engine makes it, from one reading: journal, then write. How many writes are left."""
        entry, live = extended(self.stored, wanted, live=self.live), dict(self.live)
        if entry != self.stored and writes:
            self.stored = entry
            writes -= 1
        elif entry != self.stored:
            return 0
        back = restoration(read_journal(entry), live=live, still_wanted=wanted)
        return self._write((*changes_to(wanted, live=live), *back.changes), writes=writes)

    def release(self, *, writes: int = ENOUGH) -> tuple[Change, ...]:
        """One pass without any demand; what was kept."""
        back = restoration(read_journal(self.stored), live=self.live, still_wanted=())
        self._write(back.changes, writes=writes)
        return back.kept

    def meddle(self, path: str, value: Value) -> None:
        self.live = _present({**self.live, path: value})

    def _write(self, changes: Sequence[Change], *, writes: int) -> int:
        for change in changes[:writes]:
            self.meddle(change.path, change.after)
        return max(0, writes - len(changes))


def _present(fields: Fields) -> dict[str, Any]:
    return {path: value for path, value in fields.items() if value is not ABSENT}


@pytest.mark.parametrize(
    ("base", "held", "live", "expected"),
    [
        pytest.param(BASE, HELD, BASE, "done", id="never touched, or restored before"),
        pytest.param(BASE, HELD, HELD, "restored", id="held"),
        pytest.param(BASE, HELD, OTHER, "kept", id="changed by somebody"),
        pytest.param(BASE, HELD, ABSENT, "kept", id="removed by somebody"),
        pytest.param(ABSENT, HELD, HELD, "restored", id="added by us"),
        pytest.param(ABSENT, HELD, ABSENT, "done", id="ours, and gone already"),
        pytest.param(ABSENT, HELD, OTHER, "kept", id="added by us, then changed by somebody"),
        pytest.param(BASE, ABSENT, ABSENT, "restored", id="removed by us"),
        pytest.param(BASE, ABSENT, OTHER, "kept", id="removed by us, added anew by somebody"),
        pytest.param(None, HELD, HELD, "restored", id="a null is a value"),
        pytest.param(ABSENT, None, None, "restored", id="a null is not an absence"),
        pytest.param(BASE, BASE, BASE, "done", id="held at its base"),
        pytest.param(BASE, BASE, OTHER, "kept", id="held at its base, changed by somebody"),
    ],
)
def test_release_restores_what_we_hold_and_nothing_else(base: Value, held: Value, live: Value, expected: str) -> None:
    back = restoration(journal(("x", base, held)), live=_present({"x": live}), still_wanted=())
    assert back.changes == ((Change("x", held, base),) if expected == "restored" else ())
    assert back.kept == ((Change("x", held, live),) if expected == "kept" else ())
    assert back.done == ((Change("x", held, base),) if expected == "done" and held != base else ())


def test_what_is_still_demanded_is_neither_restored_nor_called_kept() -> None:
    known = journal(("x", BASE, HELD), ("y", BASE, HELD), ("z", BASE, HELD))
    back = restoration(known, live={"x": HELD, "y": OTHER, "z": HELD}, still_wanted=["x", "y"])
    assert back.changes == (Change("z", HELD, BASE),)
    assert (back.kept, back.done) == ((), ())
    assert restoration(known, live={"x": BASE}, still_wanted=["x"]).done == ()


@pytest.mark.parametrize("held", [HELD, ABSENT])
def test_a_field_is_not_put_back_where_somebody_took_its_place_away(held: Value) -> None:
    place = "rules/a"
    path = f"{place}{WITHIN}mirrors/x"
    known = journal((path, BASE, held))
    there = restoration(known, live=_present({place: {}, path: held}), still_wanted=())
    assert (there.changes, there.kept) == ((Change(path, held, BASE),), ())
    gone = restoration(known, live={}, still_wanted=())
    assert (gone.changes, gone.kept) == ((), (Change(path, held, ABSENT),))


def test_nothing_journalled_means_nothing_to_restore() -> None:
    assert read_journal(None) is NOTHING_JOURNALLED
    assert restoration(NOTHING_JOURNALLED, live={"x": HELD}, still_wanted=()).changes == ()


def test_only_differences_are_written() -> None:
    wanted = {"same": 1, "moved": 0, "gone": ABSENT, "new": 5, "still absent": ABSENT}
    assert changes_to(wanted, live={"same": 1, "moved": 7, "gone": 2, "foreign": 9}) == (
        Change("moved", 7, 0),
        Change("gone", 2, ABSENT),
        Change("new", ABSENT, 5),
    )


def test_an_object_that_nothing_is_demanded_of_needs_no_entry() -> None:
    assert extended(None, {}, live={"x": BASE}) is None


def test_a_field_that_needs_no_change_is_journalled_all_the_same() -> None:
    assert read_journal(extended(None, {"x": HELD}, live={"x": HELD})) == journal(("x", HELD, HELD))


def test_an_entry_names_its_object() -> None:
    entry = extended(None, {"x": HELD}, live={"x": BASE})
    assert entry == JournalTarget(
        group="apps",
        kind="Deployment",
        name="chat",
        uid="u1",
        fields=[JournalField(path="x", base='{"replicas":3}', held="0")],
    )


def test_an_entry_that_nothing_demands_any_more_keeps_base_and_held() -> None:
    entry = extended(None, {"x": HELD}, live={"x": BASE})
    assert extended(entry, {}, live={"x": OTHER}) == entry


def test_an_entry_is_found_by_uid_and_not_by_name() -> None:
    old = JournalTarget(kind="Deployment", name="chat", uid="u1", fields=[JournalField(path="x")])
    new = old.model_copy(update={"uid": "u2"})
    assert find_target([old, new], "u2") is new
    assert find_target([old], "u2") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((ABSENT, "absent"), (None, "null"), ("", '""'), (0, "0"), (False, "false"), ("a b", '"a b"')),
        *(([1, {"b": 2, "a": "ü"}], '[1,{"a":"ü","b":2}]'), ("absent", '"absent"')),
    ],
)
def test_values_are_shown_so_that_no_two_look_the_same(value: Value, text: str) -> None:
    assert show(value) == text


@given(JSON)
def test_a_value_comes_back_from_its_text(value: Any) -> None:
    text = encode(value)
    assert text is not None
    assert decode(text) == value
    assert encode(decode(text)) == text


def test_absence_comes_back_as_absence() -> None:
    assert encode(ABSENT) is None
    assert decode(None) is ABSENT
    assert encode(None) == "null"


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_make_another_text(value: Mapping[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert encode(dict(items)) == encode(value)


@given(FIELDS, FIELDS)
def test_the_journal_comes_back_from_the_api_server(wanted: Fields, live: Fields) -> None:
    entry = extended(None, wanted, live=_present(live))
    if entry is not None:
        assert JournalTarget.model_validate(entry.dump()) == entry
        assert read_journal(entry) == Journalled({p: live.get(p, ABSENT) for p in wanted}, wanted)


@given(FIELDS, FIELDS, FIELDS)
def test_extending_the_journal_again_changes_nothing(first: Fields, second: Fields, live: Fields) -> None:
    entry = extended(extended(None, first, live=live), second, live=live)
    assert extended(entry, second, live=live) == entry
    assert extended(entry, {}, live={}) == entry


@given(st.lists(st.tuples(FIELDS, FIELDS), max_size=6))
def test_a_base_is_never_taken_again(steps: list[tuple[Fields, Fields]]) -> None:
    """Whatever is live and demanded later: the first base stands, and no journalled field is lost."""
    entry, first = None, dict[str, Value]()
    for wanted, live in steps:
        entry = extended(entry, wanted, live=live)
        first = {path: live.get(path, ABSENT) for path in wanted} | first
        known = read_journal(entry)
        assert known.base == first
        assert {path: known.held[path] for path in wanted} == wanted


@given(FIELDS, st.lists(FIELDS, max_size=5))
def test_after_any_demands_release_gives_the_start_again(start: Fields, demands: list[Fields]) -> None:
    world = World(start)
    for wanted in demands:
        world.hold(wanted)
        assert changes_to(wanted, live=world.live) == ()
    assert world.release() == ()
    assert world.live == _present(start)


@given(FIELDS, FIELDS, st.lists(st.tuples(SUBSETS, st.integers(0, 5)), max_size=8), st.lists(st.integers(0, 2)))
def test_a_crash_between_any_two_steps_leads_to_the_same_end(
    start: Fields, held: Fields, passes: list[tuple[set[str], int]], releases: list[int]
) -> None:
    """Demands come and go field by field, and each pass, also of the release, is killed after so many writes."""
    world = World(start)
    for paths, writes in passes:
        world.hold({path: value for path, value in held.items() if path in paths}, writes=writes)
    for writes in releases:
        world.release(writes=writes)
    assert world.release() == ()
    assert world.live == _present(start)


@given(FIELDS, FIELDS, st.integers(0, 5))
def test_a_pass_that_was_killed_is_made_up_for_by_the_next(start: Fields, wanted: Fields, writes: int) -> None:
    killed, whole = World(start), World(start)
    killed.hold(wanted, writes=writes)
    for world in (killed, whole):
        world.hold(wanted)
    assert (killed.live, killed.stored) == (whole.live, whole.stored)
    assert killed.hold(wanted, writes=ENOUGH) == ENOUGH, "a pass that finds everything as demanded writes nothing"


@given(FIELDS, FIELDS, FIELDS)
def test_while_held_the_constraint_wins_over_whatever_was_changed(
    start: Fields, wanted: Fields, theirs: Fields
) -> None:
    world = World(start)
    world.hold(wanted)
    for path in wanted:
        world.meddle(path, theirs.get(path, OTHER))
    world.hold(wanted)
    assert world.release() == ()
    assert world.live == _present(start)


@given(FIELDS, FIELDS, FIELDS, st.lists(st.integers(0, 2), max_size=4))
@settings(max_examples=200)
def test_somebody_elses_change_outlives_the_release_and_is_reported(
    start: Fields, wanted: Fields, theirs: Fields, releases: list[int]
) -> None:
    world = World(start)
    world.hold(wanted)
    for path, value in theirs.items():
        world.meddle(path, value)
    # What was set to our own held value cannot be told from ours; outside of what we hold all is theirs.
    foreign = {p: v for p, v in theirs.items() if p not in wanted or v != wanted[p]}
    for writes in releases:
        world.release(writes=writes)
    kept = world.release()
    assert world.live == _present({**start, **foreign})
    assert {c.path: c.after for c in kept} == {
        p: v for p, v in foreign.items() if p in wanted and v != start.get(p, ABSENT)
    }
