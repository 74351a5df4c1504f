"""What the real accounts may do, as the API server answers: every right is listed, and far more that are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from lazaretto.api import GROUP
from tests.cluster.access import ClusterAccess
from tests.cluster.installation import CLUSTER, ELSEWHERE, OPTED_IN
from tests.unit.install.sources import NAMESPACE

pytestmark = pytest.mark.cluster

GATEWAY = "gateway.networking.k8s.io"
RBAC = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"


class Ask(NamedTuple):
    """One question to the authorizer: verb, group, resource with subresource, and where."""

    verb: str
    group: str
    resource: str
    where: str


def asks(where: str, *lines: str) -> list[Ask]:
    """Reads lines such as `get,list apps deployments/scale`; a dash is the core group."""
    found = []
    for line in lines:
        verbs, group_name, resource = line.split()
        found += [Ask(verb, group_name.strip("-"), resource, where) for verb in verbs.split(",")]
    return found


OPERATOR_MAY = [
    *asks(
        ELSEWHERE,
        f"get,list,watch {GROUP} aiincidents",
        f"get,list,watch {GROUP} protectedmodels",
        f"get,list,watch {GROUP} responsepolicies",
        f"get,list,watch {GROUP} incidentdecisions",
        f"get,list,watch,create,delete {GROUP} modelrevisions",
        f"get,list,watch,create,patch,delete {GROUP} containments",
        f"patch {GROUP} aiincidents/status",
        f"patch {GROUP} containments/status",
        f"patch {GROUP} modelrevisions/status",
        f"patch {GROUP} protectedmodels/status",
        f"patch {GROUP} responsepolicies/status",
        "create - events",
    ),
    *asks(
        OPTED_IN,
        "get,list,watch apps deployments",
        "patch apps deployments/scale",
        "get,list,watch,patch autoscaling horizontalpodautoscalers",
        "get,list,watch,patch keda.sh scaledobjects",
        f"get,list,watch,patch {GATEWAY} httproutes",
        f"get,list,watch,patch {GATEWAY} grpcroutes",
        "get,list,watch,patch - services",
        "list - pods",
        "list discovery.k8s.io endpointslices",
        "list - events",
        "create - configmaps",
    ),
    # By the built-in role for everybody: the standing self-test asks what it may do.
    *asks(CLUSTER, "create authorization.k8s.io selfsubjectaccessreviews"),
]
OPERATOR_MAY_NOT = [
    *asks(
        OPTED_IN,
        "create,update,patch,delete apps deployments",
        "get,update apps deployments/scale",
        "get,create,patch,delete apps replicasets",
        "patch apps statefulsets",
        "patch apps statefulsets/scale",
        "create,update,delete autoscaling horizontalpodautoscalers",
        "create,update,delete keda.sh scaledobjects",
        # Where nobody has bound lazaretto-gitops.
        "get,list,watch,create,update,patch,delete argoproj.io applications",
        f"create,update,delete {GATEWAY} httproutes",
        "create,update,delete - services",
        "get,create,update,patch,delete - pods",
        "create - pods/exec",
        "create - pods/eviction",
        "get - pods/log",
        "get,list,watch,create - secrets",
        "get,list,watch,update,patch,delete - configmaps",
        "create - serviceaccounts",
        "create - serviceaccounts/token",
        f"create,patch {RBAC} rolebindings",
        f"create,bind,escalate {RBAC} roles",
        f"create,update,patch,delete {GROUP} aiincidents",
        f"command,contain,release,close {GROUP} aiincidents",
        f"create,patch,delete {GROUP} incidentdecisions",
        f"create,patch,delete {GROUP} protectedmodels",
        f"create,patch,delete {GROUP} responsepolicies",
        f"patch,update,deletecollection {GROUP} modelrevisions",
        f"deletecollection {GROUP} containments",
        "patch,delete - events",
        "get,watch,create,update,patch,delete coordination.k8s.io leases",
    ),
    *asks(
        ELSEWHERE,
        "get,list,watch apps deployments",
        "get,patch apps deployments/scale",
        f"get,patch {GATEWAY} httproutes",
        "get,patch - services",
        "get,list - pods",
        "list - events",
        "create - configmaps",
        "patch autoscaling horizontalpodautoscalers",
        "get discovery.k8s.io endpointslices",
    ),
    *asks(
        CLUSTER,
        "create,update,patch,delete - namespaces",
        "get,list - namespaces",
        "get,patch - nodes",
        "get - nodes/proxy",
        "list,watch - secrets",
        "patch apps deployments/scale",
        "impersonate - users",
        "impersonate - groups",
        f"create,bind,escalate {RBAC} clusterroles",
        f"create {RBAC} clusterrolebindings",
        f"create,patch,delete {ADMISSION} validatingadmissionpolicies",
        f"create,delete {ADMISSION} validatingadmissionpolicybindings",
        f"create,patch {ADMISSION} mutatingwebhookconfigurations",
        "create,patch,delete apiextensions.k8s.io customresourcedefinitions",
        "approve certificates.k8s.io signers",
    ),
]
RECEIVER_MAY = asks(
    ELSEWHERE, f"list,watch {GROUP} protectedmodels", f"get,list,watch,create,patch {GROUP} aiincidents"
)
RECEIVER_MAY_NOT = [
    *asks(
        OPTED_IN,
        f"update,delete,deletecollection,contain,release,command,close {GROUP} aiincidents",
        f"patch,update {GROUP} aiincidents/status",
        f"create,patch,delete {GROUP} protectedmodels",
        f"patch {GROUP} protectedmodels/status",
        f"get,create,patch,delete {GROUP} containments",
        f"get,create {GROUP} incidentdecisions",
        f"get,create {GROUP} modelrevisions",
        f"get,patch {GROUP} responsepolicies",
        "get,patch apps deployments",
        "patch apps deployments/scale",
        "get,create - pods",
        "get,list - secrets",
        "get - configmaps",
        "patch - services",
        f"patch {GATEWAY} httproutes",
        "create - events",
        "create - serviceaccounts/token",
        f"create {RBAC} rolebindings",
    ),
    *asks(
        CLUSTER,
        "list - namespaces",
        "list - secrets",
        "impersonate - users",
        f"create {RBAC} clusterrolebindings",
        f"create {ADMISSION} validatingadmissionpolicies",
        "patch apiextensions.k8s.io customresourcedefinitions",
    ),
]


@pytest.mark.parametrize(
    ("account", "allowed", "refused"),
    [
        ("lazaretto-operator", OPERATOR_MAY, OPERATOR_MAY_NOT),
        ("lazaretto-receiver", RECEIVER_MAY, RECEIVER_MAY_NOT),
    ],
    ids=["operator", "receiver"],
)
def test_the_server_grants_the_accounts_what_is_listed(
    cluster: ClusterAccess,
    places: dict[str, str],
    tmp_path: Path,
    account: str,
    allowed: list[Ask],
    refused: list[Ask],
) -> None:
    assert len(refused) >= 30
    own = ClusterAccess(cluster.service_account_kubeconfig(NAMESPACE, account), folder=tmp_path)
    answers = self_review(own, [*allowed, *refused], places=places)
    assert [ask for ask in allowed if not answers[ask]] == []
    assert [ask for ask in refused if answers[ask]] == []


def self_review(own: ClusterAccess, questions: Sequence[Ask], *, places: Mapping[str, str]) -> dict[Ask, bool]:
    """What `kubectl auth can-i` asks, in one call and with the account's own token."""
    items = []
    for ask in questions:
        resource, _, subresource = ask.resource.partition("/")
        attributes = {
            "verb": ask.verb,
            "group": ask.group,
            "resource": resource,
            "subresource": subresource,
            "namespace": places[ask.where],
        }
        items.append(
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            }
        )
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    reviews = yaml.safe_load_all(own.kubectl("create", "-f", "-", "-o", "yaml", input=text))
    found = [item for each in reviews for item in (each["items"] if each["kind"] == "List" else [each])]
    return {ask: bool(review["status"].get("allowed", False)) for ask, review in zip(questions, found, strict=True)}


def test_opting_in_keeps_what_the_namespace_had(cluster: ClusterAccess, places: dict[str, str]) -> None:
    labels = cluster.get("namespace", places[OPTED_IN])["metadata"]["labels"]
    assert labels == {"kubernetes.io/metadata.name": places[OPTED_IN], f"{GROUP}/protected": "true"}
