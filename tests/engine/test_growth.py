"""A copy of what is held shows up: it is held with a base of its own, told once, and given back exactly."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.copies import COPY, bad_copy
from tests.e2e.shapes import BAD, GOOD, Shape
from tests.engine.edits import contained
from tests.engine.journal_laws import assert_lawful
from tests.engine.world import SURFACES, Operator, World


def add_copy(world: World) -> None:
    body = world.add(bad_copy())
    world.bases[body["metadata"]["uid"]] = SURFACES["deployments"].read(body)
    world.originals |= {f"Deployment/{COPY}": world.specs()[f"Deployment/{COPY}"]}


async def with_copy(operator: Operator) -> World:
    """Contained, and then the copy was made and seen."""
    world = await contained(operator)
    add_copy(world)
    await operator.settle()
    return world


async def test_a_copy_made_while_contained_is_held_told_once_and_given_back(begin: Callable[..., Operator]) -> None:
    operator = begin(World(Shape(by_labels=True)))
    world = await with_copy(operator)
    assert world.read("Deployment", COPY)["spec"]["replicas"] == 0
    assert world.read("Deployment", GOOD)["spec"] == world.originals[f"Deployment/{GOOD}"]
    assert world.containment is not None
    (hold,) = world.containment.spec.holds
    assert [w.name for w in hold.compromised] == [BAD, COPY]
    await operator.settle()
    told = [entry for entry in world.incident().status.timeline if entry.type == "Grown"]
    assert [entry.object for entry in told] == [f"Deployment/{COPY}"]
    assert world.incident().status.state == "Contained"
    world.approve()
    await operator.settle()
    assert world.incident().status.state == "Released"
    assert world.specs() == world.originals
    assert_lawful(world)


@pytest.mark.parametrize("verb", ["ApproveRelease", "FalsePositive"])
async def test_a_copy_that_shows_up_with_the_release_is_left_alone(verb: str, begin: Callable[..., Operator]) -> None:
    operator = begin(World(Shape(by_labels=True)))
    world = await contained(operator)
    world.approve(verb=verb)
    world_before = dict(world.originals)
    add_copy(world)
    await operator.settle()
    assert world.incident().status.state == "Released"
    assert world.specs() == world_before | {f"Deployment/{COPY}": world.originals[f"Deployment/{COPY}"]}
    assert not [entry for entry in world.incident().status.timeline if entry.type == "Grown"]
    assert_lawful(world)


async def test_a_copy_that_moves_is_undone_like_whatever_is_held(begin: Callable[..., Operator]) -> None:
    operator = begin(World(Shape(by_labels=True)))
    world = await with_copy(operator)
    world.change("Deployment", COPY, lambda body: body["spec"].update(replicas=4))
    await operator.settle()
    assert world.read("Deployment", COPY)["spec"]["replicas"] == 0
    (moved,) = [entry for entry in world.incident().status.timeline if entry.type == "Interference"]
    assert moved.object == f"Deployment/{COPY}"


async def test_what_runs_something_else_is_nobodys_business(begin: Callable[..., Operator]) -> None:
    operator = begin(World(Shape(by_labels=True)))
    world = await contained(operator)
    body = bad_copy()
    body["spec"]["template"]["spec"]["containers"][0]["args"] = ["--model", "hf://example/support-llm@3333333"]
    world.add(body)
    await operator.settle()
    assert world.read("Deployment", COPY)["spec"]["replicas"] == 2
