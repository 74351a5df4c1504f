"""A tag that moves under a running revision, with the real controllers: it takes over no more."""

from __future__ import annotations

import pytest

from lazaretto.domain.identity import identity_of
from tests.cluster.waiting import until
from tests.e2e.copies import bad_copy
from tests.e2e.raw_api import Object
from tests.e2e.scene import Scene, Stage
from tests.e2e.shapes import BAD, MODEL, Shape, policy

pytestmark = pytest.mark.cluster

TAGGED, RECORD = f"{BAD}-again", "tagged-and-attested"
A, B = (f"sha256:{letter * 64}" for letter in "ab")


def tagged() -> Object:
    """A Deployment of the model whose image is named by a tag, and which loads nothing from a hub."""
    body = bad_copy(replicas=2)
    body["spec"]["template"]["spec"]["containers"] = [{"name": "server", "image": "registry.example/vllm:stable"}]
    return body


def pull(scene: Scene, digest: str) -> None:
    """The pods' runtime tells what it runs, as a kubelet would; then the operator is made to look."""
    pods = [p for p in scene.all("pods") if p["metadata"]["name"].startswith(TAGGED)]
    assert len(pods) == 2
    for pod in pods:
        statuses = pod["status"]["containerStatuses"]
        told = [{**each, "imageID": f"registry.example/vllm@{digest}"} for each in statuses]
        change = {"status": {"containerStatuses": told}}
        scene.patch("pods", pod["metadata"]["name"], change, subresource="status", manager="kubelet")
    scene.look_again()


def status(scene: Scene) -> Object:
    found: Object = scene.read("modelrevisions", RECORD).get("status", {})
    return found


def shown(scene: Scene) -> tuple[str, str]:
    """How well the tagged workload is known, and what the model would fall back to."""
    found = scene.read("protectedmodels", MODEL)["status"]
    known = {w["name"]: w.get("digestConfidence", "") for w in found["workloads"]}
    return known.get(TAGGED, ""), found.get("knownGood", "")


def test_an_attested_revision_whose_tag_moved_takes_over_no_more(stage: Stage) -> None:
    shape = Shape(by_labels=True, attested=False, policies={"p": policy("Automatic", onNoKnownGood="Zero")})
    scene = stage.build(shape)
    spec = {"model": MODEL, "identity": identity_of(tagged()["spec"]["template"]), "attestation": {"by": "ci"}}
    scene.create(
        {"apiVersion": "lazaretto.dev/v1alpha1", "kind": "ModelRevision", "metadata": {"name": RECORD}, "spec": spec}
    )
    scene.create(tagged())
    until(lambda: scene.read("deployments", TAGGED)["status"].get("availableReplicas") == 2, what="it is available")
    pull(scene, A)
    until(lambda: shown(scene) == ("Resolved", RECORD), what="the tag is resolved, and the revision known to be good")
    assert status(scene)["digests"] == [{"container": "server", "digest": A}]
    pull(scene, B)
    until(lambda: status(scene)["state"] == "TagMoved", what="the move is recorded")
    (moved,) = status(scene)["movedTags"]
    assert (moved["before"], moved["after"]) == (A, B)
    scene.report(target={"model": MODEL, "revision": BAD})
    incident = scene.contained()
    assert incident["status"]["containment"]["knownGood"] == ""
    until(lambda: shown(scene)[1] == "", what="the model says that it would fall back to nothing")
