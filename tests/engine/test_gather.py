"""What a decision looks at: read in one round, by name what is held; what may not be read is reported, not guessed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from lazaretto.api import Containment, ProtectedModel
from lazaretto.engine.gather import Live, Name, confirm, gather, scene_of
from lazaretto.engine.plan import gone
from lazaretto.errors import Unavailable
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.surface import name_of
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape
from tests.engine.faulty_line import Call, Fault, FaultyLine
from tests.engine.plans import AUTOSCALER, DEPLOYMENT, ROUTE, SERVICE
from tests.engine.travelling_time import travelling
from tests.engine.world import NAMESPACE, ONCE, Operator, World

HELD = {"Deployment": DEPLOYMENT, "HorizontalPodAutoscaler": AUTOSCALER, "HTTPRoute": ROUTE}


async def gathered(
    world: World, *, line: FaultyLine | None = None, opted_in: bool = True, familiar: Collection[Name] = ()
) -> Live:
    model = ProtectedModel.read(world.read("ProtectedModel", MODEL)) if opted_in else None
    api = ApiServer(line or world.api, policy=ONCE)
    return await gather(api, namespace=NAMESPACE, model=model, containment=world.containment, familiar=familiar)


def names(live: Live) -> dict[str, list[str]]:
    return {s.resource.plural: [name_of(obj) for obj in objects] for s, objects in live.objects.items() if objects}


def selecting(world: World, *workloads: dict[str, Any]) -> World:
    """The model speaks of these workloads."""
    world.change("ProtectedModel", MODEL, lambda body: body["spec"].update(workloads=list(workloads)))
    return world


def named(name: str) -> dict[str, Any]:
    return {"kind": "Deployment", "name": name}


def labelled(**labels: str) -> dict[str, Any]:
    return {"kind": "Deployment", "matchLabels": labels}


async def contained(world: World | None = None) -> World:
    world = world or World()
    operator = Operator(world)
    world.report()
    await operator.settle()
    await operator.stop()
    return world


async def test_the_models_workloads_and_everything_else_that_could_lead_to_it() -> None:
    live = await gathered(World())
    assert names(live) == {
        "deployments": [GOOD, BAD],
        "horizontalpodautoscalers": [BAD],
        "services": [GOOD, BAD],
        "httproutes": [MODEL],
    }
    assert [(w.ref, w.replicas, w.available) for w in live.workloads] == [
        (f"Deployment/{GOOD}", 2, True),
        (f"Deployment/{BAD}", 3, True),
    ]
    assert (live.denied, live.missing) == ((), ())


def test_it_is_one_round() -> None:
    async def scene() -> float:
        world = World()
        world.api.delay = 1.0
        await gathered(world)
        return asyncio.get_running_loop().time()

    assert travelling(scene()) == 1.0


@pytest.mark.parametrize(
    ("workloads", "found", "missing"),
    [
        ([named(BAD)], [BAD], ()),
        ([named(BAD), named("none"), named("nil")], [BAD], ("Deployment/nil", "Deployment/none")),
        ([labelled(app=MODEL)], [GOOD, BAD], ()),
        ([labelled(app=MODEL), named(BAD), labelled(app=MODEL)], [GOOD, BAD], ()),
        ([labelled(app="other", tier="x")], [], ("Deployment with labels app=other,tier=x",)),
    ],
    ids=["by name", "missing by name", "by labels", "by both, once", "missing by labels"],
)
async def test_workloads_are_found(workloads: list[Any], found: list[str], missing: tuple[str, ...]) -> None:
    live = await gathered(selecting(World(), *workloads))
    assert [w.name for w in live.workloads] == found
    assert live.missing == missing


@pytest.mark.parametrize("opted_in", [True, False], ids=["model names another", "model is gone"])
async def test_what_a_containment_speaks_of_is_read_whatever_the_model_says_by_now(opted_in: bool) -> None:
    world = selecting(await contained(), named("other"))
    live = await gathered(world, opted_in=opted_in)
    assert [w.name for w in live.workloads] == [GOOD, BAD], "the held one, and the one that serves instead"
    assert live.missing == (("Deployment/other",) if opted_in else ())
    world.remove("Deployment", BAD)
    live = await gathered(world, opted_in=opted_in)
    assert [w.name for w in live.workloads] == [GOOD]
    assert f"Deployment/{BAD}" not in live.missing, "only what the model names is missed"


@pytest.mark.parametrize("plural", ["horizontalpodautoscalers", "services", "httproutes", "grpcroutes"])
async def test_a_kind_that_may_not_be_read_is_reported_and_hides_no_other(plural: str) -> None:
    world = World(Shape(route="GRPCRoute") if plural == "grpcroutes" else None)
    everything = names(await gathered(world))
    world.api.forbidden = {f"list {plural}"}
    live = await gathered(world)
    assert live.denied == (f"may not read {plural}: made up",)
    assert plural not in {s.resource.plural for s in live.objects}, "not known is not the same as none"
    assert names(live) == {kind: found for kind, found in everything.items() if kind != plural}


@pytest.mark.parametrize("workloads", [[named(GOOD), named(BAD)], [labelled(app=MODEL)]], ids=["by name", "by labels"])
async def test_workloads_that_may_not_be_read_are_reported_once_and_are_not_missing(workloads: list[Any]) -> None:
    world = selecting(World(), *workloads)
    world.api.forbidden = {"get deployments", "list deployments"}
    live = await gathered(world)
    assert (live.denied, live.missing, live.workloads) == (("may not read deployments: made up",), (), ())
    assert "services" in names(live)


@pytest.mark.parametrize(
    ("forbidden", "seen"),
    [
        (set(), True),
        ({"get deployments"}, False),
        ({"list services", "list httproutes", "list horizontalpodautoscalers"}, True),
    ],
    ids=["nothing", "workloads", "everything else"],
)
async def test_it_is_known_whether_a_workload_may_be_hidden(forbidden: set[str], seen: bool) -> None:
    world = World()
    world.api.forbidden = forbidden
    assert (await gathered(world)).all_workloads_seen is seen


async def test_one_workload_that_may_not_be_read_may_be_hidden() -> None:
    world = World()
    fault = Call("get deployments", BAD, 1)
    live = await gathered(world, line=FaultyLine(world.api, at=fault, fault=Fault.FORBIDDEN))
    assert [w.name for w in live.workloads] == [GOOD]
    assert not live.all_workloads_seen


async def test_what_is_held_of_a_kind_that_may_not_be_listed_stays_in_sight_and_nothing_of_it_is_gone() -> None:
    world = await contained()
    world.api.forbidden = {"list httproutes"}
    live = await gathered(world)
    assert names(live)["httproutes"] == [MODEL]
    assert world.containment is not None
    assert gone(live, world.containment) == []
    world.remove("HTTPRoute", MODEL)
    assert gone(await gathered(world), world.containment) == []
    world.api.forbidden = set()
    assert [t.kind for t in gone(await gathered(world), world.containment)] == ["HTTPRoute"]


FAMILIAR = (("Deployment", BAD), ("HorizontalPodAutoscaler", BAD), ("HTTPRoute", MODEL))


async def test_what_is_familiar_is_read_as_it_is_now() -> None:
    world = selecting(World(), labelled(app=MODEL))
    world.api.freeze_cache()
    for kind, name in FAMILIAR:
        world.change(kind, name, lambda body: body["metadata"].update(annotations={"changed": "now"}))
    line = FaultyLine(world.api)
    live = await gathered(world, line=line, familiar=FAMILIAR)
    found = {(s.resource.kind, name_of(obj)): obj for s, objects in live.objects.items() for obj in objects}
    for kind, name in FAMILIAR:
        assert found[kind, name] == world.read(kind, name)
        assert found[kind, name]["metadata"]["uid"] in live.newest
    assert names(live) == names(await gathered(world))


async def test_what_was_familiar_and_is_gone_is_neither_seen_nor_missing() -> None:
    world = selecting(World(), labelled(app=MODEL))
    world.api.freeze_cache()
    world.remove("HTTPRoute", MODEL)
    world.remove("HorizontalPodAutoscaler", BAD)
    live = await gathered(world, familiar=FAMILIAR)
    assert {"httproutes", "horizontalpodautoscalers"}.isdisjoint(names(live))
    assert (live.missing, live.denied) == ((), ())


async def test_a_familiar_workload_that_the_model_does_not_select_any_more_is_none_of_it() -> None:
    world = selecting(World(), labelled(app=MODEL))
    world.change("Deployment", BAD, lambda body: body["metadata"].update(labels={"app": "other"}))
    assert [w.name for w in (await gathered(world, familiar=FAMILIAR)).workloads] == [GOOD]
    by_name = selecting(World(), named(GOOD))
    assert [w.name for w in (await gathered(by_name, familiar=FAMILIAR)).workloads] == [GOOD]


async def test_a_kind_that_is_not_installed_leads_nowhere() -> None:
    world = World()
    world.api.absent = {"httproutes", "grpcroutes"}
    live = await gathered(world)
    assert live.denied == ()
    assert live.objects[ROUTE] == []


@pytest.mark.parametrize("what", ["get deployments", "list services", "list httproutes"])
async def test_anything_else_that_fails_fails_the_whole(what: str) -> None:
    world = World()
    name = BAD if what.startswith("get") else ""
    with pytest.raises(Unavailable):
        await gathered(world, line=FaultyLine(world.api, at=Call(what, name, 1), fault=Fault.LOST))


@pytest.mark.parametrize(
    ("kind", "name"), [("Deployment", BAD), ("HorizontalPodAutoscaler", BAD), ("HTTPRoute", MODEL)]
)
async def test_what_is_held_is_read_as_it_is_now_however_old_the_cache(kind: str, name: str) -> None:
    world = await contained(World(Shape(by_labels=True)))
    world.api.freeze_cache()
    world.change(kind, name, lambda body: body["metadata"].update(annotations={"changed": "now"}))
    live = await gathered(world)
    (obj,) = [obj for obj in live.objects[HELD[kind]] if name_of(obj) == name]
    assert obj == world.read(kind, name)
    assert obj["metadata"]["uid"] in live.newest


@pytest.mark.parametrize(("kind", "name"), [("HorizontalPodAutoscaler", BAD), ("HTTPRoute", MODEL)])
async def test_what_was_held_and_is_gone_is_not_seen_in_the_cache(kind: str, name: str) -> None:
    world = await contained()
    world.api.freeze_cache()
    world.remove(kind, name)
    assert HELD[kind].resource.plural not in names(await gathered(world))


async def test_a_cached_copy_is_not_called_new_until_it_was_confirmed() -> None:
    world = World()
    world.api.freeze_cache()
    world.change("Service", GOOD, lambda body: body["spec"].update(selector={"app": "other"}))
    live = await gathered(world)
    old = {name_of(obj): obj for obj in live.objects[SERVICE]}
    assert old[GOOD]["metadata"]["uid"] not in live.newest
    world.remove("Service", BAD)
    asked = [(SERVICE, old[GOOD]), (SERVICE, old[BAD])]
    sure = await confirm(ApiServer(world.api, policy=ONCE), live, asked, namespace=NAMESPACE)
    assert [obj["spec"]["selector"] for obj in sure.objects[SERVICE]] == [{"app": "other"}]
    assert sure.newest == live.newest | {old[GOOD]["metadata"]["uid"]}
    assert sure.objects[DEPLOYMENT] == live.objects[DEPLOYMENT]


async def test_a_workload_is_as_new_as_its_confirmed_object() -> None:
    world = selecting(World(), labelled(app=MODEL))
    world.api.freeze_cache()
    world.change("Deployment", BAD, lambda body: body["spec"].update(replicas=7))
    live = await gathered(world)
    assert [w.replicas for w in live.workloads] == [2, 3]
    asked = [(DEPLOYMENT, obj) for obj in live.objects[DEPLOYMENT]]
    sure = await confirm(ApiServer(world.api, policy=ONCE), live, asked, namespace=NAMESPACE)
    assert [w.replicas for w in sure.workloads] == [2, 7]


async def test_the_scene_shows_a_held_selector_at_its_base() -> None:
    world = World(Shape(route=""))

    async def scene() -> Any:
        live, containment = await gathered(world), world.containment
        return scene_of(live, namespace=NAMESPACE, model=MODEL, containment=containment)

    before = await scene()
    await contained(world)
    assert world.read("Service", MODEL)["spec"]["selector"] != {"app": MODEL}
    after = await scene()
    assert after.services == before.services
    assert [s.selector for s in after.services] == [{"app": MODEL}]


async def test_the_scene_knows_which_services_are_routed() -> None:
    world = World(Shape(fallback=True))
    live = await gathered(world)
    scene = scene_of(live, namespace=NAMESPACE, model=MODEL, containment=None)
    assert scene.routed == {GOOD, BAD}
    assert [s.name for s in scene.services] == ["maintenance", GOOD, BAD]
    assert scene.workloads == live.workloads


def test_what_a_containment_holds_may_be_nothing() -> None:
    containment = Containment.read({"metadata": {"name": MODEL}, "spec": {"model": MODEL}})
    live = Live({}, ())
    assert scene_of(live, namespace=NAMESPACE, model=MODEL, containment=containment).services == ()
