"""A contained model behind the fence, what people may try there, and what must come of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from lazaretto.kube.request import Request, merge_patch
from lazaretto.kube.resource import DEPLOYMENTS
from tests.cluster.access import ClusterAccess
from tests.cluster.installation import BREAK_GLASS, OPERATOR, create, denied, resource
from tests.cluster.own_client import send_patch
from tests.cluster.waiting import until
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape, workloads
from tests.unit.install.sources import NAMESPACE

Json = dict[str, Any]
SINCE = "2026-01-15T08:31:01Z"
ROUTE = f"httproutes/{MODEL}"
BAD_LABELS = {"app": MODEL, "revision": "v2"}
EVIDENCE = f"{MODEL}-1-evidence"
MARK = {"lazaretto.dev/evidence": "snapshot"}
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "5e1ba4cd-60c3-4a68-9f63-6d1c31f5f0c5"}
OPTED_IN: Json = {"lazaretto.dev/protected": "true"}


class Place:
    """A namespace with the demo's model, of which the bad revision is contained at 0 replicas."""

    def __init__(self, cluster: ClusterAccess, name: str) -> None:
        self.cluster, self.name = cluster, name

    @classmethod
    def build(cls, cluster: ClusterAccess, labels: Json = OPTED_IN) -> Place:
        """A fresh one, contained by a journal that the test stores."""
        place = cls(cluster, f"fence-{uuid.uuid4().hex[:8]}")
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place.name, "labels": labels}}
        cluster.kubectl("create", "-f", "-", input=json.dumps(namespace))
        for role in ("lazaretto-actor", "lazaretto-isolation"):
            bind = ("create", "rolebinding", role, f"--clusterrole={role}", "-n", place.name)
            cluster.kubectl(*bind, f"--serviceaccount={NAMESPACE}:lazaretto-operator")
        for body in workloads(Shape()):
            cluster.apply(body, namespace=place.name)
        place.scale(0).patch(ROUTE, weights(100, 0)).contain()
        return place

    def contain(self, **hold: Any) -> None:
        """Stores the containment as the operator does."""
        workload = {"kind": "Deployment", "name": BAD, "uid": "u", "selector": BAD_LABELS, "podLabels": BAD_LABELS}
        held = {"incident": f"{MODEL}-1", "incidentUID": "i", "compromised": [workload], "since": SINCE, **hold}
        body = resource("Containment", MODEL, self.name, model=MODEL, holds=[held], cutOff=[BAD])
        create(self.cluster, body, as_user=OPERATOR)

    def hold(self, **hold: Any) -> None:
        """Changes the hold as the operator does."""
        operations = [{"op": "add", "path": f"/spec/holds/0/{key}", "value": value} for key, value in hold.items()]
        patch = ("patch", "containment", MODEL, "-n", self.name, "--type=json", "-p", json.dumps(operations))
        self.cluster.kubectl(*patch, as_user=OPERATOR)

    def scale(self, replicas: int, *flags: str, name: str = BAD, as_user: str | None = None) -> Place:
        command = ("scale", "deployment", name, f"--replicas={replicas}", "-n", self.name)
        self.cluster.kubectl(*command, *flags, as_user=as_user)
        return self

    def patch(self, what: str, change: Any, *flags: str, as_user: str | None = None) -> Place:
        kind = "json" if isinstance(change, list) else "merge"
        command = ("patch", what, "-n", self.name, f"--type={kind}", "-p", json.dumps(change))
        self.cluster.kubectl(*command, *flags, as_user=as_user)
        return self

    def create(self, body: Json, *flags: str, as_user: str | None = None) -> Place:
        body["metadata"]["namespace"] = self.name
        create(self.cluster, body, *flags, as_user=as_user)
        return self

    def operator(self, request: Request) -> Place:
        """Sends a request under the operator's own account."""
        send_patch(request, kubeconfig=self.cluster.service_account_kubeconfig(NAMESPACE, "lazaretto-operator"))
        return self

    def without_workload(self) -> Place:
        self.cluster.kubectl("delete", "deployment", BAD, "-n", self.name)
        return self


def weights(good: int, bad: int) -> list[Json]:
    path = "/spec/rules/0/backendRefs/{}/weight"
    return [{"op": "replace", "path": path.format(i), "value": value} for i, value in enumerate((good, bad))]


def wake(place: Place) -> Request:
    scale = {"spec": {"replicas": 1}}
    return merge_patch(DEPLOYMENTS, scale, namespace=place.name, name=BAD, manager="test", subresource="scale")


def pod(labels: Json, *, name: str = "stray", image: str = "registry.example/vllm") -> Json:
    container = {"name": "c", "image": image}
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


BLOCKED = "sha256:" + "b" * 64
IMAGE = f"registry.example/vllm@{BLOCKED}"
OTHER = {"app": "other"}
TO_BLOCKED = [{"op": "replace", "path": "/spec/containers/0/image", "value": IMAGE}]


def blocking(place: Place) -> Place:
    """The hold blocks an image as well; waits until admission has heard of it."""
    place.hold(blockedImages=[BLOCKED])
    until(lambda: denied(lambda: place.create(pod(OTHER, image=IMAGE), DRY), "fence-pods"), what="the image is blocked")
    return place


def beside(image: str) -> Json:
    """A pod whose init container runs this."""
    body = pod(OTHER)
    body["spec"]["initContainers"] = [{"name": "i", "image": image}]
    return body


def service(selector: Json, *, name: str = "stray") -> Json:
    spec = {"selector": selector, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def route(backend: str, *, kind: str = "HTTPRoute", weight: int = 1, mirror: str = "") -> Json:
    rule: Json = {"backendRefs": [{"name": backend, "port": 80, "weight": weight}]}
    if mirror:
        rule["filters"] = [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": mirror, "port": 80}}}]
    api = "gateway.networking.k8s.io/v1"
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "stray"}, "spec": {"rules": [rule]}}


def evidence(*, labelled: bool = True) -> Json:
    metadata = {"name": EVIDENCE, "labels": MARK if labelled else {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"manifest.json": "{}"}}


def kept(place: Place) -> Place:
    """With evidence in it, as the operator stores it."""
    return place.create(evidence(), as_user=OPERATOR)


def anew(replicas: int) -> Json:
    (body,) = (each for each in workloads(Shape()) if (each["kind"], each["metadata"]["name"]) == ("Deployment", BAD))
    return {**body, "metadata": {"name": BAD}, "spec": {**body["spec"], "replicas": replicas}}


QUARANTINE = {"lazaretto.dev/quarantine": MODEL}


def policy(*, labelled: bool = True) -> Json:
    """A NetworkPolicy that denies, as the operator makes it, or anybody's."""
    metadata = {"name": "quarantine", "labels": QUARANTINE if labelled else {}}
    spec = {"podSelector": {"matchLabels": QUARANTINE}, "policyTypes": ["Ingress", "Egress"]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def quarantined(place: Place) -> Place:
    return place.create(policy(), as_user=OPERATOR)


def apart(place: Place) -> Place:
    """With a pod that is kept as evidence; waits until admission has heard of it."""
    if not there(place):
        place.create(pod(QUARANTINE, name="kept"))
    place.hold(evidencePods=[{"name": "kept", "uid": "u"}])
    until(lambda: denied(lambda: enter(place), "fence-evidence-pods"), what="the pod is fenced")
    return place


def there(place: Place) -> bool:
    """Whether that pod exists already."""
    return bool(place.cluster.kubectl("get", "pods", "kept", "-n", place.name, "--ignore-not-found"))


def enter(place: Place) -> None:
    place.cluster.kubectl("exec", "kept", "-n", place.name, "--", "true")


def end(place: Place, *flags: str) -> None:
    place.cluster.kubectl("delete", "pod", "kept", "-n", place.name, "--wait=false", *flags)


def raw(place: Place, subresource: str, body: Json) -> None:
    path = f"/api/v1/namespaces/{place.name}/pods/kept/{subresource}"
    place.cluster.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(body))


EVICTION: Json = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "kept"}}
DRY = "--dry-run=server"
TEMPLATE = {"spec": {"template": {"metadata": {"annotations": {"changed": "yes"}}}}}

ATTEMPTS: dict[str, Callable[[Place], object]] = {
    "fence-replicas": lambda place: place.scale(1, DRY),
    "fence-workloads": lambda place: place.patch(f"deployment/{BAD}", {"spec": {"replicas": 1}}, DRY),
    "fence-pods": lambda place: place.create(pod(BAD_LABELS), DRY),
    "fence-services": lambda place: place.create(service(BAD_LABELS), DRY),
    "fence-routes": lambda place: place.patch(ROUTE, weights(90, 10), DRY),
    "fence-evidence-pods": lambda place: end(place if there(place) else apart(place), DRY),
    "fence-quarantine": lambda place: place.create(policy(), DRY),
    "fence-definitions": lambda place: place.cluster.kubectl("delete", "crd", "containments.lazaretto.dev", DRY),
    "fence-evidence": lambda place: place.create(evidence(), DRY),
    # Under the operator's name, with every right: not to be stopped before.
    "fence-operator": lambda place: place.patch(
        f"deployment/{BAD}", {"spec": {"paused": True}}, DRY, "--as-group=system:masters", as_user=OPERATOR
    ),
}
"""One attempt that each policy refuses, by its name."""
UNHELD = ("fence-definitions", "fence-evidence", "fence-operator")
"""Policies that hold whether anything is contained or not."""

TAMPERING: dict[str, Callable[[Place], object]] = {
    "made up": lambda p: p.create(evidence()),
    "altered": lambda p: kept(p).patch(f"configmap/{EVIDENCE}", {"data": {"manifest.json": "{ }"}}),
    "unlabelled": lambda p: kept(p).patch(f"configmap/{EVIDENCE}", {"metadata": {"labels": dict.fromkeys(MARK)}}),
    "labelled": lambda p: p.create(evidence(labelled=False)).patch(
        f"configmap/{EVIDENCE}", {"metadata": {"labels": MARK}}
    ),
    "deleted": lambda p: p.cluster.kubectl("delete", "configmap", EVIDENCE, "-n", kept(p).name),
    "deleted with all others": lambda p: p.cluster.kubectl("delete", "configmap", "--all", "-n", kept(p).name),
    "given an owner": lambda p: kept(p).patch(f"configmap/{EVIDENCE}", {"metadata": {"ownerReferences": [OWNER]}}),
}
"""What is refused about evidence, also to an administrator."""

OPENING: dict[str, Callable[[Place], object]] = {
    "made up": lambda p: p.create(policy()),
    "loosened": lambda p: quarantined(p).patch("networkpolicy/quarantine", {"spec": {"egress": [{}]}}),
    "unlabelled": lambda p: quarantined(p).patch(
        "networkpolicy/quarantine", {"metadata": {"labels": dict.fromkeys(QUARANTINE)}}
    ),
    "labelled": lambda p: p.create(policy(labelled=False)).patch(
        "networkpolicy/quarantine", {"metadata": {"labels": QUARANTINE}}
    ),
    "deleted": lambda p: p.cluster.kubectl("delete", "networkpolicy", "quarantine", "-n", quarantined(p).name),
}
"""What is refused about a quarantine, also to an administrator."""

REFUSED: dict[str, tuple[str, Callable[[Place], object]]] = {
    "scale up": ("fence-replicas", lambda place: place.scale(3)),
    "replicas by patch": ("fence-workloads", lambda p: p.patch(f"deployment/{BAD}", {"spec": {"replicas": 3}})),
    "another template": ("fence-workloads", lambda p: p.patch(f"deployment/{BAD}", TEMPLATE)),
    "delete and create anew": ("fence-workloads", lambda p: p.without_workload().create(anew(1))),
    "a pod by hand": ("fence-pods", lambda p: p.create(pod(BAD_LABELS | {"more": "labels"}))),
    "a pod relabelled": (
        "fence-pods",
        lambda p: p.create(pod({"app": "other"})).patch("pod/stray", {"metadata": {"labels": BAD_LABELS}}),
    ),
    "a pod with a blocked image": ("fence-pods", lambda p: blocking(p).create(pod(OTHER, image=IMAGE))),
    "a blocked image by tag and digest": (
        "fence-pods",
        lambda p: blocking(p).create(pod(OTHER, image=f"elsewhere.example/x:v1@{BLOCKED}")),
    ),
    "a blocked init container": ("fence-pods", lambda p: blocking(p).create(beside(IMAGE))),
    "a pod given a blocked image": (
        "fence-pods",
        lambda p: blocking(p).create(pod(OTHER, name="given")).patch("pod/given", TO_BLOCKED),
    ),
    "a new Service": ("fence-services", lambda p: p.create(service(BAD_LABELS))),
    "a wider Service": ("fence-services", lambda p: p.create(service({"app": MODEL}))),
    "another Service moved": (
        "fence-services",
        lambda p: p.patch(f"service/{GOOD}", {"spec": {"selector": {"revision": "v2"}}}),
    ),
    "weight": ("fence-routes", lambda p: p.patch(ROUTE, weights(90, 10))),
    "a new route": ("fence-routes", lambda p: p.create(route(BAD))),
    "a new GRPCRoute": ("fence-routes", lambda p: p.create(route(BAD, kind="GRPCRoute"))),
    "an evidence pod entered": ("fence-evidence-pods", lambda p: enter(apart(p))),
    "an evidence pod attached to": (
        "fence-evidence-pods",
        lambda p: p.cluster.kubectl("attach", "kept", "-n", apart(p).name),
    ),
    "an evidence pod deleted": ("fence-evidence-pods", lambda p: end(apart(p))),
    "an evidence pod deleted with all others": (
        "fence-evidence-pods",
        lambda p: p.cluster.kubectl("delete", "pods", "--all", "-n", apart(p).name),
    ),
    "an evidence pod evicted": ("fence-evidence-pods", lambda p: raw(apart(p), "eviction", EVICTION)),
    "an evidence pod taken out of quarantine": (
        "fence-evidence-pods",
        lambda p: apart(p).patch("pod/kept", {"metadata": {"labels": dict.fromkeys(QUARANTINE)}}),
    ),
    "an evidence pod given an owner": (
        "fence-evidence-pods",
        lambda p: apart(p).patch("pod/kept", {"metadata": {"ownerReferences": [OWNER]}}),
    ),
    "a mirror": ("fence-routes", lambda p: p.create(route(GOOD, mirror=BAD))),
}


PASSES: dict[str, Callable[[Place], object]] = {
    "scale down": lambda p: p.scale(0),
    "another workload": lambda p: p.scale(4, name=GOOD),
    "labels and annotations": lambda p: p.patch(f"deployment/{BAD}", {"metadata": {"labels": {"team": "x"}}}),
    "created anew at 0": lambda p: p.without_workload().create(anew(0)),
    "deletion": lambda p: p.without_workload(),
    "a good pod": lambda p: p.create(pod({"app": MODEL, "revision": "v1"})),
    "a pod without labels": lambda p: p.create(pod({})),
    "another image": lambda p: blocking(p).create(pod(OTHER, image=f"registry.example/vllm@sha256:{'a' * 64}")),
    "a Service of something else": lambda p: p.create(service({"app": "other"})),
    "a Service without selector": lambda p: p.create(service({})),
    "a held Service's ports": lambda p: p.patch(f"service/{BAD}", {"spec": {"sessionAffinity": "ClientIP"}}),
    "less weight": lambda p: p.patch(ROUTE, weights(50, 0)),
    "a route to the good one": lambda p: p.create(route(GOOD)),
    "a route without weight for the bad one": lambda p: p.create(route(BAD, weight=0)),
    "another pod's deletion": lambda p: (
        apart(p).create(pod(OTHER)).cluster.kubectl("delete", "pod", "stray", "-n", p.name, "--wait=false")
    ),
    "a NetworkPolicy of one's own": lambda p: p.create(policy(labelled=False)),
    "break-glass": lambda p: p.scale(1, "--as-group=system:masters", f"--as-group={BREAK_GLASS}", as_user="ada"),
    "the operator": lambda p: p.operator(wake(p)),
}
"""What must pass, an administrator's request unless it says otherwise."""
