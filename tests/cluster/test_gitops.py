"""GitOps tools on a real API server, with Argo CD's own definition: kept away from what is held, and given it back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.access import KubectlError
from tests.cluster.binaries import argo_cd_crds
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fence_stories import Place
from tests.cluster.installation import OPERATOR, fails, refused
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.fighters import FOUGHT, Kubectl
from tests.e2e.gitops_tools import RECONCILE, SKIP, Syncer, argo_cd, flux, owning
from tests.e2e.scene import Scene, Stage, bare, condition, let_pause_gitops, staged
from tests.e2e.shapes import BAD, GOOD, Shape, policy
from tests.unit.install.sources import NAMESPACE, OPT_IN

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

APPLICATION = "models"
SHAPE = Shape(policies={"automatic": policy("Automatic", actions={"pauseGitOps": True})})
PLURALS = {
    "Deployment": "deployments",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "HTTPRoute": "httproutes",
}


@pytest.fixture(scope="module")
def kinds(fenced: ControlPlane) -> Iterator[None]:
    """Argo CD's Application, gone afterwards: most clusters do not have it."""
    fenced.apply_definitions(*argo_cd_crds())
    # For a moment after a kind is served, the API server has no cache of it and refuses to list it.
    until(lambda: not fails(lambda: fenced.kubectl("get", "applications", "-A")), what="Applications can be listed")
    yield
    for path in argo_cd_crds():
        fenced.kubectl("delete", "-f", str(path), "--wait")


@pytest.fixture(scope="module")
def stage(fenced: ControlPlane, kinds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    account = fenced.service_account_kubeconfig(NAMESPACE, "lazaretto-operator")
    with OperatorProcess(tmp_path_factory.mktemp("operator"), account), staged(fenced) as found:
        yield found


def everything(scene: Scene) -> dict[str, Any]:
    held = {f"{kind}/{name}": bare(scene.read(PLURALS[kind], name)) for kind, name in FOUGHT}
    return held | {f"Application/{each['metadata']['name']}": bare(each) for each in scene.all("applications")}


def noted_on(scene: Scene, plural: str, name: str) -> Any:
    return scene.read(plural, name)["metadata"].get("annotations", {})


def stands_still(syncer: Syncer) -> None:
    """Waits until it has looked at everything five times and applied nothing."""
    seen = [syncer.applied, syncer.skipped]

    def idle() -> bool:
        if syncer.applied != seen[0]:
            seen[:] = [syncer.applied, syncer.skipped]
        return syncer.skipped >= seen[1] + 5 * len(FOUGHT)

    until(idle, what="the tool leaves everything alone")


def tell_flux(scene: Scene) -> bool:
    return all(noted_on(scene, PLURALS[kind], name).get(RECONCILE) == "disabled" for kind, name in FOUGHT)


def tell_argo_cd(scene: Scene) -> bool:
    return bool(noted_on(scene, "applications", APPLICATION) == {"team": "x", SKIP: "true"})


@pytest.mark.parametrize("tool", ["Flux", "Argo CD"])
def test_a_tool_stops_fighting_and_gets_back_what_was(
    tool: str, fenced: ControlPlane, stage: Stage, tmp_path: Path
) -> None:
    scene = stage.build(SHAPE)
    let_pause_gitops(scene)
    kubectl = Kubectl(fenced.kubeconfig, scene, home=tmp_path / "gitops")
    if tool == "Argo CD":
        scene.create(owning(scene, name=APPLICATION))
        stranger = owning(scene, name="others")
        stranger["status"]["resources"] = [{"group": "apps", "kind": "Deployment", "name": "other"}]
        scene.create(stranger)
    syncer = flux(scene, kubectl) if tool == "Flux" else argo_cd(scene, kubectl, application=APPLICATION)
    syncer.once()
    before = everything(scene)
    told = tell_flux if tool == "Flux" else tell_argo_cd
    with syncer:
        scene.report()
        scene.contained()
        until(lambda: told(scene), what="the tool is told")
        stands_still(syncer)
        assert scene.replicas() == 0
        if tool == "Argo CD":
            assert noted_on(scene, "applications", "others") == {"team": "x"}
        assert condition(scene.incident(), "Fenced")["status"] == "True"
        assert condition(scene.incident(), "Degraded") == {}
    scene.release()
    assert everything(scene) == before


def test_without_the_right_it_is_said_and_the_model_is_contained_all_the_same(
    fenced: ControlPlane, stage: Stage, tmp_path: Path
) -> None:
    scene = stage.build(SHAPE)
    flux(scene, Kubectl(fenced.kubeconfig, scene, home=tmp_path / "gitops")).once()
    scene.report()
    until(
        lambda: (
            condition(scene.incident(), "Contained").get("status") == "True"
            and "may not" in condition(scene.incident(), "Degraded").get("message", "")
        ),
        what="contained, and Degraded",
    )
    assert "applications" in condition(scene.incident(), "Degraded")["message"]
    let_pause_gitops(scene)
    until(lambda: tell_flux(scene), what="Flux is told", seconds=60.0)
    scene.contained()
    scene.release()
    assert noted_on(scene, "deployments", BAD).get(RECONCILE) is None


@pytest.fixture(scope="module")
def place(fenced: ControlPlane, kinds: None) -> Place:
    """A contained model in whose namespace the operator may keep GitOps tools away."""
    found = Place.build(fenced)
    fenced.apply((OPT_IN / "gitops.yaml").read_text().replace("my-models", found.name))
    metadata = {"name": APPLICATION, "annotations": {"team": "x"}}
    spec = {"project": "default", "destination": {"name": "in-cluster"}}
    found.create({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": spec})
    return found


# One that nothing holds, so that no other policy refuses the same.
DEPLOYMENT, APP = f"deployment/{GOOD}", f"application/{APPLICATION}"


def noted(**more: Any) -> dict[str, Any]:
    return {"metadata": {"annotations": more}}


MAY: dict[str, tuple[str, Any]] = {
    "exclude from Flux": (DEPLOYMENT, noted(**{RECONCILE: "disabled"})),
    "exclude from drift correction": (DEPLOYMENT, noted(**{"helm.toolkit.fluxcd.io/driftDetection": "disabled"})),
    "give back to Flux": (DEPLOYMENT, noted(**{RECONCILE: None})),
    "skip": (APP, noted(**{SKIP: "true"})),
    "take up again": (APP, noted(**{SKIP: None})),
}
MAY_NOT: dict[str, tuple[str, Any]] = {
    "change a template": (DEPLOYMENT, {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}),
    "pause a rollout": (DEPLOYMENT, {"spec": {"paused": True}}),
    "set replicas": (DEPLOYMENT, {"spec": {"replicas": 1}}),
    "label": (DEPLOYMENT, {"metadata": {"labels": {"a": "b"}}}),
    "annotate otherwise": (DEPLOYMENT, noted(a="b")),
    "remove what others noted": (APP, noted(team=None)),
    "change what others noted": (APP, noted(team="y")),
    "slip it in beside": (DEPLOYMENT, {**noted(**{RECONCILE: "disabled"}), "spec": {"minReadySeconds": 5}}),
    "finalizers": (DEPLOYMENT, {"metadata": {"finalizers": ["example.com/stay"]}}),
    "owners": (
        DEPLOYMENT,
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}]}},
    ),
    "another source": (APP, {"spec": {"source": {"repoURL": "https://evil.example/x"}}}),
    "start a sync": (APP, {"operation": {"sync": {"revision": "main"}}}),
    "forge what it owns": (APP, {"status": {"resources": [{"kind": "Secret", "name": "x"}]}}),
}


@pytest.mark.parametrize("what", MAY)
def test_the_operator_may_keep_tools_away(what: str, place: Place) -> None:
    place.patch(*MAY[what], as_user=OPERATOR)


@pytest.mark.parametrize("what", MAY_NOT)
def test_the_operator_may_change_nothing_else(what: str, place: Place) -> None:
    with refused("fence-operator", "annotations that keep GitOps tools away"):
        place.patch(*MAY_NOT[what], "--dry-run=server", as_user=OPERATOR)


@pytest.mark.parametrize("what", ["pause a rollout", "label", "another source", "start a sync"])
def test_nobody_else_is_concerned(what: str, place: Place) -> None:
    place.patch(*MAY_NOT[what], "--dry-run=server")


def test_bound_nowhere_else(place: Place, fenced: ControlPlane) -> None:
    other = Place.build(fenced)
    with pytest.raises(KubectlError, match="Forbidden"):
        other.patch(*MAY["exclude from Flux"], as_user=OPERATOR)
