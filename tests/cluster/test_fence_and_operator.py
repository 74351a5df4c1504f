"""The operator behind its fence, on a real API server: proved, noticed when it is gone, and holding without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.fence_stories import REFUSED, Place
from tests.cluster.installation import refused
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.scene import Scene, condition, staged
from tests.e2e.shapes import MODEL
from tests.unit.install.sources import FENCE, NAMESPACE

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


@pytest.fixture
def operator(fenced: ControlPlane, tmp_path: Path) -> Iterator[OperatorProcess]:
    """The operator under its own account."""
    account = fenced.service_account_kubeconfig(NAMESPACE, "lazaretto-operator")
    with OperatorProcess(tmp_path / "operator", account) as process:
        yield process


@pytest.fixture
def scene(fenced: ControlPlane, operator: OperatorProcess) -> Iterator[Scene]:
    """A model that can be contained."""
    with staged(fenced) as stage:
        yield stage.build()


def await_fenced(scene: Scene, status: str) -> str:
    """Waits until the incident says so of its fence; returns the message."""

    def found() -> bool:
        return condition(scene.incident(), "Fenced").get("status") == status

    until(found, what=f"Fenced is {status}")
    return str(condition(scene.incident(), "Fenced")["message"])


def proof(scene: Scene) -> str:
    return str(scene.read("containments", MODEL)["status"]["proof"])


def test_without_the_operator_a_contained_model_stays_so(
    fenced: ControlPlane, operator: OperatorProcess, scene: Scene
) -> None:
    originals = scene.specs()
    scene.report()
    scene.contained()
    await_fenced(scene, "True")
    held = scene.specs()
    operator.stop()
    place = Place(fenced, scene.namespace)
    for policy, attempt in [found for what, found in REFUSED.items() if what != "delete and create anew"]:
        with refused(policy, f"is contained by incident {MODEL}-1"):
            attempt(place)
    with refused("journal"):
        fenced.kubectl("delete", "containment", MODEL, "-n", scene.namespace)
    assert scene.specs() == held
    operator.start()
    scene.release()
    assert scene.specs() == originals
    place.scale(4)


def test_a_policy_that_is_gone_is_noticed_and_named(fenced: ControlPlane, scene: Scene) -> None:
    scene.report()
    scene.contained()
    await_fenced(scene, "True")
    fence = FENCE / "routes.yaml"
    fenced.kubectl("delete", "-f", str(fence))
    try:
        assert "lazaretto-fence-routes is missing" in await_fenced(scene, "False")
        assert "lazaretto-fence-routes" in condition(scene.incident(), "Degraded")["message"]
        until(lambda: proof(scene) == "L1", what="no more than L1 is proved")
    finally:
        fenced.apply(fence)
    await_fenced(scene, "True")
    until(lambda: proof(scene) == "L2", what="L2 is proved again")
    scene.release()


def test_a_policy_that_no_dry_run_reaches_is_noticed_when_it_is_altered(fenced: ControlPlane, scene: Scene) -> None:
    scene.report()
    assert scene.contained()["status"]["containment"]["proof"] == "L2"
    name = "lazaretto-fence-pods"
    open_ = [{"op": "replace", "path": "/spec/validations/0/expression", "value": "true"}]
    fenced.kubectl("patch", "validatingadmissionpolicy", name, "--type=json", "-p", json.dumps(open_))
    try:
        assert await_fenced(scene, "False") == f"{name} was altered"
        until(lambda: condition(scene.incident(), "Degraded"), what="it is called degraded")
        assert condition(scene.incident(), "Degraded")["message"] == f"{name} was altered"
    finally:
        fenced.apply(FENCE / "pods.yaml")
    await_fenced(scene, "True")
    scene.release()
