"""KEDA's own definition of a ScaledObject on a real API server: held, fought over, and given back.

KEDA itself does not run here, because it takes minutes to build; what it says once it is paused, a test says in its
place. `tests/e2e/test_keda_operator.py` runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.binaries import keda_crds
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.fighters import Kubectl
from tests.e2e.scene import Scene, staged
from tests.e2e.shapes import BAD, MODEL, Shape
from tests.unit.install.sources import NAMESPACE

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

PAUSED = {"autoscaling.keda.sh/paused": "true", "autoscaling.keda.sh/paused-replicas": "0"}
SCALED = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": BAD},
    "spec": {
        "scaleTargetRef": {"name": BAD},
        "minReplicaCount": 3,
        "triggers": [{"type": "cron", "metadata": {"timezone": "UTC", "start": "0 6 * * *", "end": "0 20 * * *"}}],
    },
}


@pytest.fixture(scope="module")
def kinds(fenced: ControlPlane) -> Iterator[None]:
    """KEDA's kinds, gone afterwards: most clusters do not have them, and other tests count requests."""
    fenced.apply_definitions(*keda_crds())
    yield
    for path in keda_crds():
        fenced.kubectl("delete", "-f", str(path), "--wait")


@pytest.fixture
def scene(fenced: ControlPlane, kinds: None, tmp_path: Path) -> Iterator[Scene]:
    """A model that KEDA scales, and the operator under its own account."""
    account = fenced.service_account_kubeconfig(NAMESPACE, "lazaretto-operator")
    with OperatorProcess(tmp_path / "operator", account), staged(fenced) as stage:
        built = stage.build(Shape(autoscaler=False))
        built.create(SCALED)
        yield built


def _scaled(scene: Scene) -> Any:
    return scene.read("scaledobjects", BAD)


def _annotations(scene: Scene) -> Any:
    return _scaled(scene)["metadata"].get("annotations", {})


def test_a_scaled_object_is_paused_at_zero_and_given_back(scene: Scene, fenced: ControlPlane, tmp_path: Path) -> None:
    spec = _scaled(scene)["spec"]
    scene.report()
    scene.contained()
    until(lambda: _annotations(scene) == PAUSED, what="it is paused")
    _told(scene, "L0")
    conditions = [{"type": "Paused", "status": "True", "reason": "ScaledObjectPaused", "message": "as KEDA says it"}]
    scene.patch("scaledobjects", BAD, {"status": {"conditions": conditions}}, subresource="status", manager="keda")
    _told(scene, "L1")

    kubectl = Kubectl(fenced.kubeconfig, scene, home=tmp_path / "people")
    with scene.watched("scaledobjects") as witness:
        for arguments in (
            ("annotate", "scaledobject", BAD, *(f"{name}-" for name in PAUSED)),
            ("annotate", "scaledobject", BAD, "--overwrite", "autoscaling.keda.sh/paused-replicas=3"),
        ):
            said = kubectl(*arguments)
            assert said.code == 0, said.text
            until(lambda: _annotations(scene) == PAUSED, what="it is undone")
        assert kubectl("replace", "-f", "-", body=SCALED).code == 0
        until(lambda: _annotations(scene) == PAUSED, what="it is undone")
        assert any(v.body["metadata"].get("annotations", {}) != PAUSED for v in witness.seen("scaledobjects", BAD))
    interferences = [e for e in scene.incident()["status"]["timeline"] if e["type"] == "Interference"]
    assert {entry["object"] for entry in interferences} == {f"ScaledObject/{BAD}"}

    scene.release()
    assert _annotations(scene) == {}
    assert _scaled(scene)["spec"] == spec
    assert scene.replicas() == 3


def _told(scene: Scene, level: str) -> None:
    def found() -> bool:
        objects = scene.read("containments", MODEL)["status"].get("objects", [])
        return any(o["object"] == f"ScaledObject/{BAD}" and o.get("level") == level for o in objects)

    until(found, what=f"the containment says {level} of it")
