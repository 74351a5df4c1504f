"""A limit counts what is stored and what is being stored: neither a restart nor a race gives a further place."""

from __future__ import annotations

import asyncio
import copy

import pytest

from lazaretto.api import AIIncident
from lazaretto.engine.reconciler import STALLED
from lazaretto.errors import LazarettoError
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape, policy
from tests.engine.running import RunningEngine, run
from tests.engine.world import KEY, NAMESPACE, Operator, World

OTHER = "other"
OTHER_KEY = (NAMESPACE, OTHER)
ONE = Shape(policies={"p": policy("Automatic", onNoKnownGood="Zero", limits={"concurrentModels": 1})})
FREE = Shape(policies={"p": policy("Automatic", onNoKnownGood="Zero")})


def two_models(shape: Shape, *, incidents: int = 2) -> World:
    """Incidents about two models; the second is served by the same objects, so that nothing else tells them apart."""
    world = World(shape)
    spec = copy.deepcopy(world.read("ProtectedModel", MODEL)["spec"])
    world.add({"kind": "ProtectedModel", "metadata": {"name": OTHER, "uid": "uid-of-other"}, "spec": spec})
    world.report(1, target={"model": MODEL, "revision": BAD})
    if incidents > 1:
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


async def released(world: World, operator: Operator) -> None:
    """The first model is released, and its place is free."""
    world.approve(1)
    await operator.settle()
    assert held(world) == set()


async def test_a_limit_that_has_tripped_stays_so_until_a_person_resets_it() -> None:
    world = two_models(ONE)
    operator = Operator(world)
    await operator.settle()
    await operator.reconciler.reconcile(OTHER_KEY)
    await released(world, operator)
    await operator.stop()
    operator = Operator(world)
    await operator.reconciler.reconcile(OTHER_KEY)
    assert held(world) == set()
    assert "and was not reset" not in world.incident(2).status.reason
    world.approve(2, verb="ResetLimits", people=["alice"], backlog="Contain")
    operator.hear()
    await operator.reconciler.reconcile(OTHER_KEY)
    assert held(world) == {OTHER}
    await operator.stop()


async def test_a_backlog_that_was_left_waits_for_one_approval_each() -> None:
    world = two_models(ONE)
    operator = Operator(world)
    await operator.settle()
    await operator.reconciler.reconcile(OTHER_KEY)
    await released(world, operator)
    world.approve(2, verb="ResetLimits", people=["alice"], backlog="Leave")
    operator.hear()
    await operator.reconciler.reconcile(OTHER_KEY)
    await asyncio.gather(*operator.reporter.pending(NAMESPACE, [f"{MODEL}-2"]))
    assert held(world) == set()
    assert "alice left what limits had stopped" in world.incident(2).status.reason
    world.report(3, target={"model": MODEL, "revision": BAD})
    await operator.settle()
    assert held(world) == {MODEL}
    await operator.stop()


async def test_what_is_counted_by_the_hour_is_counted_before_its_status_says_so_and_after_a_restart() -> None:
    world = two_models(Shape(policies={"p": policy("Automatic", onNoKnownGood="Zero", limits={"perHour": 1})}))
    operator = Operator(world)
    await asyncio.gather(*(operator.reconciler.reconcile(key) for key in (KEY, OTHER_KEY)))
    assert len(held(world)) == 1
    await operator.stop()
    operator = Operator(world)
    await operator.reconciler.reconcile(OTHER_KEY)
    assert len(held(world)) == 1
    await operator.stop()


async def test_where_limits_are_measured_nothing_is_decided_before_all_incidents_are_known() -> None:
    for shape, waits in ((ONE, True), (FREE, False)):
        world = two_models(shape)
        operator = Operator(world)
        operator.store.incidents_known = False
        await operator.reconciler.reconcile(KEY)
        assert (held(world) == set()) is waits
        operator.store.incidents_known = True
        await operator.reconciler.reconcile(KEY)
        assert held(world) == {MODEL}
        await operator.stop()


@pytest.mark.parametrize("game", ["policy deleted and made anew", "incident deleted", "labels changed"])
def test_no_game_with_records_undoes_that_a_limit_has_tripped(game: str) -> None:
    world = two_models(ONE, incidents=1)

    async def story(running: RunningEngine) -> None:
        await running.until(lambda: held(world) == {MODEL}, seconds=5)
        world.report(2, target={"model": OTHER, "revision": GOOD})
        await running.until(lambda: "LimitReached" in reasons_of(world.incident(2)), seconds=5)
        await running.until(lambda: bool(world.read("ResponsePolicy", "p")["status"].get("tripped")), seconds=5)
        world.approve(1)
        await running.until(lambda: held(world) == set(), seconds=5)
        if game.startswith("policy"):
            spec = world.read("ResponsePolicy", "p")["spec"]
            world.remove("ResponsePolicy", "p")
            world.add({"kind": "ResponsePolicy", "metadata": {"name": "q", "uid": "uid-of-q"}, "spec": spec})
        elif game.startswith("incident"):
            world.remove("AIIncident", f"{MODEL}-2")
        else:
            for kind, name in (("AIIncident", f"{MODEL}-2"), ("ProtectedModel", OTHER), ("ResponsePolicy", "p")):
                world.change(kind, name, lambda body: body["metadata"].update(labels={"limit": "none"}))
        world.report(3, target={"model": MODEL, "revision": BAD})
        await running.until(lambda: "LimitReached" in reasons_of(world.incident(3)), seconds=5)
        await asyncio.sleep(30)
        assert held(world) == set()
        world.approve(3, verb="ResetLimits", people=["alice"], backlog="Contain")
        await running.until(lambda: MODEL in held(world), seconds=5)

    run(story, world=world)


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
