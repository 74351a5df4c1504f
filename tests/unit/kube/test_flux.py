"""Flux kept away from single objects: after what stops the model, within the journal's room, and given back exactly."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lazaretto.api.containment import MOST_FIELDS
from lazaretto.domain.fields import Change, Fields
from lazaretto.domain.scene import Demand, Scene
from lazaretto.kube.annotation import HELM_EXCLUSION, KUSTOMIZE_EXCLUSION
from lazaretto.kube.flux import FluxHeld
from lazaretto.kube.surface import Object
from lazaretto.traffic.service import ServiceSurface
from lazaretto.workloads.autoscaler import AutoscalerSurface
from lazaretto.workloads.deployment import REPLICAS, DeploymentSurface
from tests.unit.domain.objects import NAMESPACE
from tests.unit.held_object import HeldObject
from tests.unit.traffic.routes import SCENE, demand

KUSTOMIZE = {"kustomize.toolkit.fluxcd.io/name": "models", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
HELM = {"helm.toolkit.fluxcd.io/name": "chat"}
PAUSING = replace(demand(), pause_gitops=True)


def stored(body: Object) -> dict[str, Any]:
    """As the API server stores it: annotations of which none are left are none."""
    found = copy.deepcopy(dict(body))
    if not found["metadata"].get("annotations"):
        found["metadata"].pop("annotations", None)
    return found


def scaler(labels: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> HeldObject:
    metadata = {"name": "chat", "namespace": NAMESPACE, "uid": "u1", "generation": 1, "resourceVersion": "7"}
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "bad"}}
    more = {} if annotations is None else {"annotations": dict(annotations)}
    body = {"metadata": {**metadata, "labels": dict(labels), **more}, "spec": spec}
    return HeldObject(FluxHeld(AutoscalerSurface()), body, defaulted=stored)


@pytest.mark.parametrize("annotations", [None, {"team": "x"}, {"kustomize.toolkit.fluxcd.io/reconcile": "enabled"}])
@pytest.mark.parametrize("labels", [KUSTOMIZE, HELM, {**KUSTOMIZE, **HELM}, {"app": "chat"}], ids=str)
def test_held_in_two_writes_and_given_back(labels: Mapping[str, str], annotations: Mapping[str, str] | None) -> None:
    found = scaler(labels, annotations)
    before = copy.deepcopy(found.body)
    for _ in range(3):
        found.hold(SCENE, PAUSING)
    wanted = dict(annotations or {})
    wanted |= {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"} if labels.keys() & KUSTOMIZE.keys() else {}
    wanted |= {"helm.toolkit.fluxcd.io/driftDetection": "disabled"} if labels.keys() & HELM.keys() else {}
    assert found.body["metadata"].get("annotations", {}) == wanted
    assert found.writes == (2 if wanted != (annotations or {}) else 1)
    assert "behavior" in found.body["spec"]
    while (plan := found.plan(SCENE, Demand())) is not None and plan.restore.changes:
        found.send(found.surface.write(found.body, plan.restore.changes))
    assert found.body["metadata"].get("annotations") == before["metadata"].get("annotations")
    assert found.body["spec"] == before["spec"]


def test_nothing_is_annotated_unless_it_is_asked_for_and_something_is_held() -> None:
    found = scaler(KUSTOMIZE)
    found.hold(SCENE, demand())
    assert "annotations" not in found.body["metadata"]
    other = FluxHeld(ServiceSurface())
    body = {"metadata": {"name": "other", "labels": KUSTOMIZE}, "spec": {"selector": {"app": "shop"}}}
    assert other.hold(body, other.read(body), scene=SCENE, demand=PAUSING) == {}


class Crowded(ServiceSurface):
    """One that holds as many fields as it is told."""

    def __init__(self, count: int) -> None:
        self.count = count

    def hold(self, obj: Object, base: Fields, *, scene: Scene, demand: Demand) -> Fields:
        return {f"spec.{number}": number for number in range(self.count)}


@pytest.mark.parametrize(("held", "added"), [(MOST_FIELDS - 2, 2), (MOST_FIELDS - 1, 1), (MOST_FIELDS, 0)])
def test_no_annotation_pushes_out_what_moves_traffic(held: int, added: int) -> None:
    surface = FluxHeld(Crowded(held))
    wanted = surface.hold({"metadata": {"labels": {**KUSTOMIZE, **HELM}}}, {}, scene=SCENE, demand=PAUSING)
    assert len(wanted) == held + added


def test_a_deployment_is_scaled_through_its_subresource_and_annotated_by_itself() -> None:
    surface = FluxHeld(DeploymentSurface())
    obj = {"metadata": {"name": "bad", "namespace": NAMESPACE, "uid": "u1", "annotations": {"a": "b"}}}
    changes = [Change(REPLICAS, 2, 0), Change(KUSTOMIZE_EXCLUSION, "enabled", "disabled")]
    assert surface.write(obj, changes).path.endswith("/deployments/bad/scale")
    alone = surface.write(obj, [*changes[1:], Change(HELM_EXCLUSION, "x", "disabled")])
    assert alone.path.endswith("/deployments/bad")
    assert alone.body == [
        {"op": "test", "path": "/metadata/uid", "value": "u1"},
        {"op": "add", "path": "/metadata/annotations/kustomize.toolkit.fluxcd.io~1reconcile", "value": "disabled"},
        {"op": "add", "path": "/metadata/annotations/helm.toolkit.fluxcd.io~1driftDetection", "value": "disabled"},
    ]
