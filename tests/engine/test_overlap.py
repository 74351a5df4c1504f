"""Two incidents on one model: contained and released in whatever order, everything is as it was in the end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazaretto.errors import LazarettoError
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape
from tests.engine.faulty_line import Fault, FaultyLine
from tests.engine.journal_laws import assert_lawful
from tests.engine.world import Operator, World

CATEGORIES = {1: "DataLeakage", 2: "UnsafeOutput", 3: "DataLeakage"}
STEPS = ("+1", "+2", "-1", "-2")
ORDERS = [o for o in itertools.permutations(STEPS) if o.index("+1") < o.index("-1") and o.index("+2") < o.index("-2")]
ABOUT: dict[str, tuple[str | None, str | None]] = {
    "both about everything": (None, None),
    "both about the bad one": (BAD, BAD),
    "one about each": (BAD, GOOD),
    "one about everything, one about the good one": (None, GOOD),
}
SHAPES = {
    "route": Shape(),
    "service": Shape(route=""),
    "mirror": Shape(mirror=True),
    "labels": Shape(by_labels=True),
    "grpc": Shape(route="GRPCRoute"),
}


def take(step: str, world: World, about: Sequence[str | None]) -> None:
    """An incident comes, or people approve its release."""
    number = int(step[1])
    if step.startswith("-"):
        world.approve(number)
        return
    revision = about[number - 1]
    target: dict[str, Any] = {"model": MODEL} | ({"revision": revision} if revision else {})
    world.report(number, category=CATEGORIES[number], target=target)


def assert_all_over(world: World) -> None:
    assert world.specs() == world.originals
    assert world.containment is None
    assert {body["status"]["state"] for body in world.api.all("aiincidents")} <= {"Released", "Closed"}
    assert_lawful(world)


@pytest.mark.parametrize("about", ABOUT)
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: " ".join(order))
async def test_one_after_the_other(order: Sequence[str], about: str) -> None:
    world = World()
    operator = Operator(world)
    standing: set[str] = set()
    for step in order:
        take(step, world, ABOUT[about])
        await operator.settle()
        standing ^= {step[1]}
        stopped = [name for name in (GOOD, BAD) if world.read("Deployment", name)["spec"]["replicas"] == 0]
        assert bool(stopped) == bool(standing)
        containment = world.containment
        assert {h.incident[-1] for h in containment.spec.holds} == standing if containment else not standing
    await operator.stop()
    assert_all_over(world)
    assert {body["status"]["state"] for body in world.api.all("aiincidents")} == {"Released"}


async def test_what_both_hold_comes_back_with_the_second_release() -> None:
    world = World()
    operator = Operator(world)
    for step in ("+1", "+2", "-1"):
        take(step, world, (BAD, BAD))
        await operator.settle()
    assert world.incident(1).status.state == "Released"
    assert world.incident(2).status.state == "Contained"
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0
    assert world.read("HorizontalPodAutoscaler", BAD)["spec"]["behavior"]["scaleUp"]["selectPolicy"] == "Disabled"
    take("-2", world, (BAD, BAD))
    await operator.settle()
    await operator.stop()
    assert_all_over(world)


async def test_an_object_that_is_held_again_after_its_release_has_a_base_of_its_own() -> None:
    """While another incident keeps the journal, what was released is forgotten and may change."""
    world = World()
    operator = Operator(world)
    for step in ("+1", "+2", "-1"):
        take(step, world, (BAD, GOOD))
        await operator.settle()
    containment = world.containment
    assert containment is not None
    bad = world.read("Deployment", BAD)["metadata"]["uid"]
    assert bad not in {t.uid for t in containment.spec.targets}
    world.change("Deployment", BAD, lambda body: body["spec"].update(replicas=7))
    world.bases[bad] = {"spec.replicas": 7}
    world.report(3, category="DataLeakage", target={"model": MODEL, "revision": BAD})
    await operator.settle()
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0
    for number in (2, 3):
        world.approve(number)
        await operator.settle()
    await operator.stop()
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 7
    assert world.containment is None


async def test_a_field_that_is_held_again_has_a_base_of_its_own_though_its_object_stayed_held() -> None:
    world = World()
    operator = Operator(world)
    for step in ("+1", "+2", "-1"):
        take(step, world, (BAD, GOOD))
        await operator.settle()
    theirs = [{"name": GOOD, "port": 80, "weight": 0}, {"name": BAD, "port": 80, "weight": 50}]
    world.change("HTTPRoute", MODEL, lambda body: body["spec"]["rules"][0].update(backendRefs=theirs))
    take("+3", world, (BAD, GOOD, BAD))
    await operator.settle()
    for step in ("-2", "-3"):
        take(step, world, ())
        await operator.settle()
    await operator.stop()
    backends = world.read("HTTPRoute", MODEL)["spec"]["rules"][0]["backendRefs"]
    assert {b["name"]: b["weight"] for b in backends} == {GOOD: 10, BAD: 50}
    assert world.containment is None


async def test_a_value_of_ours_is_known_as_ours_though_the_next_one_never_arrived() -> None:
    """The second incident's write is refused, then both are released: what is live is what the first one held it at."""
    world = World()
    operator = Operator(world)
    take("+1", world, (BAD, GOOD))
    await operator.settle()
    world.api.forbidden = {"patch httproutes"}
    take("+2", world, (BAD, GOOD))
    await operator.once()
    for step in ("-1", "-2"):
        take(step, world, ())
    world.api.forbidden = set()
    await operator.settle()
    await operator.stop()
    assert_all_over(world)


async def test_what_another_writer_holds_again_at_the_last_moment_is_not_taken_for_restored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its base would be forgotten, and the next one taken from what is held: the model could never come back."""
    world = World()
    operator = Operator(world)
    for step in ("+1", "+2"):
        take(step, world, (BAD, GOOD))
    await operator.settle()
    take("-1", world, (BAD, GOOD))
    real = operator.reporter.pending

    def meddle(namespace: str, names: Sequence[str]) -> Any:
        monkeypatch.undo()
        take("+3", world, (BAD, GOOD, BAD))
        first = next(h for h in world.read("Containment", MODEL)["spec"]["holds"] if h["incident"].endswith("-1"))
        third = {**first, "incident": f"{MODEL}-3", "incidentUID": f"uid-of-{MODEL}-3", "releasing": False}
        world.change("Containment", MODEL, lambda body: body["spec"]["holds"].append(third))
        world.change("Deployment", BAD, lambda body: body["spec"].update(replicas=0))
        operator.hear()
        return real(namespace, names)

    monkeypatch.setattr(operator.reporter, "pending", meddle)
    await operator.settle()
    for step in ("-2", "-3"):
        take(step, world, ())
        await operator.settle()
    await operator.stop()
    assert_all_over(world)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    order=st.sampled_from(ORDERS),
    about=st.tuples(*[st.sampled_from([None, BAD, GOOD])] * 2),
    shape=st.sampled_from(sorted(SHAPES)),
    passes=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    killed=st.lists(st.booleans(), min_size=4, max_size=4),
    late=st.booleans(),
)
def test_in_the_middle_of_each_others_way(
    order: Sequence[str],
    about: tuple[str | None, str | None],
    shape: str,
    passes: list[int],
    killed: list[bool],
    late: bool,
) -> None:
    """Steps come while the one before is still being carried out, and the process is replaced in between."""

    async def scene() -> World:
        world = World(SHAPES[shape])
        operator = Operator(world, late=late)
        for step, count, dies in zip(order, passes, killed, strict=True):
            take(step, world, about)
            operator.hear()
            await go_on(operator, count)
            if dies:
                await operator.stop()
                operator = Operator(world, late=late)
        await operator.settle()
        await operator.stop()
        return world

    assert_all_over(asyncio.run(scene()))


async def go_on(operator: Operator, passes: int) -> None:
    for _ in range(passes):
        try:
            await operator.once(hear=False)
        except LazarettoError:
            continue


@pytest.mark.parametrize("fault", [Fault.UNANSWERED, Fault.CONFLICT, Fault.KILLED_AFTER], ids=lambda fault: fault.value)
async def test_a_fault_at_any_write_to_the_journal(fault: Fault) -> None:
    async def scene(line_of: Any) -> tuple[World, FaultyLine]:
        world = World()
        line = line_of(world.api)
        operator = Operator(world, line)
        for step in STEPS:
            take(step, world, (BAD, GOOD))
            await operator.settle()
        await operator.stop()
        return world, line

    _, clean = await scene(FaultyLine)
    calls = [call for call in clean.calls if call.what.endswith(" containments") and fault in call.faults]
    assert len(calls) >= (5 if fault is Fault.CONFLICT else 6)
    for call in calls:
        world, _ = await scene(lambda api, call=call: FaultyLine(api, at=call, fault=fault))
        assert_all_over(world)
