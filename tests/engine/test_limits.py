"""A limit counts what is stored and what is being stored: neither a restart nor a race gives a further place."""

from __future__ import annotations

import asyncio
import copy

import pytest

from lazaretto.api import AIIncident
from lazaretto.engine.reconciler import STALLED
from lazaretto.errors import LazarettoError
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape, policy
from tests.engine.world import KEY, NAMESPACE, Operator, World

OTHER = "other"
OTHER_KEY = (NAMESPACE, OTHER)
ONE = Shape(policies={"p": policy("Automatic", onNoKnownGood="Zero", limits={"concurrentModels": 1})})
FREE = Shape(policies={"p": policy("Automatic", onNoKnownGood="Zero")})


def two_models(shape: Shape) -> World:
    """Incidents about two models; the second is served by the same objects, so that nothing else tells them apart."""
    world = World(shape)
    spec = copy.deepcopy(world.read("ProtectedModel", MODEL)["spec"])
    world.add({"kind": "ProtectedModel", "metadata": {"name": OTHER, "uid": "uid-of-other"}, "spec": spec})
    world.report(1, target={"model": MODEL, "revision": BAD})
    world.report(2, target={"model": OTHER, "revision": GOOD})
    return world


def held(world: World) -> set[str]:
    return {body["metadata"]["name"] for body in world.api.all("containments")}


def reasons_of(found: AIIncident) -> set[str]:
    return {condition.reason for condition in found.status.conditions if condition.type == "Stalled"}


@pytest.mark.parametrize(("shape", "places"), [(ONE, 1), (FREE, 2)])
async def test_two_models_at_the_same_moment_do_not_both_take_the_last_place(shape: Shape, places: int) -> None:
    world = two_models(shape)
    operator = Operator(world)
    await asyncio.gather(*(operator.reconciler.reconcile(key) for key in (KEY, OTHER_KEY)))
    assert len(held(world)) == places
    await operator.stop()


async def test_a_restart_gives_no_further_place_and_a_person_outranks_the_limit() -> None:
    world = two_models(ONE)
    operator = Operator(world)
    await operator.settle()
    await operator.stop()
    operator = Operator(world)
    assert await operator.reconciler.reconcile(OTHER_KEY) == STALLED
    await asyncio.gather(*operator.reporter.pending(NAMESPACE, [f"{MODEL}-2"]))
    assert held(world) == {MODEL}
    assert world.incident(2).status.state == "AwaitingApproval"
    assert reasons_of(world.incident(2)) == {"LimitReached"}
    world.approve(2, verb="ApproveContainment", people=["alice"])
    operator.hear()
    await operator.reconciler.reconcile(OTHER_KEY)
    assert held(world) == {MODEL, OTHER}
    await operator.stop()


async def test_a_second_incident_holds_more_of_a_model_that_is_held_and_release_goes_on() -> None:
    world = World(ONE)
    operator = Operator(world)
    for number in (1, 2):
        world.report(number, target={"model": MODEL, "revision": BAD})
        await operator.settle()
    assert {world.incident(number).status.state for number in (1, 2)} == {"Contained"}
    for number in (1, 2):
        world.approve(number)
        await operator.settle()
    assert held(world) == set()
    await operator.stop()


async def test_a_place_that_was_not_taken_in_the_end_is_free_again() -> None:
    world = two_models(ONE)
    operator = Operator(world)
    world.api.forbidden = {"create containments"}
    with pytest.raises(LazarettoError):
        await operator.reconciler.reconcile(KEY)
    world.api.forbidden = set()
    await operator.reconciler.reconcile(OTHER_KEY)
    assert held(world) == {OTHER}
    await operator.stop()
