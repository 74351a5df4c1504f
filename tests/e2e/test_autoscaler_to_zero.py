"""The real autoscaler with a minimum of zero (HPAScaleToZero, on by default in 1.37) does not wake a held target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import until
from tests.e2e.metrics_api import MetricsApi, on_metric
from tests.e2e.scene import Scene, Stage, condition
from tests.e2e.shapes import BAD, MODEL, Shape

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

AUTOSCALER = "horizontalpodautoscalers"


@pytest.fixture(scope="module")
def metrics(control_plane: ControlPlane) -> Iterator[MetricsApi]:
    with MetricsApi(control_plane) as api:
        yield api


@pytest.fixture(scope="module")
def scenes(stage: Stage, metrics: MetricsApi) -> dict[str, Scene]:
    """Models whose autoscaler follows a metric, and was seen to: it went to zero, woke, and went to zero again."""
    found = stage.build_all({"left alone": Shape(fenced=False), "fought over": Shape(fenced=False)})
    for scene in found.values():
        scene.patch(AUTOSCALER, BAD, {"spec": on_metric(0)})
    for wanted in (0, 2, 0):
        for scene in found.values():
            metrics.values[scene.namespace] = wanted
        for scene in found.values():
            until(lambda: scene.replicas() == wanted, what=f"the autoscaler goes to {wanted}")  # noqa: B023
    for scene in found.values():
        until(lambda: _said(scene, "ScaledToZero") == "True", what="it says that it was itself")  # noqa: B023
        scene.report(target={"model": MODEL, "revision": BAD})
    for scene in found.values():
        scene.contained()
    return found


def _said(scene: Scene, type_: str) -> Any:
    return condition(scene.read(AUTOSCALER, BAD), type_).get("status")


def _is_stopped(scene: Scene) -> bool:
    """Whether the autoscaler has looked at its metric and says that it would scale up if it were allowed to."""
    return condition(scene.read(AUTOSCALER, BAD), "ScalingLimited").get("reason") == "ScaleUpLimit"


def test_a_metric_does_not_wake_what_is_held(scenes: dict[str, Scene], metrics: MetricsApi) -> None:
    scene = scenes["left alone"]
    with scene.watched("deployments") as witness:
        assert not _is_stopped(scene)
        metrics.values[scene.namespace] = 5
        until(lambda: _is_stopped(scene), what="the autoscaler wants more, and may not")
        assert _said(scene, "ScaledToZero") == "True", "which would let it wake its target"
        scene.contained()
        assert {v.body["spec"]["replicas"] for v in witness.seen("deployments", BAD)} == {0}
    scene.release()
    until(lambda: scene.replicas() == 5, what="released, it wakes its target as it would have done before")
    assert scene.read(AUTOSCALER, BAD)["spec"]["behavior"]["scaleUp"]["selectPolicy"] == "Max"


def test_a_minimum_that_is_raised_wakes_it_once_and_is_undone(scenes: dict[str, Scene], metrics: MetricsApi) -> None:
    """A raised minimum overrides the disabled scale-up, but only of an autoscaler that went to zero by itself."""
    scene = scenes["fought over"]
    with scene.watched("deployments") as witness:
        scene.patch(AUTOSCALER, BAD, {"spec": {"minReplicas": 3}})
        witness.first("deployments", lambda body: body["spec"]["replicas"] == 3, name=BAD)
        until(lambda: scene.replicas() == 0, what="it is undone")
        until(lambda: _said(scene, "ScaledToZero") == "False", what="the autoscaler knows that the zero is not its own")
        until(
            lambda: condition(scene.read(AUTOSCALER, BAD), "ScalingActive").get("reason") == "ScalingDisabled",
            what="it leaves a zero alone that is not its own",
        )
        scene.contained()
        raised = [v.body["spec"]["replicas"] for v in witness.seen("deployments", BAD)]
        assert raised[-1] == 0
    scene.release()
    assert scene.read(AUTOSCALER, BAD)["spec"]["minReplicas"] == 3, "theirs, as it is not held"
