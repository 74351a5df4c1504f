"""The demo's manifests in the shapes that models have in the wild.

Everything begins with `manifests/demo`, so that what the demo shows is what the tests prove; a `Shape` says what is
different. Nothing here talks to a server.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lazaretto.domain.identity import identity_of

Object = dict[str, Any]

DEMO = Path(__file__).parents[2] / "manifests" / "demo"
MODEL = "support-llm"
GOOD = "support-llm-v1"
BAD = "support-llm-v2"
FALLBACK = "maintenance"
ATTESTED = "support-llm-attested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a scene is made of.

    Attributes:
        route: Kind of the route; "" for a model that only its Service leads to.
        autoscaler: Whether the bad revision has a HorizontalPodAutoscaler.
        by_labels: Whether the model selects its Deployments by their labels.
        single: Whether there is only the bad revision.
        attested: Whether somebody has attested the good revision.
        fallback: Whether a fallback Service exists and the model names it.
        mirror: Whether the route mirrors to the bad revision.
        opted_in: Whether the operator's account may act in the namespace.
        fenced: Whether the API server refuses what would undo a containment.
        isolating: Whether policies isolate compromised pods, keep one of them, and the ends of logs.
        copying: Whether the operator may make copies of revisions that no workload runs.
        rolling_back: Whether it may roll templates back.
        standby: Whether the good revision is at zero replicas.
        pool: Name of the only node that both revisions run on, each pod with one of its accelerators; "" for any
            node, and no accelerators.
        size: Replicas of the bad revision.
        model: More fields of the ProtectedModel's spec.
        policies: ResponsePolicies by name; the demo's two unless given.
    """

    route: str = "HTTPRoute"
    autoscaler: bool = True
    by_labels: bool = False
    single: bool = False
    attested: bool = True
    fallback: bool = False
    mirror: bool = False
    opted_in: bool = True
    fenced: bool = True
    isolating: bool = False
    copying: bool = False
    rolling_back: bool = False
    standby: bool = False
    pool: str = ""
    size: int = 3
    model: Mapping[str, Any] = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def known_good(self) -> str:
        """The revision that could take over once the scene stands; "" if none could."""
        running = any(each.get("reach", {}).get("plan") == "RunningOnly" for each in self.policies.values())
        return ATTESTED if self.attested and not self.single and not (self.standby and running) else ""


def workloads(shape: Shape) -> list[Object]:
    """Deployments, Services, route and autoscaler."""
    found = [body for body in _demo("models.yaml") if _wanted(body, shape)]
    found = [_route(body, shape) if body["kind"] == "HTTPRoute" else body for body in found]
    found = [_deployment(body, shape) if body["kind"] == "Deployment" else body for body in found]
    if not shape.route:
        # One Service in front of both revisions, as without a gateway.
        labels = {"app": MODEL}
        spec = {"selector": labels, "ports": [{"port": 80, "targetPort": 8000}]}
        found = [body for body in found if body["kind"] != "Service"]
        found.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": MODEL}, "spec": spec})
    if shape.fallback:
        found += _fallback()
    return found


def attestation(shape: Shape) -> list[Object]:
    """The ModelRevision that somebody attested; none for a shape without."""
    if not shape.attested:
        return []
    good = next(b for b in _demo("models.yaml") if b["metadata"]["name"] == GOOD and b["kind"] == "Deployment")
    spec = {"model": MODEL, "identity": identity_of(good["spec"]["template"]), "attestation": {"by": "ci-evaluation"}}
    return [_own("ModelRevision", ATTESTED, spec)]


def protection(shape: Shape) -> list[Object]:
    """ResponsePolicies, then the ProtectedModel."""
    model, *policies = _demo("protection.yaml")
    spec: Object = model["spec"]
    if shape.by_labels:
        spec["workloads"] = [{"kind": "Deployment", "matchLabels": {"app": MODEL}}]
    if shape.single:
        spec["workloads"] = [{"kind": "Deployment", "name": BAD}]
    spec["routes"] = [{"kind": shape.route, "name": MODEL}] if shape.route else []
    if shape.fallback:
        spec["fallback"] = {"name": FALLBACK, "port": 80}
    spec |= shape.model
    if shape.policies:
        policies = [_own("ResponsePolicy", name, dict(each)) for name, each in shape.policies.items()]
    for each in policies if shape.isolating else ():
        each["spec"] |= {"actions": {"isolate": True}, "evidence": {"pods": 1, "logLines": 20}}
    return [*policies, model]


def policy(mode: str, **more: Any) -> Object:
    """The spec of a ResponsePolicy."""
    return {"mode": mode, **more}


def incident(
    *, name: str = f"{MODEL}-1", category: str = "DataLeakage", model: str | None = MODEL, **more: Any
) -> Object:
    """An AIIncident as a person creates it; no target if `model` is None."""
    target = {"target": {"model": model}} if model else {}
    spec = {"source": {"type": "Manual", "sender": "alice"}, **target, "category": category, **more}
    return _own("AIIncident", name, spec)


def _own(kind: str, name: str, spec: Mapping[str, Any]) -> Object:
    return {"apiVersion": "lazaretto.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def _demo(file: str) -> list[Object]:
    return [body for body in yaml.safe_load_all((DEMO / file).read_text()) if body]


def _wanted(body: Object, shape: Shape) -> bool:
    if body["kind"] == "HTTPRoute":
        return bool(shape.route)
    if body["kind"] == "HorizontalPodAutoscaler":
        return shape.autoscaler
    return not (shape.single and body["metadata"]["name"] == GOOD)


def _deployment(body: Object, shape: Shape) -> Object:
    spec: Object = body["spec"]
    if body["metadata"]["name"] == BAD:
        spec["replicas"] = shape.size
    elif shape.standby:
        spec["replicas"] = 0
    if shape.pool:
        pod = spec["template"]["spec"]
        pod["nodeSelector"] = {"kubernetes.io/hostname": shape.pool}
        pod["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": 1}}
    return body


def _route(body: Object, shape: Shape) -> Object:
    route = copy.deepcopy(body)
    route["kind"] = shape.route
    (rule,) = route["spec"]["rules"]
    if shape.single:
        rule["backendRefs"] = [b for b in rule["backendRefs"] if b["name"] != GOOD]
    if shape.standby:
        for backend in rule["backendRefs"]:
            backend["weight"] = 0 if backend["name"] == GOOD else 100
    if shape.mirror:
        backend = {"name": BAD, "port": 80}
        filters: Sequence[Object] = [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-model", "value": MODEL}]}},
            {"type": "RequestMirror", "requestMirror": {"backendRef": backend}},
        ]
        rule["filters"] = filters
        rule["backendRefs"] = [{"name": GOOD, "port": 80, "weight": 1}]
    return route


def _fallback() -> list[Object]:
    labels = {"app": FALLBACK}
    pod = {"containers": [{"name": "page", "image": "registry.example/page:1"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": FALLBACK}, "spec": deployment},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": FALLBACK}, "spec": service},
    ]
