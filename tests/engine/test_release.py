"""The order of a release: workloads, then traffic, then autoscalers, each once the one before is in service."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lazaretto.api import Containment
from lazaretto.api.containment import Hold
from lazaretto.domain.fields import Change
from lazaretto.engine.gather import Live
from lazaretto.engine.plan import ObjectPlan
from lazaretto.engine.release import Comeback, comeback, marked, pruned
from tests.engine.memory_api import Object
from tests.engine.plans import AUTOSCALER, DEPLOYMENT, ROUTE, SERVICE, change, plan_of
from tests.unit.domain.objects import containment, hold, incident, workload

UP = [change("spec.replicas", 0, 3)]
BACK = [change("weight", 0, 90)]
FREE = [change("spec.behavior", {"scaleUp": {}}, {})]
NOTHING: Sequence[Change] = ()
RELEASING = hold(incident("chat-1"), [workload("v2")], releasing=True)


def body(kind: str, name: str, **more: object) -> Object:
    return {"kind": kind, "metadata": {"name": name, "uid": f"uid-of-{name}", "generation": 1}, **more}


def deployment(
    name: str = "v2", *, restore: Sequence[Change] = NOTHING, available: int = 3, held: bool = False
) -> ObjectPlan:
    status = {"availableReplicas": available, "observedGeneration": 1}
    obj = body("Deployment", name, spec={"replicas": 3}, status=status)
    wanted = {"spec.replicas": 0} if held else {}
    return plan_of(DEPLOYMENT, obj, wanted=wanted, restore=restore, fields=["spec.replicas"])


def route(*, restore: Sequence[Change] = NOTHING, held: bool = False) -> ObjectPlan:
    fields = {"other": 0} if held else {}
    return plan_of(ROUTE, body("HTTPRoute", "chat"), wanted=fields, restore=restore, fields=["weight"])


def scaler(*, restore: Sequence[Change] = NOTHING) -> ObjectPlan:
    return plan_of(AUTOSCALER, body("HorizontalPodAutoscaler", "hpa"), restore=restore, fields=["spec.behavior"])


def step(*plans: ObjectPlan, denied: Sequence[str] = (), holds: Sequence[Hold] = (RELEASING,)) -> Comeback:
    seen = tuple(workload(p.obj["metadata"]["name"]) for p in plans if p.surface is DEPLOYMENT)
    return comeback(plans, live=Live({}, seen, denied=tuple(denied)), containment=journal(*holds))


def journal(*holds: Hold) -> Containment:
    return containment(*holds)


def written(found: Comeback) -> list[str]:
    return [plan.ref for plan, _ in found.writes]


@pytest.mark.parametrize(
    ("plans", "writes", "waiting"),
    [
        (
            [deployment(restore=UP), route(restore=BACK), scaler(restore=FREE)],
            ["Deployment/v2"],
            "restoring Deployment/v2",
        ),
        (
            [deployment(available=1), route(restore=BACK), scaler(restore=FREE)],
            [],
            "Deployment/v2 has 1 of 3 replicas available",
        ),
        ([deployment(), route(restore=BACK), scaler(restore=FREE)], ["HTTPRoute/chat"], "restoring HTTPRoute/chat"),
        (
            [deployment(), route(), scaler(restore=FREE)],
            ["HorizontalPodAutoscaler/hpa"],
            "restoring HorizontalPodAutoscaler/hpa",
        ),
        ([deployment(), route(), scaler()], [], ""),
        ([], [], ""),
    ],
    ids=["workloads first", "not yet available", "then traffic", "autoscalers last", "done", "nothing was touched"],
)
def test_step(plans: list[ObjectPlan], writes: list[str], waiting: str) -> None:
    found = step(*reversed(plans))
    assert (written(found), found.waiting, found.complete) == (writes, waiting, not waiting)


def test_each_write_is_the_objects_restoration() -> None:
    planned = deployment(restore=UP)
    assert step(planned).writes == ((planned, tuple(UP)),)


def test_all_of_a_stage_are_restored_at_once_and_one_that_is_not_up_holds_the_next_stage() -> None:
    found = step(deployment("v2", restore=UP), deployment("v3", available=0), deployment("v4"), route(restore=BACK))
    assert written(found) == ["Deployment/v2"]
    assert found.waiting == "Deployment/v3 has 0 of 3 replicas available; restoring Deployment/v2"


def test_what_another_incident_holds_is_not_waited_for() -> None:
    found = step(deployment("v1", held=True, available=0), deployment("v2"), route(restore=BACK))
    assert written(found) == ["HTTPRoute/chat"]


def test_of_a_route_that_is_held_in_part_the_rest_goes_back() -> None:
    found = step(deployment(), route(restore=BACK, held=True))
    assert written(found) == ["HTTPRoute/chat"]
    assert step(deployment(), route(held=True)).complete


def test_finished_is_what_nothing_holds_and_what_is_in_service() -> None:
    found = step(
        deployment("v1", held=True),
        deployment("v2"),
        deployment("v3", available=2),
        route(restore=BACK),
        scaler(),
        plan_of(SERVICE, body("Service", "front"), fields=["spec.selector"]),
    )
    assert set(found.finished) == {"uid-of-v2", "uid-of-hpa", "uid-of-front"}


def test_somebodys_own_value_is_no_obstacle() -> None:
    kept = plan_of(ROUTE, body("HTTPRoute", "chat"), kept=[change("weight", 0, 50)], fields=["weight"])
    found = step(deployment(), kept)
    assert (written(found), found.complete, set(found.finished)) == ([], True, {"uid-of-v2", "uid-of-chat"})


def test_blind_nothing_is_put_back() -> None:
    found = step(
        deployment(restore=UP), route(restore=BACK), denied=["may not read services: x", "may not read pods: y"]
    )
    assert found == Comeback((), "may not read services: x; may not read pods: y", (), False)


@pytest.mark.parametrize(
    ("other", "blind"),
    [
        (workload("gone"), True),
        (workload("v2", uid="another"), False),
        (workload("renamed", uid="uid-of-v2"), False),
    ],
    ids=["out of sight", "made anew", "the same"],
)
def test_a_workload_that_another_incident_holds_must_be_in_sight(other: object, blind: bool) -> None:
    standing = hold(incident("chat-2"), [other])  # type: ignore[list-item]
    found = step(deployment(), scaler(restore=FREE), holds=[RELEASING, standing])
    assert bool(written(found)) is not blind
    if blind:
        assert found.waiting == "Deployment/gone is held by another incident and does not exist"
        assert not found.complete


def test_a_released_workload_that_is_gone_is_not_missed() -> None:
    found = step(scaler(restore=FREE), holds=[hold(incident("chat-1"), [workload("gone")], releasing=True)])
    assert written(found) == ["HorizontalPodAutoscaler/hpa"]


def test_fields_that_nothing_holds_any_more_are_let_go_one_by_one_of_an_object_that_stays_held() -> None:
    staying, free = deployment("v3", held=True), route(held=True)
    target = free.entry
    assert [f.path for f in target.fields] == ["weight", "other"]
    spec = containment(RELEASING).spec.model_copy(update={"targets": [staying.entry, target]})
    spec = marked([staying, free], spec, staying=[], restored=[staying.uid, "gone"])
    assert ([t.restored for t in spec.targets], spec.restored) == ([[], ["weight"]], [staying.uid])
    again = pruned(spec)
    assert [([f.path for f in t.fields], t.restored) for t in again.targets] == [(["other"], [])]
    assert again.restored == []
