"""ScaledObjects: paused at zero whatever was there before, annotation by annotation, and all of that comes back."""

from __future__ import annotations

import copy

import pytest

from lazaretto.domain.fields import ABSENT, Change
from lazaretto.workloads.keda import PAUSED, PAUSED_REPLICAS, ScaledObjectSurface
from tests.engine.json_patches import PatchRefusedError
from tests.unit.domain.objects import NAMESPACE
from tests.unit.held_object import HeldObject, Object
from tests.unit.traffic.routes import SCENE, demand

SURFACE = ScaledObjectSurface()
KEYS = ("autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas")
HELD = dict(zip(KEYS, ("true", "0"), strict=True))


def stored(body: Object) -> Object:
    """As the API server stores it: annotations of which none are left are none."""
    body = copy.deepcopy(body)
    if not body["metadata"].get("annotations"):
        body["metadata"].pop("annotations", None)
    return body


def scaled(annotations: Object | None = None, *, kind: str | None = "Deployment", name: str = "bad") -> HeldObject:
    metadata = {"name": "chat", "namespace": NAMESPACE, "uid": "u1", "generation": 1, "resourceVersion": "7"}
    if annotations is not None:
        metadata["annotations"] = annotations
    target = {"name": name, **({"kind": kind} if kind else {})}
    spec = {"scaleTargetRef": target, "triggers": []}
    body = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": metadata, "spec": spec}
    return HeldObject(SURFACE, body, defaulted=stored)


BEFORE = [
    pytest.param(None, id="none"),
    pytest.param({}, id="empty"),
    pytest.param({"team": "x"}, id="others"),
    pytest.param({KEYS[0]: "false", "team": "x"}, id="said not to be paused"),
    pytest.param({KEYS[1]: "3"}, id="paused at three"),
    pytest.param({**HELD, "team": "x"}, id="paused at zero already"),
]


@pytest.mark.parametrize("annotations", BEFORE)
def test_it_is_paused_at_zero_and_given_back(annotations: Object | None) -> None:
    found = scaled(annotations)
    before = copy.deepcopy(found.body)
    found.hold(SCENE, demand())
    assert found.body["metadata"]["annotations"] == {**(annotations or {}), **HELD}
    writes = found.writes
    found.hold(SCENE, demand())
    assert found.writes == writes <= 1
    assert found.release(SCENE) == ()
    assert found.body == before


def test_annotations_of_others_stay_theirs() -> None:
    found = scaled()
    found.hold(SCENE, demand())
    found.meddle(lambda body: body["metadata"]["annotations"].update(ticket="4711"))
    found.release(SCENE)
    assert found.body["metadata"]["annotations"] == {"ticket": "4711"}


def test_whoever_takes_one_away_is_undone_and_whoever_sets_one_later_is_kept() -> None:
    found = scaled()
    found.hold(SCENE, demand())
    found.meddle(lambda body: body["metadata"]["annotations"].pop(KEYS[1]))
    found.hold(SCENE, demand())
    assert found.body["metadata"]["annotations"] == HELD
    found.meddle(lambda body: body["metadata"]["annotations"].update({KEYS[1]: "2"}))
    assert found.release(SCENE) == (Change(PAUSED_REPLICAS, "0", "2"),)
    assert found.body["metadata"]["annotations"] == {KEYS[1]: "2"}


def test_annotations_that_somebody_adds_at_the_same_time_are_not_wiped_out() -> None:
    found = scaled()
    request = SURFACE.write(found.body, [Change(PAUSED, ABSENT, "true")])
    found.meddle(lambda body: body["metadata"].update(annotations={"team": "x"}, resourceVersion="8"))
    with pytest.raises(PatchRefusedError):
        found.send(request)
    assert found.body["metadata"]["annotations"] == {"team": "x"}


@pytest.mark.parametrize(
    ("kind", "name", "held"),
    [(None, "bad", True), ("Deployment", "good", False), ("StatefulSet", "bad", False)],
    ids=["a Deployment unless it says otherwise", "another", "another kind"],
)
def test_only_what_scales_a_workload_that_must_not_run_is_held(kind: str | None, name: str, held: bool) -> None:
    found = scaled(kind=kind, name=name)
    found.hold(SCENE, demand())
    assert (found.target is not None) is held


@pytest.mark.parametrize(("status", "level"), [("True", "L1"), ("False", "L0"), ("Unknown", "L0")])
def test_it_is_proved_by_what_keda_says(status: str, level: str) -> None:
    conditions = [{"type": "Ready", "status": "True"}, {"type": "Paused", "status": status}]
    assert SURFACE.prove({**scaled().body, "status": {"conditions": conditions}}).level == level
    assert SURFACE.prove(scaled().body).level == "L0"
