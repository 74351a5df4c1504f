"""How the real API server refuses a guarded patch: a lost race is told from what validation or admission refuse."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from lazaretto.errors import ApiError, Conflict, Invalid
from lazaretto.kube.request import at_version, json_patch, merge_patch
from lazaretto.kube.resource import DEPLOYMENTS, HTTP_ROUTES, ResourceType
from tests.cluster.access import ClusterAccess
from tests.cluster.own_client import send_patch
from tests.e2e.shapes import BAD, MODEL, Shape, workloads

pytestmark = pytest.mark.cluster

WEIGHT = "/spec/rules/0/backendRefs/0/weight"


@pytest.fixture(scope="module")
def namespace(cluster: ClusterAccess) -> Iterator[str]:
    """A model, and a policy of somebody else's: no Deployment there has nine replicas."""
    name = f"test-refusals-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    for body in workloads(Shape()):
        cluster.apply(body, namespace=name)
    cluster.apply(*_policy(name))
    yield name
    cluster.kubectl("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", name)
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def patched(cluster: ClusterAccess, namespace: str, resource: ResourceType, name: str, *operations: Any) -> None:
    request = json_patch(resource, operations, namespace=namespace, name=name, manager="test")
    send_patch(request, kubeconfig=cluster.kubeconfig)


def value(op: str, path: str, what: Any) -> dict[str, Any]:
    return {"op": op, "path": path, "value": what}


@pytest.mark.parametrize(
    ("resource", "name", "operation", "error", "said"),
    [
        (DEPLOYMENTS, BAD, value("test", "/metadata/uid", "another"), Conflict, ""),
        (DEPLOYMENTS, BAD, value("replace", "/spec/nothing/there", 1), Conflict, ""),
        (DEPLOYMENTS, BAD, value("replace", "/spec/replicas", -1), Invalid, "spec.replicas"),
        (HTTP_ROUTES, MODEL, value("test", WEIGHT, 77), Conflict, ""),
        (HTTP_ROUTES, MODEL, value("replace", WEIGHT, -1), Invalid, "weight"),
        (HTTP_ROUTES, MODEL, value("replace", WEIGHT, "much"), Invalid, "weight"),
    ],
    ids=["test", "place is gone", "value", "test, custom", "value, custom", "type, custom"],
)
def test_a_patch_that_does_not_fit_is_a_lost_race_and_one_that_is_wrong_is_not(
    cluster: ClusterAccess,
    namespace: str,
    resource: ResourceType,
    name: str,
    operation: dict[str, Any],
    error: type[ApiError],
    said: str,
) -> None:
    with pytest.raises(ApiError) as caught:
        patched(cluster, namespace, resource, name, operation)
    assert type(caught.value) is error
    assert said in caught.value.message


@pytest.mark.timeout(60)
def test_what_a_policy_refuses_is_no_lost_race(cluster: ClusterAccess, namespace: str) -> None:
    def refusal() -> ApiError | None:
        try:
            patched(cluster, namespace, DEPLOYMENTS, BAD, value("replace", "/spec/replicas", 9))
        except ApiError as error:
            return error
        return None

    found = refusal()
    while found is None:  # a fresh policy lets everything pass for about a second
        patched(cluster, namespace, DEPLOYMENTS, BAD, value("replace", "/spec/replicas", 3))
        found = refusal()
    assert isinstance(found, Invalid)
    assert "nine is too many" in found.message


def _policy(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    api = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
    validation = {"expression": "object.spec.replicas < 9", "message": "nine is too many"}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [validation]}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": here}
    return (
        {**api, "kind": "ValidatingAdmissionPolicy", "spec": spec},
        {**api, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    )


def test_a_write_for_another_state_of_the_object_is_a_lost_race(cluster: ClusterAccess, namespace: str) -> None:
    """Also by way of `/scale`, where a uid is all that tells one Deployment from another."""
    found = cluster.get("deployment", BAD, "-n", namespace)
    body = {"metadata": {"uid": found["metadata"]["uid"]}, "spec": {"replicas": 2}}
    request = merge_patch(DEPLOYMENTS, body, namespace=namespace, name=BAD, manager="test", subresource="scale")
    version = found["metadata"]["resourceVersion"]
    cluster.kubectl("annotate", "deployment", BAD, "moved=on", "-n", namespace)
    with pytest.raises(Conflict):
        send_patch(at_version(request, version), kubeconfig=cluster.kubeconfig)
    # An autoscaler may have moved it meanwhile.
    assert cluster.get("deployment", BAD, "-n", namespace)["spec"]["replicas"] != body["spec"]["replicas"]
