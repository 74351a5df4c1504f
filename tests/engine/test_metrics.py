"""What is counted of a whole story, seen through the metrics that Prometheus would read."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from lazaretto.domain.contest import Move
from lazaretto.domain.fields import Change
from lazaretto.engine.census import Census
from lazaretto.engine.opposition import Opposition
from lazaretto.engine.store import Store
from lazaretto.telemetry.metrics import Metrics
from tests.e2e.shapes import BAD, MODEL, Shape, policy
from tests.engine.running import RunningEngine, run
from tests.engine.world import NAMESPACE, NOON, NoonClock, World

LABELS = {"namespace": NAMESPACE, "ai_model": MODEL}


def value(metrics: Metrics, name: str, **more: str) -> float | None:
    return metrics.registry.get_sample_value(name, {**LABELS, **more})


def scaled_up(world: World) -> None:
    world.change("Deployment", BAD, lambda body: body["spec"].update(replicas=2))


@pytest.mark.parametrize("verb", ["ApproveRelease", "FalsePositive"])
def test_a_containment_is_counted_from_its_begin_to_its_end(verb: str) -> None:
    metrics = Metrics()

    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained()
        assert value(metrics, "lazaretto_containments_begun_total") == 1
        # Seen at zero before anything happens: only so does Prometheus see an increase.
        for name in ("interferences", "fence_bypasses", "refused_writes"):
            assert value(metrics, f"lazaretto_{name}_total") == 0
        running.world.approve(verb=verb)
        await running.until(lambda: running.state() == "Released", seconds=30.0)

    run(story, metrics=metrics)
    assert value(metrics, "lazaretto_containments_begun_total") == 1
    assert value(metrics, "lazaretto_containments_released_total", approved="true") == 1
    assert value(metrics, "lazaretto_containments_released_total", approved="false") is None
    assert value(metrics, "lazaretto_false_positives_total") == (1 if verb == "FalsePositive" else None)
    assert metrics.registry.get_sample_value("lazaretto_passes_total")


def test_a_false_positive_of_which_nothing_was_held_is_counted() -> None:
    metrics = Metrics()
    world = World(Shape(policies={"watch": policy("Observe")}))

    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.until(lambda: running.state(), seconds=5.0)
        running.world.approve(verb="FalsePositive")
        await running.until(lambda: running.state() == "Closed", seconds=30.0)

    run(story, world=world, metrics=metrics)
    assert value(metrics, "lazaretto_false_positives_total") == 1
    assert value(metrics, "lazaretto_containments_begun_total") is None


def test_what_somebody_moves_is_counted_once_each_time() -> None:
    metrics = Metrics()

    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained()
        for _ in range(3):
            scaled_up(running.world)
            await running.until(lambda: running.world.read("Deployment", BAD)["spec"]["replicas"] == 0, seconds=5.0)

    run(story, metrics=metrics)
    assert value(metrics, "lazaretto_interferences_total") == 3


def test_a_release_that_nobody_approved_is_told_apart() -> None:
    metrics = Metrics()

    async def story(running: RunningEngine) -> None:
        world = running.world
        world.report()
        await running.contained()
        world.change("Containment", MODEL, lambda body: body["spec"]["holds"][0].update(releasing=True))
        await running.until(lambda: running.state() == "Released", seconds=30.0)

    run(story, metrics=metrics)
    assert value(metrics, "lazaretto_containments_released_total", approved="false") == 1


def test_drills_are_not_counted() -> None:
    metrics = Metrics()

    async def story(running: RunningEngine) -> None:
        running.world.report(drill=True)
        await running.contained()

    run(story, metrics=metrics)
    assert value(metrics, "lazaretto_containments_begun_total") is None


class Later(NoonClock):
    def now(self) -> datetime:
        return NOON + timedelta(days=3650)


def test_the_census_tells_of_containments_and_of_who_waits() -> None:
    world = World()

    def census() -> CollectorRegistry:
        store, registry = Store(), CollectorRegistry()
        world.tell(store)
        registry.register(Census(store, clock=Later()))
        return registry

    age = "lazaretto_uncontained_incident_age_seconds"
    world.report()
    waiting = census().get_sample_value(age)
    assert waiting is not None
    assert waiting > 0
    assert census().get_sample_value("lazaretto_containments", {"namespace": NAMESPACE}) is None

    async def story(running: RunningEngine) -> None:
        await running.contained()

    run(story, world=world)
    assert census().get_sample_value(age) == 0
    assert census().get_sample_value("lazaretto_containments", {"namespace": NAMESPACE}) == 1


async def test_a_move_that_two_passes_see_is_one_and_only_past_the_fence_is_a_bypass() -> None:
    metrics = Metrics()
    opposition = Opposition(metrics)
    change = Change("spec.replicas", 2, 0)
    for version, past in (("1", False), ("1", False), ("2", True), ("2", True)):
        move = Move(f"Deployment/{BAD}", change, "kubectl", version, past_fence=past)
        opposition.moved((NAMESPACE, MODEL), [move, replace(move, change=Change("spec.other", 1, 0))])
    assert value(metrics, "lazaretto_interferences_total") == 2
    assert value(metrics, "lazaretto_fence_bypasses_total") == 1
