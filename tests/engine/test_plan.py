"""Plans: for each object what to journal, what to write and what to give back; from values alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api import Containment
from lazaretto.api.containment import MOST_FIELDS, MOST_TARGETS, JournalTarget
from lazaretto.domain.fields import Change, read_journal
from lazaretto.domain.scene import Demand
from lazaretto.engine.gather import Live
from lazaretto.engine.plan import ObjectPlan, gone, plan
from lazaretto.kube.surface import Surface
from lazaretto.traffic.gateway import HTTP
from lazaretto.traffic.registry import SERVICE
from lazaretto.workloads.autoscaler import AutoscalerSurface
from lazaretto.workloads.deployment import REPLICAS, DeploymentSurface
from tests.unit.domain import objects
from tests.unit.traffic.routes import BAD, GOOD, SCENE, WORSE, Object, backend, demand, route, rule

DEPLOYMENTS, AUTOSCALERS = DeploymentSurface(), AutoscalerSurface()


def deployment(name: str, replicas: int = 2, *, uid: str = "") -> Object:
    metadata = {"name": name, "namespace": objects.NAMESPACE, "uid": uid or f"uid-of-{name}"}
    return {"metadata": metadata, "spec": {"replicas": replicas}}


def autoscaler(target: str) -> Object:
    metadata = {"name": target, "namespace": objects.NAMESPACE, "uid": f"scaler-{target}"}
    return {"metadata": metadata, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": target}}}


def journal(*targets: JournalTarget) -> Containment:
    found = objects.containment()
    return found.model_copy(update={"spec": found.spec.model_copy(update={"targets": list(targets)})})


def planned(
    live: Mapping[Surface, Sequence[Object]], wanted: Demand, *, containment: Containment | None = None
) -> list[ObjectPlan]:
    return plan(Live(live, SCENE.workloads), scene=SCENE, demand=wanted, containment=containment).objects


def only(
    live: Mapping[Surface, Sequence[Object]], wanted: Demand, *, containment: Containment | None = None
) -> ObjectPlan:
    [found] = planned(live, wanted, containment=containment)
    return found


def held(body: Object, wanted: Demand | None = None, *, surface: Surface = DEPLOYMENTS) -> JournalTarget:
    """The entry of an object that was found so and held."""
    return only({surface: [body]}, wanted or demand()).entry


def test_what_nobody_speaks_of_has_no_plan() -> None:
    live = {
        DEPLOYMENTS: [deployment("good"), deployment("stranger")],
        SERVICE: [],
        HTTP: [route(rule(backend("good")))],
    }
    assert planned(live, demand()) == []
    assert planned({DEPLOYMENTS: [deployment("bad")]}, Demand()) == []
    assert planned({}, demand()) == []


def test_an_object_that_is_demanded_of_is_journalled_before_it_is_written() -> None:
    found = only({DEPLOYMENTS: [deployment("bad", 3)]}, demand())
    assert found.wanted == {REPLICAS: 0}
    assert found.changes == (Change(REPLICAS, 3, 0),)
    assert (found.entry.group, found.entry.kind, found.entry.name, found.entry.uid) == (
        "apps",
        "Deployment",
        "bad",
        BAD.uid,
    )
    assert read_journal(found.entry).base == {REPLICAS: 3}
    assert read_journal(found.entry).held == {REPLICAS: 0}
    assert not found.journalled
    assert (found.restore.changes, found.restore.kept) == ((), ())
    assert (found.ref, found.uid) == ("Deployment/bad", BAD.uid)


def test_an_object_that_is_as_demanded_is_journalled_and_not_written() -> None:
    found = only({DEPLOYMENTS: [deployment("bad", 0)]}, demand())
    assert read_journal(found.entry).base == {REPLICAS: 0}
    assert found.changes == ()


def test_once_journalled_only_the_write_is_left() -> None:
    entry = held(deployment("bad", 3))
    found = only({DEPLOYMENTS: [deployment("bad", 3)]}, demand(), containment=journal(entry))
    assert found.journalled
    assert found.entry == entry
    assert found.changes == (Change(REPLICAS, 3, 0),)


def test_a_base_is_not_taken_again_of_what_somebody_made_of_it() -> None:
    found = only({DEPLOYMENTS: [deployment("bad", 7)]}, demand(), containment=journal(held(deployment("bad", 3))))
    assert read_journal(found.entry).base == {REPLICAS: 3}
    assert found.changes == (Change(REPLICAS, 7, 0),)


def test_what_is_demanded_follows_from_the_base_and_not_from_what_was_done() -> None:
    """The weight that the good backend takes over is added once, however often it is planned."""
    body = route(rule(backend("good", 90), backend("bad", 10)))
    moved = route(rule(backend("good", 100), backend("bad", 0)))
    first = only({HTTP: [body]}, demand())
    again = only({HTTP: [moved]}, demand(), containment=journal(first.entry))
    assert again.wanted == first.wanted
    assert again.entry == first.entry
    assert again.changes == ()


def test_a_second_hold_extends_the_journal_by_what_it_touches() -> None:
    body = route(rule(backend("bad", 10)), rule(backend("worse", 5), name="other"))
    entry = held(body, surface=HTTP)
    found = only({HTTP: [body]}, demand(BAD, WORSE), containment=journal(entry))
    assert not found.journalled
    assert found.entry.fields[: len(entry.fields)] == entry.fields
    assert len(found.entry.fields) == 2 * len(entry.fields)


def test_what_nothing_demands_any_more_goes_back_to_its_base() -> None:
    found = only({DEPLOYMENTS: [deployment("bad", 0)]}, Demand(), containment=journal(held(deployment("bad", 3))))
    assert found.wanted == {}
    assert found.changes == ()
    assert found.restore.changes == (Change(REPLICAS, 0, 3),)
    assert found.journalled


def test_what_somebody_else_changed_is_kept() -> None:
    found = only({DEPLOYMENTS: [deployment("bad", 1)]}, Demand(), containment=journal(held(deployment("bad", 3))))
    assert found.restore.changes == ()
    assert found.restore.kept == (Change(REPLICAS, 0, 1),)


def test_of_one_object_some_fields_are_held_on_and_others_given_back() -> None:
    body = route(rule(backend("bad", 10), name="a"), rule(backend("worse", 5), name="b"))
    entry = held(body, demand(BAD, WORSE), surface=HTTP)
    moved = route(
        rule(backend("bad", 0), backend("good", 10, group="", kind="Service"), name="a"),
        rule(backend("worse", 0), backend("good", 5, group="", kind="Service"), name="b"),
    )
    found = only({HTTP: [moved]}, demand(WORSE), containment=journal(entry))
    assert {path.split("/")[1] for path in found.wanted} == {"b"}
    assert {change.path.split("/")[1] for change in found.restore.changes} == {"a"}
    assert found.changes == ()
    assert found.entry == entry, "an entry stays until its restore was verified"


def test_one_that_was_made_anew_is_held_with_a_base_of_its_own() -> None:
    entry = held(deployment("bad", 3))
    new = deployment("bad", 5, uid="new")
    wanted = demand(objects.workload("bad", uid="new"))
    found = only({DEPLOYMENTS: [new]}, wanted, containment=journal(entry))
    assert (found.uid, found.journalled) == ("new", False)
    assert read_journal(found.entry).base == {REPLICAS: 5}


def test_plans_come_in_the_order_in_which_objects_were_read() -> None:
    service = {"metadata": {"name": "mixed", "uid": "s"}, "spec": {"selector": {"app": "chat"}}}
    live: dict[Surface, Sequence[Object]] = {
        DEPLOYMENTS: [deployment("worse"), deployment("good"), deployment("bad")],
        AUTOSCALERS: [autoscaler("bad"), autoscaler("good")],
        SERVICE: [service],
        HTTP: [route(rule(backend("bad")))],
    }
    refs = ["Deployment/worse", "Deployment/bad", "HorizontalPodAutoscaler/bad", "Service/mixed", "HTTPRoute/chat"]
    assert [p.ref for p in planned(live, demand(BAD, WORSE))] == refs
    assert [p.surface for p in planned(live, demand(BAD, WORSE))] == [
        *(DEPLOYMENTS, DEPLOYMENTS, AUTOSCALERS, SERVICE, HTTP)
    ]


def test_objects_that_do_not_exist_any_more_are_gone() -> None:
    bad, worse = held(deployment("bad")), held(deployment("worse"), demand(WORSE))
    scaler = held(autoscaler("bad"), surface=AUTOSCALERS)
    containment = journal(bad, worse, scaler)
    live = Live({DEPLOYMENTS: [deployment("worse")], AUTOSCALERS: []}, ())
    assert gone(live, containment) == [bad, scaler]


def test_one_of_the_same_name_does_not_stand_for_the_one_that_is_gone() -> None:
    entry = held(deployment("bad"))
    assert gone(Live({DEPLOYMENTS: [deployment("bad", uid="new")]}, ()), journal(entry)) == [entry]


@pytest.mark.parametrize("live", [{}, {AUTOSCALERS: []}], ids=["nothing was read", "another kind was"])
def test_what_could_not_be_read_is_not_gone(live: Mapping[Surface, Sequence[Object]]) -> None:
    assert gone(Live(live, ()), journal(held(deployment("bad")))) == []


STEPS: Any = st.lists(
    st.tuples(st.sampled_from([(), (BAD,), (WORSE,), (BAD, WORSE), (BAD, GOOD)]), st.integers(0, 5)), max_size=6
)


@given(STEPS)
@settings(deadline=None)
def test_no_field_is_both_written_and_given_back_and_no_base_changes(steps: list[tuple[Any, int]]) -> None:
    """Whatever is demanded in turn, and whatever somebody makes of the weights in between."""
    containment: Containment | None = None
    bases: dict[str, Any] = {}
    for compromised, weight in steps:
        body = route(rule(backend("good", weight), backend("bad", weight + 1), backend("worse", 1)))
        wanted = demand(*compromised) if compromised else Demand()
        for found in planned({HTTP: [body]}, wanted, containment=containment):
            written = {change.path for change in found.changes}
            assert written <= set(found.wanted)
            assert set(found.wanted).isdisjoint(c.path for c in (*found.restore.changes, *found.restore.kept))
            known = read_journal(found.entry)
            assert known.base.items() >= bases.items()
            assert set(found.wanted) <= set(known.base)
            bases = dict(known.base)
            containment = journal(found.entry)


def test_what_the_journal_has_no_room_for_is_left_alone_and_named_autoscalers_first() -> None:
    names = [f"w{number}" for number in range(MOST_TARGETS // 2 + 1)]
    wanted = demand(*(objects.workload(name) for name in names))
    live: Mapping[Surface, Sequence[Object]] = {
        AUTOSCALERS: [autoscaler(name) for name in names],
        DEPLOYMENTS: [deployment(name) for name in names],
    }
    found = plan(Live(live, wanted.compromised), scene=SCENE, demand=wanted, containment=None)
    assert len(found.objects) == MOST_TARGETS
    assert {p.surface for p in found.objects} == {AUTOSCALERS, DEPLOYMENTS}
    assert sum(p.surface is DEPLOYMENTS for p in found.objects) == len(names)
    room = f"is not held: a containment has room for {MOST_TARGETS} objects"
    assert found.refused == tuple(f"HorizontalPodAutoscaler/{name} {room}" for name in names[-2:])


def test_what_is_journalled_already_always_has_room() -> None:
    names = [f"w{number}" for number in range(MOST_TARGETS)]
    wanted = demand(*(objects.workload(name) for name in names))
    bodies = [deployment(name) for name in names]
    first = plan(Live({DEPLOYMENTS: bodies}, wanted.compromised), scene=SCENE, demand=wanted, containment=None)
    full = journal(*(p.entry for p in first.objects))
    live: Mapping[Surface, Sequence[Object]] = {AUTOSCALERS: [autoscaler("w0")], DEPLOYMENTS: bodies}
    found = plan(Live(live, wanted.compromised), scene=SCENE, demand=wanted, containment=full)
    assert [p.ref for p in found.objects] == [f"Deployment/{name}" for name in names]
    assert len(found.refused) == 1


def test_an_object_with_too_much_to_hold_is_left_alone_and_the_rest_is_held() -> None:
    crowded = route(*(rule(backend("bad", 10), name=f"r{number}") for number in range(MOST_FIELDS)))
    live: Mapping[Surface, Sequence[Object]] = {HTTP: [crowded], DEPLOYMENTS: [deployment("bad")]}
    found = plan(Live(live, SCENE.workloads), scene=SCENE, demand=demand(), containment=None)
    assert [p.ref for p in found.objects] == ["Deployment/bad"]
    assert [text.partition(":")[0] for text in found.refused] == ["HTTPRoute/chat is not held"]
