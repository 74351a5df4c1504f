"""One pass: what it wants next, whom it tells, and what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from lazaretto.engine.reconciler import NEVER, NOW, SOON, STALLED, WAITING
from lazaretto.errors import Unavailable
from lazaretto.kube.surface import Surface
from tests.e2e.shapes import BAD, MODEL, Shape, policy
from tests.engine.edits import Edit, behavior, contained, replicas, weight
from tests.engine.faulty_line import Call, Fault, FaultyLine
from tests.engine.plans import AUTOSCALER, DEPLOYMENT, ROUTE
from tests.engine.world import KEY, NOON, Operator, World


async def test_nothing_is_touched_before_the_journal_is_stored(begin: Callable[..., Operator]) -> None:
    world = World()
    at = Call("create containments", MODEL, 1)
    operator = begin(world, line=FaultyLine(world.api, at=at, fault=Fault.LOST))
    world.report()
    with pytest.raises(Unavailable):
        await operator.once()
    assert (world.specs(), world.containment, operator.guarded) == (world.originals, None, ())
    await operator.once()
    assert world.containment is not None
    assert [(t.kind, t.name) for t in operator.guarded] == [(t.kind, t.name) for t in world.containment.spec.targets]


async def test_the_guard_and_the_survey_are_told_when_it_begins_and_ends(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    assert operator.changed[0] == KEY
    assert {t.kind for t in operator.guarded} == {"Deployment", "HorizontalPodAutoscaler", "HTTPRoute"}
    operator.changed.clear()
    world.approve()
    await operator.settle()
    assert operator.changed[-1] == KEY
    assert operator.guarded == ()


@pytest.mark.parametrize(
    ("surface", "name", "edit"),
    [
        (DEPLOYMENT, BAD, replicas(7)),
        (AUTOSCALER, BAD, behavior({"scaleDown": {"stabilizationWindowSeconds": 60}})),
        (ROUTE, MODEL, weight(40)),
    ],
    ids=["replicas", "behavior", "weight"],
)
async def test_a_base_never_rests_on_a_cached_copy(
    surface: Surface, name: str, edit: Edit, begin: Callable[..., Operator]
) -> None:
    world = World(Shape(by_labels=True))
    world.api.freeze_cache()
    kind = surface.resource.kind
    world.change(kind, name, edit)
    before = surface.read(world.read(kind, name))
    operator = begin(world)
    await contained(operator)
    assert surface.read(world.read(kind, name)) != before
    world.approve()
    await operator.settle()
    assert surface.read(world.read(kind, name)) == before


@pytest.mark.parametrize(
    ("shape", "delay"),
    [
        (Shape(policies={"watch": policy("Observe")}), NEVER),
        (Shape(policies={"ask": policy("Approve")}), NEVER),
        (Shape(policies={"hold": policy("Automatic", onNoKnownGood="Hold")}, attested=False), STALLED),
        (Shape(), SOON),
    ],
    ids=["observed", "waits for a person", "stalled", "contains"],
)
async def test_when_the_next_pass_is_wanted(shape: Shape, delay: float | None, begin: Callable[..., Operator]) -> None:
    operator = begin(World(shape))
    assert await operator.once() is NEVER, "nothing has happened yet"
    operator.world.report()
    assert await operator.once() == delay


@pytest.mark.parametrize(("seconds", "delay"), [(0, WAITING), (4, 4.0), (60, STALLED)])
async def test_what_is_refused_is_asked_for_again_after_as_long_as_the_incident_has_waited(
    seconds: int, delay: float, begin: Callable[..., Operator]
) -> None:
    operator = begin()
    operator.world.report()
    stored = (NOON - timedelta(seconds=seconds)).isoformat()
    operator.world.change("AIIncident", f"{MODEL}-1", lambda body: body["metadata"].update(creationTimestamp=stored))
    operator.world.api.forbidden = {"get deployments", "list deployments"}
    assert await operator.once() == delay
    operator.world.api.forbidden = set()
    await operator.settle()
    assert operator.world.incident().status.state == "Contained"


async def test_a_lost_race_is_run_again_at_once(begin: Callable[..., Operator]) -> None:
    world = World()
    at = Call("patch httproutes", MODEL, 1)
    operator = begin(world, line=FaultyLine(world.api, at=at, fault=Fault.CONFLICT))
    world.report()
    assert await operator.once() == NOW


async def test_a_pass_over_nothing_asks_for_nothing(begin: Callable[..., Operator]) -> None:
    operator = begin()
    assert await operator.once() is NEVER
    assert operator.line.calls == []


async def test_what_is_too_large_for_the_journal_is_said_and_the_rest_is_held(begin: Callable[..., Operator]) -> None:
    world = World()
    (rule,) = world.read("HTTPRoute", MODEL)["spec"]["rules"]
    rules = [{**rule, "name": f"rule-{number}"} for number in range(40)]
    world.change("HTTPRoute", MODEL, lambda body: body["spec"].update(rules=rules))
    world.originals = world.specs()
    operator = begin(world)
    world.report()
    await operator.settle()
    status = world.incident().status
    assert status.state == "Degraded"
    assert f"HTTPRoute/{MODEL} is not held" in status.reason
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0
    world.approve()
    await operator.settle()
    assert (world.containment, world.specs()) == (None, world.originals)


async def test_every_fact_is_told_once_though_the_timeline_cannot_hold_them_all(begin: Callable[..., Operator]) -> None:
    world = World()
    (rule,) = world.read("HTTPRoute", MODEL)["spec"]["rules"]
    rules = [{**rule, "name": f"rule-{number}"} for number in range(15)]
    for name in ("second", "third"):
        world.add({"kind": "HTTPRoute", "metadata": {"name": name}, "spec": {"rules": rules}})
    operator = begin(world)
    world.report()
    await operator.settle()
    counted = world.incident().status.timeline_count
    assert counted > len(world.incident().status.timeline)
    messages = [event["message"] for event in world.api.all("events")]
    assert len(messages) == len(set(messages))
    await operator.settle()
    assert world.incident().status.timeline_count == counted
