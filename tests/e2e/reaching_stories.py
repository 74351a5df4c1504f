"""What keeps a known-good revision from taking over when it has to be scaled up, each told by whoever says so in life.

`Standby` is a scene whose known-good Deployment is at zero replicas. Its pods may be sent to a node that no kubelet
speaks for: they stay as they are until a test says what a kubelet would.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lazaretto.domain.identity import identity_of
from tests.cluster.waiting import until
from tests.e2e.raw_api import Object, RawApi
from tests.e2e.scene import Scene, condition
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape, incident, policy

GPUS = 8
MILD = "ModelDrift"
"""A category whose incidents are SEV3."""
MUTE = "nobodys-node"
"""A node without a kubelet."""
SHORT = "4s"
ADMISSION = "admission changes its pods"
CHANGED = "known-good-now"


def policies(plan: str = "Auto", *, deadline: str = "2m", **more: Any) -> Mapping[str, Mapping[str, Any]]:
    """One policy that acts at once, whatever the incident."""
    reach = {"plan": plan, "deadline": deadline}
    return {"at-once": policy("Automatic", **{"reach": reach, "onNoKnownGood": "Zero", **more})}


def mute_node(admin: RawApi) -> None:
    """Makes the node that no kubelet speaks for."""
    amount = {"cpu": "64", "memory": "256Gi", "pods": "110"}
    metadata = {"name": MUTE, "labels": {"kubernetes.io/hostname": MUTE}}
    spec = {"taints": [{"key": "nobody", "effect": "NoSchedule"}]}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}
    admin.create({**node, "status": {"capacity": amount, "allocatable": amount}})


def retemplate(scene: Scene, change: Callable[[Object], object], *, attest: bool = False) -> None:
    """Changes the known-good Deployment's template, at zero replicas; `attest`: somebody vouches for that."""
    body = scene.read("deployments", GOOD)
    template = copy.deepcopy(body["spec"]["template"])
    change(template)
    scene.patch("deployments", GOOD, [{"op": "replace", "path": "/spec/template", "value": template}])
    if attest:
        stored = scene.read("deployments", GOOD)["spec"]["template"]
        spec = {"model": MODEL, "identity": identity_of(stored), "attestation": {"by": "ci"}}
        metadata = {"name": CHANGED}
        scene.create(
            {"apiVersion": "lazaretto.dev/v1alpha1", "kind": "ModelRevision", "metadata": metadata, "spec": spec}
        )
        scene.look_again()
        known = lambda: scene.read("protectedmodels", MODEL)["status"].get("knownGood") == CHANGED  # noqa: E731
        until(known, what="what it is by now is known to be good")


def muted(template: Object) -> None:
    """Its pods are placed where no kubelet speaks for them."""
    template["spec"]["nodeSelector"] = {"kubernetes.io/hostname": MUTE}
    template["spec"]["tolerations"] = [{"operator": "Exists"}]


def good_pods(scene: Scene, count: int) -> list[Object]:
    """The known-good pods, once there are so many of them on a node."""

    def there() -> list[Object]:
        found = [p for p in scene.all("pods") if p["metadata"]["name"].startswith(f"{GOOD}-")]
        placed = [p for p in found if p["spec"].get("nodeName")]
        return placed if len(placed) >= count else []

    found: list[Object] = until(there, what=f"{count} known-good pods are placed") if count else there()
    return found


def say(scene: Scene, status: Mapping[str, Any], *, count: int = 3) -> None:
    """What a kubelet would say of the known-good pods."""
    for pod in good_pods(scene, count):
        scene.patch("pods", pod["metadata"]["name"], {"status": status}, subresource="status", manager="kubelet")


def waiting(reason: str, message: str) -> Object:
    """The status of a pod whose container waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [_container(state)]}


def running(image_id: str = "") -> Object:
    """The status of a pod that is ready."""
    started = {"running": {"startedAt": "2026-01-02T12:00:00Z"}}
    return {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"}],
        "containerStatuses": [{**_container(started), "imageID": image_id, "ready": True}],
        "podIP": "10.1.2.3",
        "podIPs": [{"ip": "10.1.2.3"}],
    }


def _container(state: Object) -> Object:
    return {"name": "server", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def entries(scene: Scene, type_: str, *, name: str = f"{MODEL}-1") -> list[Object]:
    """Entries of an incident's timeline of one type."""
    found = (scene.incident(name) or {}).get("status", {}).get("timeline", ())
    return [entry for entry in found if entry["type"] == type_]


def served(scene: Scene) -> str:
    """Waits until the timeline says that the known-good revision serves; returns what it says."""
    entry = until(lambda: entries(scene, "Served"), what="the known-good revision serves")[0]
    assert (scene.replicas(), scene.weights()) == (0, {GOOD: 100, BAD: 0})
    return str(entry["message"])


def failed(scene: Scene, why: str) -> None:
    """Waits until the shift has failed for this reason; the model is contained all the same."""

    def said() -> bool:
        found = condition(scene.incident(), "TrafficShifted")
        return found.get("reason") == "ShiftFailed" and why in found["message"]

    try:
        until(said, what=f"ShiftFailed: {why}")
        until(lambda: condition(scene.incident(), "Contained").get("status") == "True", what="it is contained")
    except AssertionError as error:
        raise AssertionError(f"{error}; {scene.incident()['status']['conditions']}") from None
    assert scene.replicas() == 0
    assert scene.weights()[BAD] == scene.weights()[GOOD] == 0


def nothing(scene: Scene) -> None:
    """Nothing more."""


@dataclass(frozen=True, slots=True)
class Story:
    """Where it plays, what is done before and after the incident is reported, and how it ends."""

    shape: Shape
    ends: Callable[[Scene], object]
    before: Callable[[Scene], object] = nothing
    after: Callable[[Scene], object] = nothing
    reported: Mapping[str, Any] = field(default_factory=lambda: {"category": MILD, "target": {"model": MODEL}})


def _standby(plan: str = "Auto", *, deadline: str = SHORT, **more: Any) -> Shape:
    return Shape(standby=True, policies=policies(plan, deadline=deadline), **more)


def _on_mute_node(scene: Scene) -> None:
    retemplate(scene, muted)


def _no_claim(scene: Scene) -> None:
    def change(template: Object) -> None:
        claim = {"persistentVolumeClaim": {"claimName": "weights"}}
        template["spec"]["volumes"] = [{"name": "weights", **claim}]

    retemplate(scene, change, attest=True)


def _no_account(scene: Scene) -> None:
    retemplate(scene, lambda template: template["spec"].update(serviceAccountName="gone"))


def _same_under_a_tag(scene: Scene) -> None:
    bad = scene.read("deployments", BAD)["spec"]["template"]["spec"]["containers"]

    def change(template: Object) -> None:
        muted(template)
        template["spec"]["containers"] = [{**bad[0], "image": "registry.example/vllm:stable"}]

    retemplate(scene, change, attest=True)


def _quota(scene: Scene) -> None:
    spec = {"hard": {"pods": "3"}}
    scene.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": spec})
    until(lambda: scene.read("resourcequotas", "full").get("status", {}).get("used", {}).get("pods") == "3")


def _autoscaler(scene: Scene) -> None:
    body = scene.read("horizontalpodautoscalers", BAD)
    spec = {**body["spec"], "minReplicas": 12, "maxReplicas": 16}
    spec["scaleTargetRef"] = {**spec["scaleTargetRef"], "name": GOOD}
    scene.create(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": GOOD}, "spec": spec}
    )
    scene.look_again()


def _admission(scene: Scene) -> None:
    """Admission that points the pods of the namespace to other weights."""
    name = f"reroute-{scene.namespace}"
    expression = (
        "Object{spec: Object.spec{containers: object.spec.containers.map(c, Object.spec.containers{name: c.name, "
        'image: "registry.example/other@sha256:' + "9" * 64 + '"})}}'
    )
    group = "admissionregistration.k8s.io"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    matching = {
        "resourceRules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}},
        "objectSelector": {"matchLabels": {"revision": "v1"}},
    }
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    spec = {
        "matchConstraints": matching,
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [mutation],
    }
    policy_kind = {"apiVersion": f"{group}/v1", "kind": "MutatingAdmissionPolicy"}
    scene.admin.create({**policy_kind, "metadata": {"name": name}, "spec": spec})
    binding = {"apiVersion": f"{group}/v1", "kind": "MutatingAdmissionPolicyBinding"}
    scene.admin.create({**binding, "metadata": {"name": name}, "spec": {"policyName": name}})
    until(lambda: _mutated(scene), what="admission changes pods")


def _mutated(scene: Scene) -> bool:
    """Whether a pod of the known-good revision would be changed; kept off every node."""
    pod = {"containers": [{"name": "server", "image": "registry.example/vllm:1"}], "nodeSelector": {"none": "none"}}
    metadata = {"name": "probe", "labels": {"app": "probe", "revision": "v1"}}
    body = scene.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})
    scene.admin.delete("pods", namespace=scene.namespace, name="probe")
    until(lambda: scene.read("pods", "probe") is None, what="the probe is gone")
    return bool(body["spec"]["containers"][0]["image"].startswith("registry.example/other"))


def _second_incident(scene: Scene) -> None:
    good_pods(scene, 3)
    body = incident(name=f"{MODEL}-2", category="ModelPoisoning")
    body["spec"]["target"] = {"model": MODEL, "revision": GOOD}
    scene.create(body)


def _both_contained(scene: Scene) -> None:
    until(lambda: scene.replicas(GOOD) == 0, what="the second one is stopped as well")
    for pod in good_pods(scene, 0):
        # Where nobody else would say that it has ended.
        scene.admin.delete("pods", namespace=scene.namespace, name=pod["metadata"]["name"], at_once=True)
    failed(scene, f"Deployment/{GOOD} is compromised by {MODEL}-2")


def _pipeline(scene: Scene) -> None:
    """A pipeline rolls another image out to the known-good Deployment while that is being warmed."""
    good_pods(scene, 3)
    scene.scale(GOOD, 0)
    until(lambda: scene.replicas(GOOD) == 3, what="it is scaled up again")
    args = ["--model", "hf://example/support-llm@3333333"]
    retemplate(scene, lambda template: template["spec"]["containers"][0].update(args=args))


def _nothing_raised(scene: Scene) -> None:
    scene.contained()
    assert (scene.replicas(), scene.replicas(GOOD), scene.weights()[BAD]) == (0, 0, 0)


def _image_gone(scene: Scene) -> None:
    say(scene, waiting("ImagePullBackOff", "manifest unknown"))


def _configuration_gone(scene: Scene) -> None:
    say(scene, waiting("CreateContainerConfigError", 'configmap "prompts" not found'))


def _same_image(scene: Scene) -> None:
    say(scene, running(f"registry.example/vllm@sha256:{'1' * 64}"))


def _served_within_limits(scene: Scene) -> None:
    assert "no revision of the model served for" in served(scene)
    assert scene.replicas(GOOD) == 12
    [hold] = scene.read("containments", MODEL)["spec"]["holds"]
    assert "Insufficient nvidia.com/gpu" in hold["reach"]["cutBecause"]


def _served_after_quota(scene: Scene) -> None:
    assert "no revision of the model served for" in served(scene)
    [hold] = scene.read("containments", MODEL)["spec"]["holds"]
    assert "exceeded quota" in hold["reach"]["cutBecause"]


LATE = "cut because the warm-up was not ready in time"


def stories(pool: str) -> Mapping[str, Story]:
    """All of them; `pool` is a node with eight accelerators."""
    return {
        "its image is gone": Story(
            _standby(), lambda s: failed(s, "ImagePullBackOff"), after=_image_gone, before=_on_mute_node
        ),
        "a ConfigMap is missing": Story(
            _standby(),
            lambda s: failed(s, 'configmap "prompts" not found'),
            after=_configuration_gone,
            before=_on_mute_node,
        ),
        "its claim is missing": Story(
            _standby(), lambda s: failed(s, 'persistentvolumeclaim "weights" not found'), before=_no_claim
        ),
        "its account is missing": Story(
            _standby(), lambda s: failed(s, 'serviceaccount "gone" not found'), before=_no_account
        ),
        "the quota is full": Story(_standby(deadline="2m"), _served_after_quota, before=_quota),
        "its autoscaler wants more than there is": Story(
            _standby(deadline="2m", pool=pool, size=GPUS, autoscaler=True), _served_within_limits, before=_autoscaler
        ),
        "it is the same under another tag": Story(
            _standby(deadline="2m"),
            lambda s: failed(s, "loads the same as"),
            before=_same_under_a_tag,
            after=_same_image,
            reported={"category": MILD, "target": {"model": MODEL, "revision": BAD}},
        ),
        "it is compromised by another incident": Story(
            _standby(deadline="2m"), _both_contained, after=_second_incident, before=_on_mute_node
        ),
        ADMISSION: Story(
            _standby(deadline="2m"), lambda s: failed(s, "is not what the template says"), before=_admission
        ),
        "a pipeline changes it meanwhile": Story(
            _standby(deadline="2m"), lambda s: failed(s, "was changed since"), after=_pipeline, before=_on_mute_node
        ),
        "it never becomes ready": Story(_standby(), lambda s: failed(s, LATE), before=_on_mute_node),
        "the policy scales nothing up": Story(_standby("RunningOnly"), _nothing_raised),
    }
