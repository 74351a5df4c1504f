"""Every fault at every call, from an incident to its release: the end is the same as if nothing had gone wrong.

The calls are learned from a run without faults. Then the story is told once for each of them, with the fault at that
call, and the operator goes on until it has nothing more to do.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from lazaretto.api import reasons
from lazaretto.domain.conditions import find
from tests.e2e.shapes import BAD, GOOD, Shape
from tests.engine.faulty_line import Call, Fault, FaultyLine
from tests.engine.journal_laws import assert_lawful, plain_journal, targets_written
from tests.engine.world import Operator, World

SHAPES = {"behind a route": Shape(), "behind a Service": Shape(route=""), "mirrored": Shape(mirror=True)}
STANDING = (reasons.CONTAINED, reasons.TRAFFIC_SHIFTED, reasons.RELEASED)


@dataclass
class Story:
    """What an incident, its containment and its release came to."""

    journal: Mapping[str, Any]
    """While contained: every base and held value."""
    held: Mapping[str, Any]
    """While contained: every spec."""
    states: tuple[str, ...]
    specs: Mapping[str, Any]
    """In the end."""
    facts: Counter[str]
    findings: tuple[str, ...]
    written: Counter[str]
    calls: list[Call]


async def told(
    shape: Shape, *, at: Call | None = None, fault: Fault = Fault.LOST, late: bool = False
) -> tuple[Story, World]:
    world = World(shape)
    line = FaultyLine(world.api, at=at, fault=fault)
    operator = Operator(world, line, late=late)
    try:
        world.report()
        operator.hear()
        await operator.settle()
        contained = world.containment
        assert contained is not None
        journal, held = plain_journal(contained), world.specs()
        states = (world.incident().status.state, contained.status.state)
        world.approve()
        operator.hear()
        await operator.settle()
    finally:
        await operator.stop()
    assert_lawful(world)
    assert world.containment is None
    status = world.incident().status
    conditions = (find(status.conditions, type_) for type_ in STANDING)
    findings = tuple(f"{c.type}={c.status} {c.reason}" for c in conditions if c)
    facts = Counter(entry.key for entry in status.timeline)
    written = targets_written(world.api.history)
    return Story(journal, held, (*states, status.state), world.specs(), facts, findings, written, line.calls), world


def deviations(found: Story, clean: Story) -> Iterator[str]:
    """What is not as without the fault."""
    for name in ("journal", "held", "states", "specs", "findings"):
        if getattr(found, name) != getattr(clean, name):
            yield f"{name}: {getattr(found, name)}"
    if again := {name: count for name, count in found.written.items() if count > clean.written[name] + 1}:
        yield f"written again: {again}"
    if twice := [key for key, count in found.facts.items() if count > 1]:
        yield f"told twice: {twice}"
    if found.facts != clean.facts:
        yield f"facts: {sorted(clean.facts - found.facts)} missing, {sorted(found.facts - clean.facts)} more"


async def all_deviations(
    shape: Shape, *, fault: Fault, chosen: Callable[[Call], bool], late: bool = False
) -> tuple[int, dict[str, Any]]:
    """How many calls were tried, and what went otherwise at which."""
    clean, world = await told(shape, late=late)
    assert clean.specs == world.originals
    assert clean.states == ("Contained", "Contained", "Released")
    wrong: dict[str, Any] = {}
    calls = [call for call in clean.calls if fault in call.faults and chosen(call)]
    for call in calls:
        try:
            found, _ = await told(shape, at=call, fault=fault, late=late)
        except AssertionError as error:
            wrong[str(call)] = str(error)
            continue
        if different := list(deviations(found, clean)):
            wrong[str(call)] = different
    return len(calls), wrong


def writes(call: Call) -> bool:
    """Writes; of the many Events, which have a lane of their own, the first few stand for all."""
    return not call.reads and (call.what != "create events" or call.name[-2:] in (".1", ".2"))


def reads(call: Call) -> bool:
    """One read of each round: which of them fails, or sees the process die, makes no difference."""
    return call.what == "list services"


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.CRITICAL)
    # Each fault strikes once; nothing here waits for a clock.
    monkeypatch.setattr("lazaretto.engine.collector.AGAIN", 0.0)


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
async def test_a_write_that_is(fault: Fault) -> None:
    tried, wrong = await all_deviations(SHAPES["behind a route"], fault=fault, chosen=writes)
    assert tried >= 10
    assert not wrong


@pytest.mark.parametrize("fault", [Fault.UNANSWERED, Fault.CONFLICT, Fault.KILLED_AFTER], ids=lambda fault: fault.value)
async def test_while_watches_are_late_a_write_that_is(fault: Fault) -> None:
    tried, wrong = await all_deviations(SHAPES["behind a route"], fault=fault, chosen=writes, late=True)
    assert tried >= 10
    assert not wrong


@pytest.mark.parametrize("fault", [Fault.UNANSWERED, Fault.KILLED_AFTER], ids=lambda fault: fault.value)
@pytest.mark.parametrize("shape", ["behind a Service", "mirrored"])
async def test_for_a_model_of_another_shape_a_write_that_is(shape: str, fault: Fault) -> None:
    tried, wrong = await all_deviations(SHAPES[shape], fault=fault, chosen=writes)
    assert tried >= 10
    assert not wrong


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KILLED_BEFORE], ids=lambda fault: fault.value)
async def test_a_read_that_is(fault: Fault) -> None:
    tried, wrong = await all_deviations(SHAPES["behind a route"], fault=fault, chosen=reads)
    assert tried >= 5
    assert not wrong


async def test_a_read_that_is_forbidden_for_a_moment() -> None:
    """What was decided or touched meanwhile may differ; that the bad one is stopped, and the end, may not."""
    clean, _ = await told(Shape())
    calls = [call for call in clean.calls if call.reads]
    assert len(calls) >= 30
    for call in calls:
        found, world = await told(Shape(), at=call, fault=Fault.FORBIDDEN)
        assert found.held[f"Deployment/{BAD}"]["replicas"] == 0, call
        assert found.held[f"Deployment/{GOOD}"]["replicas"] == 2, call
        assert (found.specs, found.states[-1]) == (world.originals, "Released"), call
