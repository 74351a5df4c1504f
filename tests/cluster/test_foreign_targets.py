"""A model is what its kind says it can be: a schema lets no other kind of object be aimed at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.installation import resource
from tests.e2e.raw_api import RawApi, RefusedError
from tests.e2e.shapes import MODEL

pytestmark = pytest.mark.cluster

PLACE = "default"
"""Nothing is stored there."""
FOREIGN = (
    *("Node", "Secret", "Namespace", "Pod", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ConfigMap", "Service"),
    *("ServiceAccount", "ClusterRole", "CustomResourceDefinition", "ValidatingAdmissionPolicy", "AIIncident"),
    *("InferenceService", "deployment", "Deployment ", "apps/Deployment", "*", ""),
)


@pytest.fixture(scope="module")
def server(cluster: ClusterAccess) -> Iterator[RawApi]:
    api = RawApi(cluster.kubeconfig)
    yield api
    api.close()


def model(**spec: Any) -> dict[str, Any]:
    return resource("ProtectedModel", MODEL, PLACE, **{"workloads": [{"kind": "Deployment", "name": "d"}], **spec})


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("field", ["workloads", "routes"])
def test_a_model_is_of_no_other_kind(server: RawApi, field: str, kind: str) -> None:
    with pytest.raises(RefusedError, match=rf"spec.{field}\[0\].kind") as refusal:
        server.rehearse(model(**{field: [{"kind": kind, "name": "hub"}]}), namespace=PLACE)
    assert refusal.value.code == 422


@pytest.mark.parametrize("field", ["fallback", "knownGood"])
def test_what_is_named_without_a_kind_takes_none(server: RawApi, field: str) -> None:
    """Whatever else is said of it is not stored; what stands there is looked for under one kind alone."""
    named: Any = {"name": "hub", "port": 80, "kind": "Secret", "apiVersion": "v1"}
    body = model(**{field: named if field == "fallback" else "hub"}, target={"kind": "Secret", "name": "hub"})
    stored = server.rehearse(body, namespace=PLACE)["spec"]
    assert stored[field] == ({"name": "hub", "port": 80} if field == "fallback" else "hub")
    assert "target" not in stored


def test_an_incident_s_target_is_a_model_and_nothing_else(server: RawApi) -> None:
    target = {"model": MODEL, "kind": "Node", "name": "node-0", "namespace": "kube-system"}
    body = resource("AIIncident", f"{MODEL}-1", PLACE, source={"type": "Manual"}, target=target)
    assert server.rehearse(body, namespace=PLACE)["spec"]["target"] == {"model": MODEL}
