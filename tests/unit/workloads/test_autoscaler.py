"""Autoscalers: scale-up is forbidden whatever was there before, and all of that comes back."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.domain.fields import ABSENT, Change
from lazaretto.domain.scene import Bounds, Demand
from lazaretto.workloads.autoscaler import BEHAVIOR, AutoscalerSurface, bounds_of
from tests.engine.json_patches import PatchRefusedError
from tests.unit.domain.objects import NAMESPACE
from tests.unit.held_object import HeldObject, Object
from tests.unit.traffic.routes import BAD, SCENE, WORSE, demand

SURFACE = AutoscalerSurface()
LAW = settings(deadline=None, max_examples=150)

# What Kubernetes 1.37 stores for a behavior that leaves these out (pkg/apis/autoscaling/v2/defaults.go).
FILLED_UP = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
FILLED_DOWN = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def defaulted(body: Object) -> Object:
    """The autoscaler as the API server stores it: a behavior is completed, none stays none."""
    body = copy.deepcopy(body)
    behavior = body["spec"].get("behavior")
    if behavior is None:
        body["spec"].pop("behavior", None)
    else:
        for side, filled in (("scaleUp", FILLED_UP), ("scaleDown", FILLED_DOWN)):
            behavior[side] = {**copy.deepcopy(filled), **(behavior.get(side) or {})}
    return body


def autoscaler(behavior: Object | None = None, *, kind: str = "Deployment", name: str = "bad") -> Object:
    spec: Object = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name}, "maxReplicas": 5}
    if behavior is not None:
        spec["behavior"] = behavior
    metadata = {"name": "chat", "namespace": NAMESPACE, "uid": "u1", "generation": 1}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}


def live(body: Object) -> HeldObject:
    return HeldObject(SURFACE, body, defaulted=defaulted)


UP: Object = {"selectPolicy": "Min", "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
DOWN: Object = {"stabilizationWindowSeconds": 300}
BEHAVIORS = [
    pytest.param(None, id="no behavior"),
    pytest.param({}, id="an empty one"),
    pytest.param({"scaleUp": UP}, id="scale-up alone"),
    pytest.param({"scaleDown": DOWN}, id="scale-down alone"),
    pytest.param({"scaleUp": None, "scaleDown": DOWN}, id="a null"),
    pytest.param({"scaleUp": {"stabilizationWindowSeconds": 60, "tolerance": "100m"}}, id="a tolerance"),
    pytest.param({"scaleUp": {"policies": []}, "scaleDown": DOWN}, id="no policies"),
    pytest.param({"scaleUp": {**FILLED_UP, **UP}, "scaleDown": {**FILLED_DOWN, **DOWN}}, id="all of it"),
    pytest.param({"scaleUp": {"selectPolicy": "Disabled"}}, id="scale-up forbidden already"),
]


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_an_autoscaler_is_held_and_released_that_has(behavior: Object | None) -> None:
    found = live(autoscaler(behavior))
    before = copy.deepcopy(found.body["spec"])
    found.hold(SCENE, demand())
    held = found.body["spec"]["behavior"]
    was = before.get("behavior") or {"scaleUp": FILLED_UP, "scaleDown": FILLED_DOWN}
    assert held == {**was, "scaleUp": {**was["scaleUp"], "selectPolicy": "Disabled"}}
    writes = found.writes
    found.hold(SCENE, demand())
    assert found.writes == writes, "what the API server filled in is no difference"
    assert found.release(SCENE) == ()
    assert found.body["spec"] == before


def test_one_that_forbids_scale_up_already_is_journalled_and_not_written() -> None:
    found = live(autoscaler({"scaleUp": {"selectPolicy": "Disabled"}}))
    found.hold(SCENE, demand())
    assert found.target is not None
    assert found.writes == 0


RULES: Any = st.fixed_dictionaries(
    {},
    optional={
        "selectPolicy": st.sampled_from(["Max", "Min", "Disabled"]),
        "stabilizationWindowSeconds": st.integers(0, 3600),
        "policies": st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["Pods", "Percent"]), "value": st.integers(1, 9), "periodSeconds": st.just(15)}
            ),
            max_size=2,
        ),
        "tolerance": st.sampled_from(["0", "50m"]),
    },
)
WRITTEN: Any = st.none() | st.fixed_dictionaries({}, optional={"scaleUp": RULES, "scaleDown": RULES})


@LAW
@given(WRITTEN, st.sampled_from(["bad", "good"]))
def test_any_behavior_comes_back_and_one_that_is_not_concerned_is_not_touched(behavior: Any, name: str) -> None:
    found = live(autoscaler(behavior, name=name))
    before = copy.deepcopy(found.body["spec"])
    found.hold(SCENE, demand())
    if name == "good":
        assert found.target is None
    else:
        held = found.body["spec"]["behavior"]
        assert held["scaleUp"].pop("selectPolicy") == "Disabled"
        was = before.get("behavior") or defaulted(autoscaler({}))["spec"]["behavior"]
        assert held == {**was, "scaleUp": {k: v for k, v in was["scaleUp"].items() if k != "selectPolicy"}}
        held["scaleUp"]["selectPolicy"] = "Disabled"
    assert {**found.body["spec"], "behavior": None} == {**before, "behavior": None}
    assert found.release(SCENE) == ()
    assert found.body["spec"] == before


@LAW
@given(WRITTEN)
def test_the_completed_form_is_what_the_api_server_stores(behavior: Any) -> None:
    written, stored = autoscaler(behavior), defaulted(autoscaler(behavior))
    assert SURFACE.read(written) == SURFACE.read(stored) == {BEHAVIOR: stored["spec"].get("behavior", ABSENT)}


@pytest.mark.parametrize(
    ("kind", "name", "wanted", "concerned"),
    [
        pytest.param("Deployment", "bad", demand(), True, id="the held one"),
        pytest.param("Deployment", "worse", demand(BAD, WORSE), True, id="one of several"),
        pytest.param("Deployment", "bad", demand(shift=False), True, id="though traffic stays"),
        pytest.param("Deployment", "good", demand(), False, id="another"),
        pytest.param("StatefulSet", "bad", demand(), False, id="another kind of that name"),
    ],
)
def test_an_autoscaler_is_concerned_by_its_target(kind: str, name: str, wanted: Any, concerned: bool) -> None:
    found = live(autoscaler(kind=kind, name=name))
    found.hold(SCENE, wanted)
    assert (found.target is not None) is concerned


def test_one_of_a_workload_that_may_run_on_is_not_concerned() -> None:
    """Compromised, and yet kept running: the policy moves traffic only."""
    found, wanted = live(autoscaler()), demand()
    found.hold(SCENE, type(wanted)(wanted.compromised, (), True, wanted.known_good))
    assert found.target is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda b: b["spec"].pop("behavior"), id="removed"),
        pytest.param(lambda b: b["spec"].update(behavior={}), id="emptied"),
        pytest.param(lambda b: b["spec"]["behavior"]["scaleUp"].update(selectPolicy="Max"), id="allowed"),
        pytest.param(lambda b: b["spec"]["behavior"].pop("scaleUp"), id="dropped on the scale-up side"),
    ],
)
def test_a_hold_is_put_back_that_somebody(change: Any) -> None:
    found = live(autoscaler({"scaleDown": DOWN}))
    before = copy.deepcopy(found.body["spec"])
    found.hold(SCENE, demand())
    held = copy.deepcopy(found.body["spec"])
    found.meddle(change)
    found.hold(SCENE, demand())
    assert found.body["spec"] == held
    assert found.release(SCENE) == ()
    assert found.body["spec"] == before


def test_other_fields_that_somebody_changes_stay_changed() -> None:
    found = live(autoscaler())
    found.hold(SCENE, demand())
    found.meddle(lambda body: body["spec"].update(maxReplicas=9, minReplicas=2))
    assert found.release(SCENE) == ()
    assert found.body["spec"] == {**autoscaler()["spec"], "maxReplicas": 9, "minReplicas": 2}


def test_a_behavior_that_somebody_changed_is_kept_and_told() -> None:
    found = live(autoscaler())
    found.hold(SCENE, demand())
    found.meddle(lambda body: body["spec"].update(behavior={"scaleUp": UP}))
    theirs = copy.deepcopy(found.body["spec"])
    [kept] = found.release(SCENE)
    assert (kept.path, kept.after) == (BEHAVIOR, theirs["behavior"])
    assert found.body["spec"] == theirs


@pytest.mark.parametrize("after", [ABSENT, {"scaleUp": UP}], ids=["remove", "add"])
def test_another_autoscaler_of_that_name_is_not_written(after: Any) -> None:
    found = live(autoscaler({"scaleUp": UP}))
    request = SURFACE.write(found.body, [Change(BEHAVIOR, {}, after)])
    found.meddle(lambda body: body["metadata"].update(uid="another"))
    with pytest.raises(PatchRefusedError):
        found.send(request)


def test_what_an_autoscaler_shows() -> None:
    assert SURFACE.prove(autoscaler()).level == "L0"
    assert SURFACE.settled(autoscaler()) == ""


def test_what_serves_on_does_not_grow_but_for_what_keda_made() -> None:
    body, wanted = autoscaler(), Demand(compromised=(BAD,), tolerated=(BAD,))
    base = SURFACE.read(body)
    assert SURFACE.hold(body, base, scene=SCENE, demand=wanted)[BEHAVIOR]["scaleUp"]["selectPolicy"] == "Disabled"
    body["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": "chat"}]
    assert SURFACE.hold(body, base, scene=SCENE, demand=wanted) == {}
    assert SURFACE.hold(body, base, scene=SCENE, demand=demand(BAD)) != {}


@pytest.mark.parametrize(
    ("spec", "bounds"),
    [({}, Bounds(1, 5)), ({"minReplicas": 0}, Bounds(0, 5)), ({"minReplicas": 2, "maxReplicas": 4}, Bounds(2, 4))],
)
def test_what_it_keeps_its_target_within(spec: Object, bounds: Bounds) -> None:
    body = autoscaler()
    body["spec"] |= spec
    assert bounds_of(body) == (("Deployment", "bad"), bounds)
