"""The hash chain finds whatever was done to it, and a fact is one entry however often it is offered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api.aiincident import AIIncidentStatus, TimelineEntry
from lazaretto.domain.timeline import KEPT, Fact, Timeline, broken_at, chain, record

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
TEXTS = st.text(max_size=12)
FACTS = st.builds(
    Fact,
    key=st.text(min_size=1, max_size=12),
    type=st.sampled_from(["Detected", "Acted", "Note"]),
    message=TEXTS,
    object=TEXTS,
    field=TEXTS,
    before=TEXTS,
    after=TEXTS,
    by=TEXTS,
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
)


def facts(number: int, *, first: int = 1) -> list[Fact]:
    return [Fact(f"note:{n}", "Note", f"the {n}th", by="alice") for n in range(first, first + number)]


def recorded(number: int) -> Timeline:
    return record(Timeline(), facts(number), now=NOW)


def keys(timeline: Timeline) -> list[str]:
    return [entry.key for entry in timeline.entries]


def with_entries(timeline: Timeline, *entries: TimelineEntry) -> Timeline:
    return replace(timeline, entries=tuple(entries))


def altered(timeline: Timeline, index: int, **changed: object) -> Timeline:
    entries = list(timeline.entries)
    entries[index] = entries[index].model_copy(update=changed)
    return with_entries(timeline, *entries)


def test_entries_are_numbered_from_one_and_say_what_the_facts_said() -> None:
    at = NOW - timedelta(hours=1)
    fact = Fact(
        "k", "Acted", "scaled", object="Deployment/chat", field="replicas", before="3", after="0", by="x", at=at
    )
    timeline = record(Timeline(), [fact, *facts(1)], now=NOW)
    first, second = timeline.entries
    assert (
        first.dump().items()
        >= {
            **{"seq": 1, "type": "Acted", "message": "scaled", "object": "Deployment/chat", "field": "replicas"},
            **{"before": "3", "after": "0", "by": "x", "key": "k", "at": "2026-01-02T11:00:00.000000Z"},
        }.items()
    )
    assert (second.seq, second.at) == (2, NOW)
    assert (timeline.count, timeline.head) == (2, second.hash)


def test_a_hash_is_the_sha256_of_the_one_before_and_the_canonical_entry() -> None:
    """What anybody can compute with other tools, from nothing but what is stored."""
    timeline, previous = recorded(3), ""
    for entry in timeline.entries:
        content = {key: value for key, value in entry.dump().items() if key != "hash"}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
        assert entry.hash == previous
    assert timeline.head == previous


def test_the_same_fact_is_recorded_once_within_a_call_and_over_calls() -> None:
    twice = record(Timeline(), [*facts(2), *facts(2)], now=NOW)
    assert keys(twice) == ["note:1", "note:2"]
    assert record(twice, facts(2), now=LATER) == twice


def test_a_known_fact_stays_as_it_was_told_first() -> None:
    timeline = record(recorded(1), [Fact("note:1", "Note", "told otherwise"), *facts(1, first=2)], now=LATER)
    assert [(entry.message, entry.at) for entry in timeline.entries] == [("the 1th", NOW), ("the 2th", LATER)]


def test_nothing_to_record_changes_nothing() -> None:
    assert record(Timeline(), [], now=NOW) == Timeline()
    assert record(recorded(60), [], now=LATER) == recorded(60)


@pytest.mark.parametrize("number", [KEPT - 1, KEPT, KEPT + 1, 3 * KEPT])
def test_only_the_newest_are_kept_while_count_and_head_go_on(number: int) -> None:
    timeline = recorded(number)
    every = record(Timeline(), facts(1), now=NOW).entries[0]
    head = ""
    for n in range(1, number + 1):
        head = chain(head, every.model_copy(update={"seq": n, "message": f"the {n}th", "key": f"note:{n}"}))
    assert [entry.seq for entry in timeline.entries] == list(range(max(1, number - KEPT + 1), number + 1))
    assert (timeline.count, timeline.head) == (number, head)
    assert broken_at(timeline) is None
    step_by_step = Timeline()
    for fact in facts(number):
        step_by_step = record(step_by_step, [fact], now=NOW)
    assert step_by_step == timeline


@given(st.lists(FACTS, max_size=2 * KEPT, unique_by=lambda fact: fact.key), st.lists(st.integers(0, 60), max_size=4))
@settings(max_examples=50)
def test_how_facts_are_spread_over_passes_does_not_matter(told: list[Fact], cuts: Sequence[int]) -> None:
    timeline, start = Timeline(), 0
    for cut in sorted({*cuts, len(told)}):
        timeline = record(timeline, told[start:cut], now=NOW)
        start = min(cut, len(told))
    assert timeline == record(Timeline(), told, now=NOW)
    assert broken_at(timeline) is None


@given(st.lists(FACTS, max_size=8))
def test_an_unbroken_chain_is_unbroken_after_storage(told: list[Fact]) -> None:
    timeline = record(Timeline(), told, now=NOW)
    status = AIIncidentStatus(
        timeline=list(timeline.entries), timeline_count=timeline.count, head_hash=timeline.head
    ).dump_sparse()
    stored = AIIncidentStatus.model_validate(json.loads(json.dumps(status)))
    back = Timeline(tuple(stored.timeline), stored.timeline_count, stored.head_hash)
    assert back == timeline
    assert broken_at(back) is None
    assert record(back, told, now=LATER) == back


def test_an_over_long_text_is_cut_to_what_can_be_stored() -> None:
    long = "x" * 2000
    fact = Fact(long, "Acted", long, object=long, field=long, before=long, after=long, by=long)
    [entry] = record(Timeline(), [fact], now=NOW).entries
    assert TimelineEntry.model_validate(entry.dump()) == entry
    assert broken_at(record(Timeline(), [fact], now=NOW)) is None


def test_an_over_long_key_is_still_one_fact_and_not_another() -> None:
    """Names of objects and paths of fields may be longer than a key; what tells two apart often stands at the end."""
    told = [Fact("interference:" + "x" * 300 + f":{version}", "Interference", "moved") for version in range(20)]
    timeline = record(Timeline(), told, now=NOW)
    assert timeline.count == 20
    assert record(timeline, told, now=LATER) == timeline
    assert keys(timeline) == [fact.key for fact in told]
    assert all(len(key) <= 160 for key in keys(timeline))


# Tampering. The head is what somebody wrote down; everything else may have been changed.

LENGTHS = st.sampled_from([1, 2, 3, 7, KEPT, KEPT + 1, KEPT + 20])
CHANGES: dict[str, Callable[[TimelineEntry], object]] = {
    "at": lambda entry: entry.at + timedelta(microseconds=1),
    "seq": lambda entry: entry.seq + 1,
    "hash": lambda entry: entry.hash[::-1] + "0",
    **{name: lambda _: "forged" for name in ("type", "message", "object", "field", "before", "after", "by", "key")},
}


@given(LENGTHS, st.sampled_from(sorted(CHANGES)), st.data())
def test_a_changed_entry_is_found(number: int, field: str, data: st.DataObject) -> None:
    timeline = recorded(number)
    # What the oldest one followed from is gone once others were dropped: of it only hash and position are covered.
    checkable = 0 if number <= KEPT or field in ("seq", "hash") else 1
    index = data.draw(st.integers(checkable, len(timeline.entries) - 1))
    entry = timeline.entries[index]
    found = broken_at(altered(timeline, index, **{field: CHANGES[field](entry)}))
    assert found is not None
    assert entry.seq <= found <= entry.seq + 1


@given(LENGTHS, st.data())
def test_removed_entries_are_found(number: int, data: st.DataObject) -> None:
    timeline = recorded(number)
    gone = data.draw(st.sets(st.integers(0, len(timeline.entries) - 1), min_size=1))
    rest = [entry for index, entry in enumerate(timeline.entries) if index not in gone]
    assert broken_at(with_entries(timeline, *rest)) is not None


@given(LENGTHS.filter(lambda number: number > 1), st.data())
def test_swapped_entries_are_found(number: int, data: st.DataObject) -> None:
    entries = list(recorded(number).entries)
    indices = st.integers(0, len(entries) - 1)
    one, other = data.draw(st.lists(indices, min_size=2, max_size=2, unique=True))
    entries[one], entries[other] = entries[other], entries[one]
    assert broken_at(with_entries(recorded(number), *entries)) is not None


@given(LENGTHS, st.booleans(), st.data())
def test_an_inserted_entry_is_found_even_if_it_follows_from_the_one_before(
    number: int, fits: bool, data: st.DataObject
) -> None:
    timeline = recorded(number)
    entries = list(timeline.entries)
    index = data.draw(st.integers(0, len(entries)))
    before = entries[index - 1] if index else None
    forged = TimelineEntry(seq=before.seq + 1 if before else 1, at=NOW, type="Note", message="forged", key="forged")
    if fits:
        forged = forged.model_copy(update={"hash": chain(before.hash if before else "", forged)})
    entries.insert(index, forged)
    assert broken_at(with_entries(timeline, *entries)) is not None


@given(LENGTHS, st.data())
def test_a_history_rewritten_with_hashes_that_fit_has_another_head(number: int, data: st.DataObject) -> None:
    changed = data.draw(st.integers(0, number - 1))
    told = facts(number)
    told[changed] = replace(told[changed], message="forged")
    forged = record(Timeline(), told, now=NOW)
    assert broken_at(forged) is None
    assert forged.head != recorded(number).head
    assert broken_at(replace(forged, head=recorded(number).head)) is not None


def test_the_entry_that_does_not_follow_is_named() -> None:
    timeline = recorded(5)
    assert broken_at(altered(timeline, 0, message="forged")) == 1
    assert broken_at(altered(timeline, 2, message="forged")) == 3
    assert broken_at(altered(timeline, 2, hash="0" * 64)) == 3
    assert broken_at(with_entries(timeline, *timeline.entries[:2], *timeline.entries[3:])) == 4
    assert broken_at(with_entries(timeline, *timeline.entries[:3])) == 3
    assert broken_at(with_entries(timeline, *timeline.entries[2:])) == 3
    assert broken_at(with_entries(timeline)) == 5


def test_an_empty_timeline_is_whole() -> None:
    assert broken_at(Timeline()) is None
