"""Isolation with the real controllers: kept pods are let go of and not entered, and the release leaves nothing."""

from __future__ import annotations

import pytest

from tests.cluster.access import ClusterAccess, KubectlError
from tests.cluster.waiting import until
from tests.e2e.scene import Scene, Stage, condition, opt_in, refused
from tests.e2e.shapes import BAD, MODEL, Shape, policy

pytestmark = pytest.mark.cluster

ISOLATING = Shape(
    policies={"isolating": policy("Automatic", actions={"isolate": True}, evidence={"pods": 1})},
)


def quarantined(scene: Scene) -> list[str]:
    return sorted(each["metadata"]["name"] for each in scene.all("networkpolicies"))


def bad_pods(scene: Scene) -> dict[str, dict[str, object]]:
    return {p["metadata"]["name"]: p["metadata"] for p in scene.all("pods") if p["metadata"]["name"].startswith(BAD)}


def test_pods_are_cut_off_and_kept_and_all_of_it_goes_with_the_release(stage: Stage, cluster: ClusterAccess) -> None:
    scene = stage.build(ISOLATING)
    opt_in(scene, "lazaretto-isolation")
    before = scene.specs()
    scene.report()
    incident = scene.contained()
    said = condition(incident, "Isolated")
    assert (said["status"], said["reason"]) == ("Unknown", "EnforcementUnknown"), said
    ((name, kept),) = bad_pods(scene).items()
    assert kept["labels"] == {"lazaretto.dev/quarantine": MODEL}
    assert "ownerReferences" not in kept
    policies = quarantined(scene)
    assert len(policies) == 2
    with pytest.raises(KubectlError, match="lazaretto-fence-evidence-pods"):
        cluster.kubectl("exec", name, "-n", scene.namespace, "--", "true")
    assert "lazaretto-fence-quarantine" in refused(
        lambda: scene.admin.delete("networkpolicies", namespace=scene.namespace, name=policies[0])
    )
    scene.release()
    until(lambda: quarantined(scene) == [] and name not in bad_pods(scene), what="nothing is left")
    assert scene.specs() == before


def test_without_the_role_it_is_named_and_the_model_is_contained(stage: Stage) -> None:
    scene = stage.build(ISOLATING)
    before = scene.specs()
    scene.report()
    found = scene.await_state("Degraded")
    until(lambda: scene.replicas() == 0, what="scaled to zero")
    assert "ClusterRole lazaretto-isolation" in found["status"]["reason"]
    scene.release()
    assert scene.specs() == before
