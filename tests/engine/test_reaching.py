"""A known-good revision that is brought up: which writes, in which order, and what becomes of the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lazaretto.api import reasons
from lazaretto.domain.conditions import find
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape, policy
from tests.engine.edits import replicas
from tests.engine.journal_laws import assert_lawful
from tests.engine.world import Operator, World

MILD: Mapping[str, Any] = {"category": "ModelDrift"}
RAISE, STOP = f"Deployment/{GOOD}", f"Deployment/{BAD}"


def standby(plan: str = "Auto", **more: Any) -> World:
    policies = {"p": policy("Automatic", reach={"plan": plan, "deadline": "1m"}, onNoKnownGood="Zero", **more)}
    return World(Shape(standby=True, policies=policies))


def written(world: World) -> list[str]:
    """Foreign objects in the order in which they were written, each with what it came to."""
    found = []
    for stored in world.api.history:
        kind, name, spec = stored.body["kind"], stored.body["metadata"]["name"], stored.body.get("spec", {})
        if kind == "Deployment":
            found.append(f"{name}: {spec['replicas']}")
        elif kind == "HTTPRoute":
            refs = spec["rules"][0]["backendRefs"]
            found.append("route: " + ", ".join(sorted(r["name"] for r in refs if r["weight"])))
    return found


WARM = [f"{GOOD}: 3", f"route: {GOOD}", f"{BAD}: 0"]
CUT = [f"{BAD}: 0", "route: ", f"{GOOD}: 3", f"route: {GOOD}"]


@pytest.mark.parametrize(
    ("plan", "reported", "expected"),
    [
        ("Auto", MILD, WARM),
        ("WarmThenShift", MILD, WARM),
        ("CutThenFree", MILD, CUT),
        ("Auto", {}, CUT),
        ("WarmThenShift", {}, CUT),
        ("RunningOnly", MILD, CUT[:2]),
    ],
)
async def test_the_plan_decides_the_order_and_a_release_goes_back(
    plan: str, reported: Mapping[str, Any], expected: list[str], begin: Callable[..., Operator]
) -> None:
    operator = begin(standby(plan))
    world = operator.world
    world.report(**reported)
    await operator.settle()
    assert sorted(written(world)[:2]) == sorted(expected[:2])
    assert written(world)[2:] == expected[2:]
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0
    world.api.history.clear()
    world.approve()
    await operator.settle()
    assert world.specs() == world.originals
    if plan != "RunningOnly":
        assert written(world) == [f"{BAD}: 3", f"route: {BAD}", f"{GOOD}: 0"]
    assert_lawful(world)


async def test_what_never_becomes_ready_leaves_the_compromised_one_contained(begin: Callable[..., Operator]) -> None:
    operator = begin(standby("CutThenFree"))
    world = operator.world
    world.report(**MILD)
    await operator.once()
    world.controllers()
    world.change("Deployment", GOOD, lambda d: d["spec"]["template"]["spec"]["containers"][0].update(image="x:1"))
    await operator.settle()
    conditions = world.incident().status.conditions
    shifted, contained = find(conditions, reasons.TRAFFIC_SHIFTED), find(conditions, reasons.CONTAINED)
    assert shifted is not None and contained is not None  # noqa: PT018
    assert (shifted.status, shifted.reason) == ("False", reasons.SHIFT_FAILED)
    assert "was changed since it was chosen" in shifted.message
    assert contained.status == "True"
    assert world.read("Deployment", GOOD)["spec"]["replicas"] == 0
    assert sorted(written(world)) == sorted(CUT[:2])


async def test_who_lowers_it_is_undone_and_who_raises_it_further_keeps_that(begin: Callable[..., Operator]) -> None:
    operator = begin(standby())
    world = operator.world
    world.report(**MILD)
    await operator.settle()
    world.change("Deployment", GOOD, replicas(1))
    await operator.settle()
    assert world.read("Deployment", GOOD)["spec"]["replicas"] == 3
    assert [e.object for e in world.incident().status.timeline if e.type == "Interference"] == [RAISE]
    world.change("Deployment", GOOD, replicas(5))
    await operator.settle()
    world.approve()
    await operator.settle()
    assert world.read("Deployment", GOOD)["spec"]["replicas"] == 5
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 3
    assert [e.object for e in world.incident().status.timeline if e.type == "Kept"] == [RAISE]
    assert world.containment is None


async def test_an_autoscaler_has_its_way_once_it_is_awake(begin: Callable[..., Operator]) -> None:
    world = standby()
    scaler = world.read("HorizontalPodAutoscaler", BAD)
    spec = {**scaler["spec"], "scaleTargetRef": {**scaler["spec"]["scaleTargetRef"], "name": GOOD}}
    world.add({"kind": "HorizontalPodAutoscaler", "metadata": {"name": GOOD}, "spec": {**spec, "minReplicas": 4}})
    before = world.specs()
    operator = begin(world)
    world.report(**MILD)
    await operator.settle()
    assert world.read("Deployment", GOOD)["spec"]["replicas"] == 4
    world.change("Deployment", GOOD, replicas(6))
    await operator.settle()
    world.change("Deployment", GOOD, replicas(4))
    await operator.settle()
    assert world.read("Deployment", GOOD)["spec"]["replicas"] == 4
    assert not [e for e in world.incident().status.timeline if e.type == "Interference"]
    world.approve()
    await operator.settle()
    assert world.specs() == before


async def test_while_it_is_warmed_the_compromised_one_is_told_to_serve_on(begin: Callable[..., Operator]) -> None:
    operator = begin(standby("WarmThenShift"))
    world = operator.world
    world.report(**MILD)
    for _ in range(3):
        # Nobody makes pods of it.
        await operator.once()
    conditions = world.incident().status.conditions
    shifted, contained = find(conditions, reasons.TRAFFIC_SHIFTED), find(conditions, reasons.CONTAINED)
    assert shifted is not None and contained is not None  # noqa: PT018
    assert (shifted.status, shifted.reason) == ("False", reasons.REACHING)
    assert shifted.message == f"WarmThenShift: {RAISE} is scaled up to 3; 0 of 3 needed replicas are ready"
    assert (contained.status, contained.message) == ("False", f"{STOP} serves on until {RAISE} is ready")
    held = world.read("HorizontalPodAutoscaler", BAD)["spec"]["behavior"]["scaleUp"]
    assert held["selectPolicy"] == "Disabled"
    assert world.containment is not None
    assert world.containment.spec.cut_off == []
    assert written(world) == WARM[:1]
    assert world.containment.spec.model == MODEL


async def test_a_plan_goes_on_though_its_incident_is_not_known_yet_or_any_more(begin: Callable[..., Operator]) -> None:
    operator = begin(standby("WarmThenShift"))
    world = operator.world
    world.report(**MILD)
    await operator.once()
    world.remove("AIIncident", f"{MODEL}-1")
    await operator.settle()
    assert world.containment is not None
    reach = world.containment.spec.holds[0].reach
    assert reach is not None
    assert (reach.phase, reach.cut_at) == ("Serving", None)
    assert written(world) == WARM
