"""Kubernetes' own namespaces and ours: whoever aims an incident at what runs there switches nothing off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.audit import AuditLog
from tests.cluster.waiting import until
from tests.e2e.conftest import SYSTEM
from tests.e2e.ledger import READS, Ledger
from tests.e2e.raw_api import plural_of
from tests.e2e.scene import OPERATOR, Scene, Stage, condition, opt_in
from tests.e2e.shapes import MODEL, Shape, attestation, incident, protection, workloads

pytestmark = pytest.mark.cluster

SAYS = {
    "kube-system": "namespaces of Kubernetes itself are never acted in",
    SYSTEM: "Lazaretto never acts in the namespace that it runs in",
}


@pytest.fixture(params=SAYS)
def scene(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A model in a protected namespace, with all rights that would be needed to contain it."""
    scene = Scene(stage, request.param)
    bodies = [*workloads(Shape()), *attestation(Shape()), *protection(Shape())]
    for body in bodies:
        scene.create(body)
    opt_in(scene)
    yield scene
    for body in [incident(), *bodies]:
        scene.admin.delete(plural_of(body), namespace=scene.namespace, name=body["metadata"]["name"])
    scene.admin.delete("rolebindings", namespace=scene.namespace, name="lazaretto-actor")


def test_nothing_is_done_there_and_the_incident_says_why(scene: Scene, audit: AuditLog) -> None:
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    scene.report()
    stalled = scene.await_state("Stalled")
    assert condition(stalled, "Stalled")["reason"] == "NamespaceProtected"
    assert stalled["status"]["reason"] == SAYS[scene.namespace]
    until(lambda: _disarmed(scene), what="the model says so as well")
    assert scene.specs() == before
    writes = [(call.verb, call.resource) for call in ledger.calls(OPERATOR) if call.verb not in READS]
    # In its own namespace the operator renews its Lease as well.
    own = {"aiincidents", "protectedmodels", "responsepolicies", "modelrevisions", "events", "leases"}
    assert {resource for _, resource in writes} <= own, writes


def _disarmed(scene: Scene) -> bool:
    return condition(scene.read("protectedmodels", MODEL), "Armed").get("reason") == "NamespaceProtected"
