"""Models as they are in the wild: each is contained in its own way, and restored to the letter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.waiting import until
from tests.e2e.scene import Scene, Stage, condition
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape

pytestmark = pytest.mark.cluster


def _no_route(scene: Scene) -> None:
    selector = scene.read("services", MODEL)["spec"]["selector"]
    assert selector == {"app": MODEL, "revision": "v1"}
    until(lambda: _behind_service(scene) == {GOOD}, what="the endpoints lead to good pods only")
    assert scene.replicas() == 0


def _behind_service(scene: Scene) -> set[str]:
    """Deployments whose pods the Service's EndpointSlices lead to."""
    slices = [s for s in scene.all("endpointslices") if s["metadata"]["labels"]["kubernetes.io/service-name"] == MODEL]
    pods = [e["targetRef"]["name"] for s in slices for e in s.get("endpoints") or ()]
    return {name for name in (GOOD, BAD) for pod in pods if pod.startswith(f"{name}-")}


def _several_bad(scene: Scene) -> None:
    """Whatever carries the label and is not the known-good one."""
    assert {name: scene.replicas(name) for name in (GOOD, BAD, f"{BAD}-canary")} == {
        GOOD: 2,
        BAD: 0,
        f"{BAD}-canary": 0,
    }
    assert scene.weights() == {GOOD: 100, BAD: 0}


def _grpc(scene: Scene) -> None:
    assert scene.weights("grpcroutes") == {GOOD: 100, BAD: 0}
    assert scene.replicas() == 0


def _no_mirror(scene: Scene) -> None:
    rule = scene.read("httproutes", MODEL)["spec"]["rules"][0]
    assert [f["type"] for f in rule["filters"]] == ["RequestHeaderModifier"]
    assert scene.replicas() == 0


def _single(scene: Scene) -> None:
    assert scene.weights() == {BAD: 0}
    assert scene.replicas() == 0
    message = condition(scene.incident(), "TrafficShifted")["message"]
    assert "nowhere" in message or "no gateway has reported" in message


SHAPES: dict[str, tuple[Shape, Callable[[Scene], None]]] = {
    "a Service alone leads to it": (Shape(route=""), _no_route),
    "its Deployments are selected by labels": (Shape(by_labels=True), _several_bad),
    "a GRPCRoute leads to it": (Shape(route="GRPCRoute"), _grpc),
    "a mirror feeds it": (Shape(mirror=True), _no_mirror),
    "it has one Deployment and nothing to go back to": (Shape(single=True, attested=False), _single),
    "it has no autoscaler": (Shape(autoscaler=False), lambda scene: None),
}


@pytest.fixture(scope="module")
def scenes(stage: Stage) -> dict[str, Scene]:
    built = stage.build_all({name: shape for name, (shape, _) in SHAPES.items()})
    _add_canary(built["its Deployments are selected by labels"])
    return built


def _add_canary(scene: Scene) -> None:
    body: Any = scene.read("deployments", BAD)
    spec = body["spec"]
    spec["replicas"] = 1
    labels = {"app": MODEL, "revision": "v2-canary"}
    spec["selector"] = {"matchLabels": labels}
    spec["template"]["metadata"] = {"labels": labels}
    metadata = {"name": f"{BAD}-canary", "labels": {"app": MODEL}}
    scene.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    name = f"{BAD}-canary"
    until(lambda: scene.read("deployments", name)["status"].get("availableReplicas") == 1, what="the canary is up")


@pytest.mark.parametrize("name", SHAPES)
def test_model_is_contained_and_restored_when(name: str, scenes: dict[str, Scene]) -> None:
    scene, (_, holds) = scenes[name], SHAPES[name]
    before = scene.specs()
    scene.report()
    scene.contained()
    holds(scene)
    scene.release()
    assert scene.specs() == before
