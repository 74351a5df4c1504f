"""The running KEDA: it lets a held workload be, gives up its HPA, and takes both up again with the release.

`tests/cluster/test_keda.py` has people who fight over a ScaledObject, without KEDA: this one takes minutes to build.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.binaries import keda_crds
from tests.cluster.control_plane import ControlPlane
from tests.cluster.keda import KedaOperator
from tests.cluster.test_keda import PAUSED
from tests.cluster.waiting import until
from tests.e2e.scene import Scene, Stage, condition
from tests.e2e.shapes import BAD, Shape

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]

HPA = f"keda-hpa-{BAD}"
MINE = {"team": "serving"}
ALL_DAY = {"timezone": "UTC", "start": "0 0 * * *", "end": "59 23 * * *", "desiredReplicas": "3"}
SCALED = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": BAD, "annotations": MINE},
    "spec": {
        "scaleTargetRef": {"name": BAD},
        "minReplicaCount": 3,
        "maxReplicaCount": 5,
        "pollingInterval": 1,
        "triggers": [{"type": "cron", "metadata": ALL_DAY}],
    },
}


@pytest.fixture
def kinds(control_plane: ControlPlane) -> Iterator[None]:
    """KEDA's kinds, gone afterwards: other tests count requests of clusters without them."""
    control_plane.apply_definitions(*keda_crds(whole=True))
    yield
    for path in keda_crds(whole=True):
        control_plane.kubectl("delete", "-f", str(path), "--wait")


@pytest.fixture
def scene(stage: Stage, kinds: None, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Scene]:
    """A model that the running KEDA scales."""
    built = stage.build(Shape(autoscaler=False))
    with KedaOperator(tmp_path / "keda", control_plane.kubeconfig, namespace=built.namespace):
        built.create(SCALED)
        until(lambda: hpa(built), what="KEDA makes an HPA")
        until(lambda: condition(scaled(built), "Ready").get("status") == "True", what="KEDA is ready")
        yield built
        # Gone before KEDA is: it has a finalizer.
        built.admin.delete("scaledobjects", namespace=built.namespace, name=BAD)
        until(lambda: scaled(built) is None, what="KEDA lets go of it")


def scaled(scene: Scene) -> Any:
    return scene.read("scaledobjects", BAD)


def hpa(scene: Scene) -> Any:
    return scene.read("horizontalpodautoscalers", HPA)


def test_keda_is_paused_at_zero_and_takes_up_again_what_it_was(scene: Scene) -> None:
    before, scaling = scaled(scene)["spec"], hpa(scene)["spec"]
    scene.report()
    scene.contained()
    until(lambda: condition(scaled(scene), "Paused").get("status") == "True", what="KEDA says that it is paused")
    until(lambda: hpa(scene) is None, what="KEDA takes its HPA away")
    assert scaled(scene)["metadata"]["annotations"] == {**MINE, **PAUSED}
    assert scene.replicas() == 0
    told = scene.incident()["status"]["timeline"]
    assert [e for e in told if e["type"] == "Interference" and e["object"].startswith("Deployment")] == []

    scene.release()
    until(lambda: hpa(scene), what="KEDA makes its HPA anew")
    assert scaled(scene)["metadata"]["annotations"] == MINE
    assert (scaled(scene)["spec"], hpa(scene)["spec"]) == (before, scaling)
    until(lambda: scene.replicas() == 3, what="as many as before")
    until(lambda: condition(scaled(scene), "Paused").get("status") != "True", what="KEDA goes on")
