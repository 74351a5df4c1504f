"""What keeps a copy from being made, each told with its reason, and none in the way of the containment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.cluster.waiting import until
from tests.e2e.raw_api import Object
from tests.e2e.rollouts import SHAPE, Record, attested, degraded, template
from tests.e2e.scene import Scene, Stage, opt_in
from tests.e2e.shapes import BAD, MODEL

pytestmark = pytest.mark.cluster

ADMISSION = "admissionregistration.k8s.io/v1"


def changed_by_admission(scene: Scene) -> str:
    record = attested(scene, template(1), template(2))
    record.chosen()
    for body in _mutation(scene):
        scene.admin.create(body)
    try:
        # Admission takes it up a moment after it is stored.
        until(lambda: "mutated" in str(_rehearsed(scene, "probe")), what="admission changes Deployments")
        scene.report()
        text = degraded(scene)
    finally:
        for body in _mutation(scene):
            plural = (
                "mutatingadmissionpolicies" if body["kind"].endswith("Policy") else "mutatingadmissionpolicybindings"
            )
            scene.admin.delete(plural, name=body["metadata"]["name"])
    assert scene.read("deployments", record.copy) is None
    return text


def what_it_needs_is_gone(scene: Scene) -> str:
    claim = {"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}}
    prompts = {"name": "prompts", "configMap": {"name": "prompts", "defaultMode": 420}}
    for body in _needed(scene):
        if body["kind"] == "PersistentVolume":
            scene.admin.create(body)
        else:
            scene.create(body)
    needy = template(1, serviceAccountName="reader", volumes=[claim, prompts])
    needy["spec"]["serviceAccount"] = "reader"
    record = attested(scene, needy, template(2))
    record.chosen()
    for plural, name in (
        ("persistentvolumeclaims", "weights"),
        ("configmaps", "prompts"),
        ("serviceaccounts", "reader"),
    ):
        scene.admin.delete(plural, namespace=scene.namespace, name=name)
    until(lambda: scene.read("persistentvolumeclaims", "weights") is None, what="the claim is gone")
    until(lambda: record.looked(lambda status: len(status.get("lacks", [])) == 3), what="that is known before")
    until(lambda: record.looked(lambda _: "does not exist" in _told(scene, record)), what="the model says so")
    text = _told(scene, record)
    scene.report()
    text += str(scene.await_state("Stalled")["status"])
    assert scene.replicas() > 0
    scene.admin.delete("persistentvolumes", name=f"weights-{scene.namespace}")
    return text


def a_name_that_is_taken(scene: Scene) -> str:
    record = attested(scene, template(1), template(2))
    record.chosen()
    mine = scene.read("deployments", BAD)["spec"]
    labels = {"mine": "yes"}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": mine["template"]}
    spec["template"]["metadata"]["labels"] = labels
    scene.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": record.copy}, "spec": spec})
    scene.report()
    text = degraded(scene)
    assert scene.read("deployments", record.copy)["spec"]["selector"]["matchLabels"] == labels
    return text


def without_the_right(scene: Scene) -> str:
    record = attested(scene, template(1), template(2))
    text: str = until(
        lambda: record.looked(lambda _: _told(scene, record)) and _told(scene, record), what="the record is judged"
    )
    scene.report()
    text += str(scene.await_state("Stalled")["status"])
    assert scene.replicas() > 0
    opt_in(scene, "lazaretto-copies")
    record.chosen()
    return text


STORIES: Mapping[str, tuple[Callable[[Scene], str], str]] = {
    "changed by admission": (changed_by_admission, "admission changes what its pods would run"),
    "needs are gone": (
        what_it_needs_is_gone,
        "ConfigMap/prompts, PersistentVolumeClaim/weights, ServiceAccount/reader, which its pods need, does not exist",
    ),
    "name taken": (a_name_that_is_taken, "there is another of that name, and not ours"),
    "without the right": (without_the_right, "bind the ClusterRole lazaretto-copies"),
}


@pytest.fixture(scope="module")
def told(stage: Stage) -> dict[str, str]:
    """What was said in each story; they are told at once."""
    shapes = {name: replace(SHAPE, copying=name != "without the right") for name in STORIES}
    scenes = stage.build_all(shapes)
    with ThreadPoolExecutor(len(STORIES)) as pool:
        found = {name: pool.submit(story, scenes[name]) for name, (story, _) in STORIES.items()}
        return {name: each.result() for name, each in found.items()}


@pytest.mark.parametrize("name", STORIES)
def test_no_copy_is_made_and_the_reason_is_told(told: dict[str, str], name: str) -> None:
    assert STORIES[name][1] in told[name]


def _told(scene: Scene, record: Record) -> str:
    found = scene.read("protectedmodels", MODEL).get("status", {}).get("records", [])
    return next((str(each["takesOver"]) for each in found if each["revision"] == record.name), "")


def _rehearsed(scene: Scene, name: str) -> Object:
    body = {**scene.read("deployments", BAD), "metadata": {"name": name, "labels": {"lazaretto.dev/copy": name}}}
    found: Object = scene.admin.rehearse(body, namespace=scene.namespace)
    return found


def _mutation(scene: Scene) -> list[Object]:
    name = f"mutate-{scene.namespace}"
    change = 'JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/image", value: "mutated.example/vllm:1"}'
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}}
    spec = {
        "matchConstraints": {"namespaceSelector": here, "resourceRules": [rule]},
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": f"[{change}]"}}],
    }
    binding = {"policyName": name}
    return [
        {"apiVersion": ADMISSION, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec},
        {
            "apiVersion": ADMISSION,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": binding,
        },
    ]


def _needed(scene: Scene) -> list[Object]:
    volume = f"weights-{scene.namespace}"
    size = {"storage": "1Gi"}
    claim = {"namespace": scene.namespace, "name": "weights"}
    pv = {"capacity": size, "accessModes": ["ReadOnlyMany"], "hostPath": {"path": "/weights"}, "claimRef": claim}
    pvc = {
        "accessModes": ["ReadOnlyMany"],
        "resources": {"requests": size},
        "volumeName": volume,
        "storageClassName": "",
    }
    return [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume}, "spec": pv},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "weights"}, "spec": pvc},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prompts"}, "data": {"system": "be kind"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}},
    ]
