"""What is said about a containment is what was read back, and no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from lazaretto.api import reasons
from lazaretto.api.references import ServiceReference
from lazaretto.domain.evidence import Evidence
from lazaretto.domain.scene import Demand, Scene
from lazaretto.engine.plan import ObjectPlan
from lazaretto.engine.proof import prove
from lazaretto.kube.api_server import ApiServer
from lazaretto.workloads.deployment import workload_of
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape
from tests.engine.memory_api import Object
from tests.engine.plans import AUTOSCALER, DEPLOYMENT, ROUTE, SERVICE, change, plan_of
from tests.engine.world import NAMESPACE, ONCE, World

Edit = Callable[[World], object]
SCALE = [change("spec.replicas", 3, 0)]
WEIGHT = [change("weight", 90, 0)]
SELECTOR = [change("spec.selector", {}, {"revision": "v1"})]


def contained_world(shape: Shape | None = None) -> World:
    """The bad revision is at 0 and traffic has gone, as after a containment."""
    world = World(shape or Shape(route=""))
    world.change("Deployment", BAD, lambda body: body["spec"].update(replicas=0))
    if world.read("Service", MODEL):
        world.change("Service", MODEL, lambda body: body["spec"]["selector"].update(revision="v1"))
    world.controllers()
    return world


def demand_in(world: World) -> Demand:
    bad, good = (workload_of(world.read("Deployment", name)) for name in (BAD, GOOD))
    return Demand((bad,), (bad,), shift=True, known_good=good)


def plans_in(world: World) -> list[ObjectPlan]:
    """Everything is as wanted."""
    found = [plan_of(DEPLOYMENT, world.read("Deployment", BAD), wanted={"spec.replicas": 0})]
    if world.read("Service", MODEL):
        found.append(plan_of(SERVICE, world.read("Service", MODEL), wanted={"spec.selector": {}}))
    if world.read("HTTPRoute", MODEL):
        found.append(plan_of(ROUTE, world.read("HTTPRoute", MODEL), wanted={"weight": 0}))
    return found


async def proved(
    world: World,
    *,
    plans: Sequence[ObjectPlan] | None = None,
    demand: Demand | None = None,
    all_workloads_seen: bool = True,
) -> Evidence:
    bad = demand or demand_in(world)
    everything = plans_in(world) if plans is None else plans
    scene = Scene(NAMESPACE, MODEL, (*bad.compromised,), (), frozenset())
    api = ApiServer(world.api, policy=ONCE)
    return await prove(api, plans=everything, scene=scene, demand=bad, all_workloads_seen=all_workloads_seen)


def pod(name: str, *, revision: str = "v2", **status: Any) -> Object:
    labels = {"app": MODEL, "revision": revision}
    return {"kind": "Pod", "metadata": {"name": name, "labels": labels, "uid": f"uid-of-{name}"}, "status": status}


def add_pod(name: str = "left", **more: Any) -> Edit:
    return lambda world: world.add(pod(name, **more))


def counted(replicas: int, *, behind: int = 0) -> Edit:
    """The Deployment controller counts so many, and is so many generations behind."""

    def edit(world: World) -> None:
        generation = world.read("Deployment", BAD)["metadata"]["generation"]
        status = {"replicas": replicas, "observedGeneration": generation - behind}
        world.change("Deployment", BAD, lambda body: body.update(status=status))

    return edit


def forbid(*calls: str) -> Edit:
    return lambda world: world.api.forbidden.update(calls)


def leading(service: str = MODEL, **conditions: Any) -> Edit:
    """A compromised pod is left, and an endpoint of the Service leads to it."""

    def edit(world: World) -> None:
        world.add(pod("left"))
        endpoint = {"targetRef": {"uid": "uid-of-left"}, "conditions": conditions}
        metadata = {"name": f"{service}-b", "labels": {"kubernetes.io/service-name": service}}
        world.add({"kind": "EndpointSlice", "metadata": metadata, "endpoints": [{"conditions": {}}, endpoint]})

    return edit


def nothing(world: World) -> None:
    """As it is."""


@pytest.mark.parametrize(
    ("edit", "finding", "level"),
    [
        (nothing, f"True {reasons.PROVED}: Deployment/{BAD} at 0 replicas, no pod left", "L2"),
        (counted(2), f"False {reasons.CONTAINING}: stored; the Deployment controller still counts 2 replicas", "L0"),
        (counted(0, behind=1), f"False {reasons.CONTAINING}: stored; the Deployment controller still", "L0"),
        (add_pod(), f"False {reasons.CONTAINING}: 1 compromised pods are still terminating", "L1"),
        (add_pod(phase="Running"), f"False {reasons.CONTAINING}: 1 compromised pods are still terminating", "L1"),
        (add_pod(phase="Succeeded"), f"True {reasons.PROVED}", "L2"),
        (add_pod(phase="Failed"), f"True {reasons.PROVED}", "L2"),
        (add_pod(revision="v1"), f"True {reasons.PROVED}", "L2"),
        (forbid("list pods"), f"Unknown {reasons.FORBIDDEN}: may not read pods: made up", "L1"),
    ],
    ids=[
        "nothing left",
        "still counted",
        "not yet observed",
        "a pod without a phase",
        "a running pod",
        "a finished pod",
        "a failed pod",
        "another's pod",
        "pods out of sight",
    ],
)
async def test_contained(edit: Edit, finding: str, level: str) -> None:
    world = contained_world()
    edit(world)
    evidence = await proved(world)
    found = evidence.contained
    assert f"{found.status} {found.reason}: {found.message}".startswith(finding)
    assert evidence.level == level


async def test_not_contained_as_long_as_a_write_is_due() -> None:
    world = contained_world()
    scaler = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": BAD, "uid": "u"}, "spec": {}}
    due = [
        plan_of(DEPLOYMENT, world.read("Deployment", BAD), changes=SCALE),
        plan_of(AUTOSCALER, scaler, changes=[change("spec.behavior", {}, {"scaleUp": {}})]),
    ]
    evidence = await proved(world, plans=due)
    message = f"not yet held: Deployment/{BAD}, HorizontalPodAutoscaler/{BAD}"
    assert (evidence.contained.status, evidence.contained.message) == ("False", message)
    assert evidence.level == ""
    assert [(o.object, o.level, o.message) for o in evidence.objects] == [
        (f"Deployment/{BAD}", "", "not yet as demanded"),
        (f"HorizontalPodAutoscaler/{BAD}", "", "not yet as demanded"),
    ]


async def test_traffic_that_has_not_moved_does_not_make_a_stopped_model_run() -> None:
    world = contained_world()
    due = [plans_in(world)[0], plan_of(SERVICE, world.read("Service", MODEL), changes=SELECTOR)]
    evidence = await proved(world, plans=due)
    assert evidence.contained.status == "True"
    assert (evidence.traffic.status, evidence.traffic.reason) == ("False", reasons.CONTAINING)
    assert evidence.traffic.message == f"not yet moved: Service/{MODEL}"


@pytest.mark.parametrize(
    ("alone", "seen", "finding"),
    [
        (True, True, f"Unknown {reasons.WORKLOAD_NOT_FOUND}: Deployment/lost does not exist any more; whether"),
        (True, False, f"Unknown {reasons.FORBIDDEN}: may not read Deployment/lost"),
        (False, True, f"True {reasons.PROVED}: Deployment/{BAD} at 0 replicas, no pod left; Deployment/lost does"),
        (False, False, f"Unknown {reasons.FORBIDDEN}: may not read Deployment/lost"),
    ],
    ids=["gone", "hidden", "gone beside another", "hidden beside another"],
)
async def test_a_held_workload_that_is_not_there_is_named(alone: bool, seen: bool, finding: str) -> None:
    """Neither proved nor blamed on the policy."""
    world = contained_world()
    bad = demand_in(world)
    demand = replace(bad, out_of_sight=("Deployment/lost",))
    if alone:
        demand = replace(demand, compromised=(), scale_to_zero=())
    found = await proved(world, plans=[] if alone else None, demand=demand, all_workloads_seen=seen)
    assert f"{found.contained.status} {found.contained.reason}: {found.contained.message}".startswith(finding)


async def test_what_the_policy_does_not_ask_for_is_unknown() -> None:
    world = contained_world()
    evidence = await proved(world, demand=replace(demand_in(world), scale_to_zero=()))
    assert (evidence.contained.status, evidence.contained.reason) == ("Unknown", reasons.NOT_REQUESTED)
    evidence = await proved(world, demand=replace(demand_in(world), shift=False))
    assert (evidence.traffic.status, evidence.traffic.reason) == ("Unknown", reasons.NOT_REQUESTED)


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        (nothing, f"True {reasons.PROVED}: Service/{MODEL} lead to Deployment/{GOOD}"),
        (leading(serving=True), f"False {reasons.CONTAINING}: endpoints of Service {MODEL} still lead there"),
        (leading(), f"False {reasons.CONTAINING}: endpoints of Service {MODEL} still lead there"),
        (leading(serving=False), f"True {reasons.PROVED}"),
        (leading("other"), f"True {reasons.PROVED}"),
        (forbid("list endpointslices"), f"Unknown {reasons.FORBIDDEN}: may not read endpointslices: made up"),
        (forbid("list pods"), f"Unknown {reasons.FORBIDDEN}: may not read pods: made up"),
        (lambda world: world.api.absent.add("endpointslices"), f"True {reasons.PROVED}"),
    ],
    ids=[
        "moved",
        "an endpoint still leads there",
        "an endpoint that does not say whether it serves",
        "an endpoint that does not serve",
        "another Service's endpoint",
        "endpoints out of sight",
        "pods out of sight",
        "a cluster without EndpointSlices",
    ],
)
async def test_traffic_of_a_service(edit: Edit, finding: str) -> None:
    world = contained_world()
    edit(world)
    found = (await proved(world)).traffic
    assert f"{found.status} {found.reason}: {found.message}".startswith(finding)


@pytest.mark.parametrize(
    ("known_good", "fallback", "where"),
    [(True, False, f"Deployment/{GOOD}"), (False, True, "the fallback"), (False, False, "nowhere")],
)
async def test_it_is_said_where_traffic_goes(known_good: bool, fallback: bool, where: str) -> None:
    world = contained_world(Shape())
    demand = demand_in(world)
    demand = replace(
        demand,
        known_good=demand.known_good if known_good else None,
        fallback=ServiceReference(name="maintenance", port=80) if fallback else None,
    )
    evidence = await proved(world, demand=demand)
    assert evidence.traffic.message == f"HTTPRoute/{MODEL} lead to {where}"


async def test_a_route_that_no_gateway_reports_on_is_not_called_moved() -> None:
    world = contained_world(Shape())
    world.change("HTTPRoute", MODEL, lambda body: body.update(status={}))
    found = (await proved(world)).traffic
    assert (found.status, found.reason) == ("Unknown", reasons.ROUTE_NOT_REPORTED)
    assert found.message == f"HTTPRoute/{MODEL}: stored; no gateway has reported on this route"


async def test_without_a_way_in_there_is_nothing_to_prove() -> None:
    world = contained_world()
    found = (await proved(world, plans=plans_in(world)[:1])).traffic
    assert (found.status, found.reason) == ("Unknown", reasons.NO_WAY_IN)


async def test_each_object_has_its_own_proof() -> None:
    world = contained_world(Shape())
    world.add(pod("left"))
    scaler = plan_of(AUTOSCALER, world.read("HorizontalPodAutoscaler", BAD), wanted={"spec.behavior": {}})
    loose = plan_of(SERVICE, world.read("Service", BAD), fields=["spec.selector"])
    evidence = await proved(world, plans=[*plans_in(world), scaler, loose])
    assert [(o.object, o.level) for o in evidence.objects] == [
        (f"Deployment/{BAD}", "L1"),
        (f"HTTPRoute/{MODEL}", "L1"),
        (f"HorizontalPodAutoscaler/{BAD}", "L0"),
    ], "and what is not held any more has none"
    assert evidence.objects[0].message == "the Deployment controller counts 0 replicas; 1 pods left"
    world.remove("Pod", "left")
    assert (await proved(world)).objects[0].level == "L2"


async def test_a_model_that_is_only_cut_off_is_as_proved_as_its_routes() -> None:
    world = contained_world(Shape())
    evidence = await proved(world, plans=plans_in(world)[1:], demand=replace(demand_in(world), scale_to_zero=()))
    assert (evidence.level, evidence.traffic.status) == ("L0", "True")
