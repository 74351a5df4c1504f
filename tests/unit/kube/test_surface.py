"""What is the same for every kind that a containment touches."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from lazaretto.domain.evidence import Level
from lazaretto.domain.fields import ABSENT, Change
from lazaretto.domain.scene import Demand
from lazaretto.engine.surfaces import ALL
from lazaretto.gitops.registry import OWNERS
from lazaretto.kube import surface
from lazaretto.kube.annotation import ARGO_CD_SKIP
from lazaretto.kube.flux import FluxHeld
from lazaretto.kube.surface import Object, Proof, Surface
from lazaretto.traffic.gateway import GRPC, HTTP
from lazaretto.traffic.registry import ROUTES
from lazaretto.workloads.registry import READERS
from tests.unit.traffic.routes import SCENE, demand

EVERY = pytest.mark.parametrize("found", ALL, ids=lambda s: s.resource.kind)
METADATA = {"namespace": "shop", "name": "chat", "uid": "u1", "generation": 4}
CHANGES: dict[str, Change] = {
    "Deployment": Change("spec.replicas", 2, 0),
    "HorizontalPodAutoscaler": Change("spec.behavior", ABSENT, {}),
    "ScaledObject": Change("metadata.annotations.autoscaling.keda.sh/paused", ABSENT, "true"),
    "Application": Change(ARGO_CD_SKIP, ABSENT, "true"),
    "Service": Change("spec.selector", {"app": "chat"}, {"app": "good"}),
}
NOTHING = Change("rules/main/backends/Service:bad:80.weight", 1, 0)


def test_every_kind_is_registered_once() -> None:
    kinds = [s.resource.kind for s in ALL]
    assert kinds == [
        "Deployment",
        "HorizontalPodAutoscaler",
        "ScaledObject",
        "Service",
        "HTTPRoute",
        "GRPCRoute",
        "Application",
    ]
    assert set(READERS) == {"Deployment"}
    assert [s for s in ALL if not isinstance(s, FluxHeld)] == list(OWNERS)
    assert [s.inner for s, _ in ROUTES if isinstance(s, FluxHeld)] == [HTTP, GRPC]


@EVERY
def test_a_write_goes_to_the_object_that_was_read_and_to_no_other_of_its_name(found: Surface) -> None:
    request = found.write({"metadata": METADATA}, [CHANGES.get(found.resource.kind, NOTHING)])
    body: Any = request.body
    path = found.resource.path(namespace="shop", name="chat")
    if found.resource.kind == "Deployment":
        assert request.path == f"{path}/scale"
        assert body["metadata"] == {"uid": "u1"}
    else:
        assert request.path == path
        assert body[0] == {"op": "test", "path": "/metadata/uid", "value": "u1"}
    assert request.method == "PATCH"
    assert request.query == {"fieldManager": found.manager}


@EVERY
@pytest.mark.parametrize("obj", [{}, {"metadata": {}}, {"spec": None}, {"spec": {}, "status": None}])
def test_an_object_with_nothing_in_it_is_read_and_not_held(found: Surface, obj: Object) -> None:
    base = found.read(obj)
    assert found.hold(obj, base, scene=SCENE, demand=demand()) == {}
    assert found.hold(obj, base, scene=SCENE, demand=Demand()) == {}
    assert isinstance(found.prove(obj), Proof)
    assert found.prove(obj).level in get_args(Level)
    assert isinstance(found.settled(obj), str)


def test_each_concern_writes_under_its_own_name() -> None:
    managers = {s.resource.kind: s.manager for s in ALL}
    assert managers == {
        "Deployment": "lazaretto-scale",
        "HorizontalPodAutoscaler": "lazaretto-autoscaler",
        "ScaledObject": "lazaretto-autoscaler",
        "Service": "lazaretto-traffic",
        "HTTPRoute": "lazaretto-traffic",
        "GRPCRoute": "lazaretto-traffic",
        "Application": "lazaretto-gitops",
    }


def test_release_brings_workloads_back_first_and_what_syncs_them_last() -> None:
    stages = sorted(ALL, key=lambda s: s.release_stage)
    kinds = [s.resource.kind for s in stages]
    traffic, scalers = ["Service", "HTTPRoute", "GRPCRoute"], ["HorizontalPodAutoscaler", "ScaledObject"]
    assert kinds == ["Deployment", *traffic, *scalers, "Application"]
    assert len({s.release_stage for s in ALL}) == 4


def test_what_an_object_says_of_itself() -> None:
    obj = {"metadata": METADATA}
    assert surface.metadata(obj) == METADATA
    assert (surface.name_of(obj), surface.uid_of(obj), surface.namespace_of(obj)) == ("chat", "u1", "shop")
    for empty in ({}, {"metadata": None}):
        assert surface.metadata(empty) == {}
        assert (surface.name_of(empty), surface.uid_of(empty), surface.namespace_of(empty)) == ("", "", "")


@pytest.mark.parametrize(
    ("generation", "status", "seen"),
    [
        *((4, {"observedGeneration": 4}, True), (4, {"observedGeneration": 5}, True)),
        *((4, {"observedGeneration": 3}, False), (4, {}, False), (4, None, False), (None, None, True)),
    ],
)
def test_the_controller_has_seen_the_newest_spec(generation: int | None, status: Object | None, seen: bool) -> None:
    assert surface.observed({"metadata": {"generation": generation}, "status": status}) is seen
