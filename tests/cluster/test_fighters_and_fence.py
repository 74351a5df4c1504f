"""The same fighters as in `tests/e2e/test_fighters.py`, behind the fence: refused before it happens, by a reason."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.fighters import GITOPS, PEOPLE, Fighter, Kubectl, imaged, recreated
from tests.e2e.ledger import Ledger
from tests.e2e.scene import OPERATOR, Scene, condition, staged
from tests.e2e.shapes import BAD, MODEL
from tests.unit.install.sources import NAMESPACE

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

WHY = f"is contained by incident {MODEL}-1"
FENCED_CALLS = ("patch deployments/scale", "patch httproutes")
SECONDS = 5.0


@pytest.fixture
def operator(fenced: ControlPlane, tmp_path: Path) -> Iterator[OperatorProcess]:
    """The operator under its own account."""
    account = fenced.service_account_kubeconfig(NAMESPACE, "lazaretto-operator")
    with OperatorProcess(tmp_path / "operator", account) as process:
        yield process


@pytest.fixture
def scene(fenced: ControlPlane, operator: OperatorProcess, tmp_path: Path) -> Iterator[Scene]:
    """A contained model of which there is a revision to roll back to."""
    with staged(fenced) as stage:
        built = stage.build()
        assert imaged(Kubectl(fenced.kubeconfig, built, home=tmp_path / "ci")).code == 0
        until(lambda: built.read("deployments", BAD)["status"].get("updatedReplicas") == 3, what="it is rolled out")
        built.report()
        built.contained()
        until(lambda: condition(built.incident(), "Fenced").get("status") == "True", what="the fence stands")
        yield built


def bad_pods(scene: Scene) -> list[str]:
    labelled = [p for p in scene.all("pods") if p["metadata"]["labels"].get("revision") == "v2"]
    return [p["metadata"]["name"] for p in labelled]


def test_without_the_operator_nobody_gets_through(
    fenced: ControlPlane, operator: OperatorProcess, scene: Scene, tmp_path: Path
) -> None:
    kubectl = Kubectl(fenced.kubeconfig, scene, home=tmp_path / "people")
    operator.stop()
    with scene.watched("deployments", "httproutes", "pods") as witness:
        held = {ref: spec for ref, spec in scene.specs().items() if not ref.startswith("horizontal")}
        for what, move in {**GITOPS, **PEOPLE}.items():
            if move is recreated:
                continue
            # The very image that it has is no change, and none is refused.
            said = kubectl("set", "image", f"deployment/{BAD}", "server=other") if move is imaged else move(kubectl)
            assert said.code != 0, what
            assert WHY in said.text, f"{what}: {said.text}"
        assert {ref: spec for ref, spec in scene.specs().items() if ref in held} == held
        said = recreated(kubectl)
        assert said.code != 0
        assert WHY in said.text
        assert scene.read("deployments", BAD) is None, "a workload may be deleted; it may not come back"
        assert bad_pods(scene) == []
        assert {v.body["spec"]["replicas"] for v in witness.seen("deployments", BAD)} == {0}
        assert all(weight == 0 for weight in _weights_seen(witness.seen("httproutes", MODEL)))


def _weights_seen(versions: list) -> list[int]:
    rules = [v.body["spec"]["rules"][0] for v in versions]
    return [b.get("weight", 1) for rule in rules for b in rule["backendRefs"] if b["name"] == BAD]


def test_with_the_operator_a_fight_behind_the_fence_costs_it_nothing(
    fenced: ControlPlane, operator: OperatorProcess, scene: Scene, tmp_path: Path
) -> None:
    ledger = Ledger(fenced.audit, scene.namespace)
    with ExitStack() as stack:
        fighters = {
            what: stack.enter_context(Fighter(move, Kubectl(fenced.kubeconfig, scene, home=tmp_path / what), every=0.5))
            for what, move in GITOPS.items()
        }
        time.sleep(SECONDS)
        until(lambda: all(f.said for f in fighters.values()), what="everybody has tried")
    for what, fighter in fighters.items():
        assert fighter.said, what
        assert fighter.moves == 0
        assert all(WHY in said.text for said in fighter.said), f"{what}: {fighter.said}"
    ledger.settled()
    counted = ledger.counted(OPERATOR)
    print(f"{sum(len(f.said) for f in fighters.values())} moves refused; the operator: {dict(counted)}")
    assert {call: counted[call] for call in FENCED_CALLS} == dict.fromkeys(FENCED_CALLS, 0)
    scene.contained()
    scene.release()
    assert scene.replicas() == 3
