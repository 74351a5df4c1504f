"""Deployments: what is sent to hold one, what its status proves, and when it is in service again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.domain.fields import Change, changes_to, extend_journal, read_journal, restoration
from lazaretto.domain.identity import frame_of, identity_of
from lazaretto.domain.scene import Bounds, Demand, Raise, Workload
from lazaretto.kube.request import MERGE_PATCH
from lazaretto.workloads.deployment import REPLICAS, DeploymentSurface, workload_of
from tests.unit.domain.objects import NAMESPACE
from tests.unit.held_object import Object
from tests.unit.traffic.routes import BAD, GOOD, SCENE, WORSE, demand

SURFACE = DeploymentSurface()
TEMPLATE: Object = {
    "metadata": {"labels": {"app": "chat", "track": "bad"}},
    "spec": {
        "containers": [{"name": "serve", "image": "registry.example/bad:1"}, {"name": "proxy", "image": "envoy:2"}]
    },
}


def deployment(
    *, name: str = "bad", uid: str = BAD.uid, generation: int = 3, status: Object | None = None, **spec: Any
) -> Object:
    selector = {"matchLabels": {"track": "bad"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": uid, "generation": generation},
        "spec": {"selector": selector, "template": TEMPLATE, **spec},
        "status": status or {},
    }


def test_a_hold_is_a_merge_patch_of_scale_and_names_the_uid() -> None:
    """Only `/scale`: the right to patch a Deployment is the right to run any pod."""
    request = SURFACE.write(deployment(replicas=3), [Change(REPLICAS, 3, 0)])
    assert request.method == "PATCH"
    assert request.path == f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/bad/scale"
    assert request.query == {"fieldManager": "lazaretto-scale"}
    assert request.content_type == MERGE_PATCH
    assert request.body == {"metadata": {"uid": BAD.uid}, "spec": {"replicas": 0}}


def test_nothing_but_the_replicas_can_be_written() -> None:
    with pytest.raises(ValueError, match="too many values"):
        SURFACE.write(deployment(), [Change(REPLICAS, 3, 0), Change("spec.template", {}, {})])


@pytest.mark.parametrize(
    ("uid", "wanted", "held"),
    [
        pytest.param(BAD.uid, demand(), True, id="compromised"),
        pytest.param(WORSE.uid, demand(BAD, WORSE), True, id="one of several"),
        pytest.param(BAD.uid, demand(shift=False), True, id="though traffic stays"),
        pytest.param(GOOD.uid, demand(), False, id="the known-good one"),
        pytest.param("another", demand(), False, id="another of the same name"),
        pytest.param(BAD.uid, Demand((BAD,), (), True, GOOD), False, id="compromised, and yet kept running"),
        pytest.param(BAD.uid, Demand(), False, id="nothing is demanded"),
    ],
)
def test_a_deployment_is_held_at_zero_if_it_is(uid: str, wanted: Demand, held: bool) -> None:
    body = deployment(uid=uid, replicas=3)
    assert SURFACE.hold(body, SURFACE.read(body), scene=SCENE, demand=wanted) == ({REPLICAS: 0} if held else {})


@given(st.integers(0, 9), st.none() | st.integers(0, 9))
def test_replicas_come_back_unless_somebody_changed_them(before: int, theirs: int | None) -> None:
    live = SURFACE.read(deployment(replicas=before))
    wanted = SURFACE.hold(deployment(), live, scene=SCENE, demand=demand())
    entry = extend_journal(None, wanted, live=live, group="apps", kind="Deployment", name="bad", uid=BAD.uid)
    assert bool(changes_to(wanted, live=live)) == (before > 0)
    now = SURFACE.read(deployment(replicas=theirs or 0))
    back = restoration(read_journal(entry), live=now, still_wanted=())
    after = back.changes[0].after if back.changes else now[REPLICAS]
    assert after == (theirs or before)
    if back.changes:
        assert SURFACE.write(deployment(), back.changes).body == {
            "metadata": {"uid": BAD.uid},
            "spec": {"replicas": before},
        }


@pytest.mark.parametrize(
    ("spec", "replicas"), [({}, 1), ({"replicas": 0}, 0), ({"replicas": 7}, 7)], ids=["none", "zero", "seven"]
)
def test_replicas_are_one_where_nobody_says(spec: Object, replicas: int) -> None:
    assert SURFACE.read(deployment(**spec)) == {REPLICAS: replicas}
    assert workload_of(deployment(**spec)).replicas == replicas
    assert SURFACE.read({"metadata": {}}) == {REPLICAS: 1}


@pytest.mark.parametrize(
    ("status", "level"),
    [
        pytest.param({"observedGeneration": 3}, "L1", id="no replica is left"),
        pytest.param({"observedGeneration": 3, "replicas": 0}, "L1", id="zero, in words"),
        pytest.param({"observedGeneration": 4}, "L1", id="it is ahead of what was read"),
        pytest.param({"observedGeneration": 3, "replicas": 1}, "L0", id="a replica is left"),
        pytest.param({"observedGeneration": 2}, "L0", id="the controller has not seen it"),
        pytest.param({}, "L0", id="no status yet"),
    ],
)
def test_the_controller_proves_a_hold_when(status: Object, level: str) -> None:
    proof = SURFACE.prove(deployment(replicas=0, status=status))
    assert proof.level == level
    assert f"{status.get('replicas', 0)} replicas" in proof.message


@pytest.mark.parametrize(
    ("replicas", "status", "settled"),
    [
        pytest.param(2, {"observedGeneration": 3, "availableReplicas": 2}, True, id="all are available"),
        pytest.param(2, {"observedGeneration": 3, "availableReplicas": 3}, True, id="more are available"),
        pytest.param(0, {"observedGeneration": 3}, True, id="none was wanted"),
        pytest.param(2, {"observedGeneration": 3, "availableReplicas": 1}, False, id="one is not"),
        pytest.param(2, {"observedGeneration": 2, "availableReplicas": 2}, False, id="the controller has not seen it"),
        pytest.param(2, {}, False, id="no status yet"),
    ],
)
def test_a_restored_deployment_is_in_service_when(replicas: int, status: Object, settled: bool) -> None:
    told = SURFACE.settled(deployment(replicas=replicas, status=status))
    available = status.get("availableReplicas", 0)
    assert told == ("" if settled else f"Deployment/bad has {available} of {replicas} replicas available")


def test_facts_of_a_deployment() -> None:
    since = "2026-01-02T12:00:00Z"
    conditions = [
        {"type": "Progressing", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        {"type": "Available", "status": "True", "lastTransitionTime": since},
    ]
    body = deployment(replicas=3, status={"readyReplicas": 2, "conditions": conditions})
    body["metadata"]["labels"] = {"team": "chat"}
    assert workload_of(body) == Workload(
        kind="Deployment",
        name="bad",
        uid=BAD.uid,
        pod_labels={"app": "chat", "track": "bad"},
        selector={"track": "bad"},
        replicas=3,
        ready=2,
        available=True,
        available_since=datetime(2026, 1, 2, 12, tzinfo=UTC),
        identity=identity_of(TEMPLATE),
        images=("registry.example/bad:1", "envoy:2"),
        unpinned=("registry.example/bad:1", "envoy:2"),
        tagged=(("serve", "registry.example/bad:1"), ("proxy", "envoy:2")),
        frame=frame_of(TEMPLATE),
    )


@pytest.mark.parametrize(
    ("status", "rolled_out"),
    [
        ({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2}, True),
        ({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 2}, False),
        ({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2}, False),
        ({"observedGeneration": 3}, False),
        ({}, False),
    ],
    ids=["all are new", "an old one is left", "the controller has not seen it", "none", "no status yet"],
)
def test_whether_all_pods_are_of_the_present_template(status: Object, rolled_out: bool) -> None:
    assert workload_of(deployment(status=status)).rolled_out is rolled_out


def test_what_no_pod_can_tell_is_not_resolvable() -> None:
    body = deployment()
    assert workload_of(body).resolvable
    body["spec"]["template"] = {"spec": {"containers": [{"name": "a", "image": "a:1", "args": ["hf://a/b@main"]}]}}
    assert not workload_of(body).resolvable


@pytest.mark.parametrize(
    "conditions",
    [
        pytest.param([], id="no condition"),
        pytest.param([{"type": "Available", "status": "False"}], id="false"),
        pytest.param([{"type": "Progressing", "status": "True"}], id="another one"),
    ],
)
def test_a_deployment_is_not_available_by(conditions: list[Object]) -> None:
    found = workload_of(deployment(status={"conditions": conditions}))
    assert (found.available, found.available_since, found.ready) == (False, None, 0)


def test_a_deployment_of_which_nothing_is_known_yet() -> None:
    found = workload_of({"metadata": {"name": "new", "uid": "u9"}})
    assert (found.name, found.uid, found.pod_labels, found.selector) == ("new", "u9", {}, {})


@pytest.mark.parametrize(
    ("live", "base", "held"),
    [
        pytest.param(0, 0, {REPLICAS: 3}, id="it is at zero"),
        pytest.param(3, 0, {REPLICAS: 3}, id="it was raised"),
        pytest.param(1, 0, {REPLICAS: 3}, id="somebody lowered it"),
        pytest.param(5, 0, {}, id="somebody raised it further"),
        pytest.param(4, 4, {}, id="it has enough of its own"),
        pytest.param(0, 4, {REPLICAS: 3}, id="somebody lowered one that had enough"),
    ],
)
def test_a_stand_in_has_at_least_so_many_replicas_when(live: int, base: int, held: Object) -> None:
    wanted = Demand(raised=(Raise(BAD, 3),))
    assert SURFACE.hold(deployment(replicas=live), {REPLICAS: base}, scene=SCENE, demand=wanted) == held


@pytest.mark.parametrize(
    ("live", "base", "held"),
    [
        pytest.param(0, 0, {REPLICAS: 3}, id="it sleeps at zero"),
        pytest.param(7, 0, {REPLICAS: 7}, id="it was woken, and the autoscaler wants more"),
        pytest.param(2, 0, {REPLICAS: 2}, id="it was woken, and the autoscaler wants less"),
        pytest.param(2, 2, {}, id="it was awake"),
    ],
)
def test_a_stand_in_with_an_autoscaler_is_woken_and_left_to_it_when(live: int, base: int, held: Object) -> None:
    scaled = replace(BAD, scaled=Bounds(1, 9))
    wanted = Demand(raised=(Raise(scaled, 3),))
    assert SURFACE.hold(deployment(replicas=live), {REPLICAS: base}, scene=SCENE, demand=wanted) == held


def test_what_must_not_run_is_never_raised() -> None:
    wanted = Demand(scale_to_zero=(BAD,), raised=(Raise(BAD, 3),))
    assert SURFACE.hold(deployment(replicas=3), {REPLICAS: 3}, scene=SCENE, demand=wanted) == {REPLICAS: 0}
