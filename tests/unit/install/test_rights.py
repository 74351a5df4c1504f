"""Who may do what: every grant is listed here, so a new one shows up as a failing test."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
import yaml

from lazaretto.api import API_VERSION, GROUP, KINDS
from lazaretto.api.incidentdecision import RBAC_VERBS
from lazaretto.api.meta import LABEL_PROTECTED as OPT_IN_LABEL
from lazaretto.domain.switch import SWITCH
from lazaretto.engine.election import LEASE
from lazaretto.kube.annotation import ASIDE
from tests.unit.install.sources import FENCE, NAMESPACE, OPT_IN, POLICIES, documents, kustomization, of_kind, rights

READ = ("get", "list", "watch")
PLURALS = [kind.facts.plural for kind in KINDS]
WITH_STATUS = {f"{kind.facts.plural}/status" for kind in KINDS if kind.facts.status_subresource}


def grants(group: str, resources: Iterable[str], verbs: Iterable[str]) -> set[tuple[str, str, str]]:
    return {(group, resource, verb) for resource in resources for verb in verbs}


GATEWAY = "gateway.networking.k8s.io"
ADMISSION = "admissionregistration.k8s.io"
GOLDEN = {
    "lazaretto-operator": (
        grants(GROUP, PLURALS, READ)
        | grants(GROUP, WITH_STATUS, ("patch",))
        | grants(GROUP, ["containments"], ("create", "patch", "delete"))
        | grants(GROUP, ["modelrevisions"], ("create", "delete"))
        | grants("", ["events"], ("create",))
        | grants(ADMISSION, ["validatingadmissionpolicies", "validatingadmissionpolicybindings"], ("list", "watch"))
    ),
    "lazaretto-actor": (
        grants("apps", ["deployments"], READ)
        | grants("apps", ["deployments/scale"], ("patch",))
        | grants("autoscaling", ["horizontalpodautoscalers"], (*READ, "patch"))
        | grants("keda.sh", ["scaledobjects"], (*READ, "patch"))
        | grants(GATEWAY, ["httproutes", "grpcroutes"], (*READ, "patch"))
        | grants("", ["services"], (*READ, "patch"))
        | grants("", ["pods"], ("list",))
        | grants("discovery.k8s.io", ["endpointslices"], ("list",))
        | grants("", ["events"], ("list",))
        | grants("", ["configmaps"], ("create",))
    ),
    "lazaretto-gitops": (
        grants("apps", ["deployments"], ("patch",)) | grants("argoproj.io", ["applications"], (*READ, "patch"))
    ),
    "lazaretto-isolation": (
        grants("networking.k8s.io", ["networkpolicies"], ("list", "watch", "create", "delete"))
        | grants("", ["pods"], ("patch", "delete"))
        | grants("", ["pods/log"], ("get",))
    ),
    "lazaretto-configuration": grants("", ["configmaps"], ("get",)),
    "lazaretto-copies": (
        grants("apps", ["deployments"], ("create", "delete"))
        | grants("", ["configmaps", "persistentvolumeclaims", "serviceaccounts"], ("get",))
    ),
    "lazaretto-rollback": (
        grants("apps", ["deployments"], ("patch", "rollback"))
        | grants("", ["configmaps", "persistentvolumeclaims", "serviceaccounts"], ("get",))
    ),
    "lazaretto-receiver": (
        grants(GROUP, ["protectedmodels"], ("list", "watch"))
        | grants(GROUP, ["aiincidents"], (*READ, "create", "patch"))
    ),
    "lazaretto-viewer": grants(GROUP, PLURALS, READ),
    "lazaretto-responder": (
        grants(GROUP, PLURALS, READ)
        | grants(GROUP, ["aiincidents"], ("create", "command", "contain", "release", "close", "reset"))
        | grants(GROUP, ["incidentdecisions"], ("create",))
    ),
    "lazaretto-attester": grants(GROUP, ["modelrevisions"], (*READ, "create")),
    "lazaretto-policy-admin": grants(
        GROUP, ["protectedmodels", "responsepolicies"], (*READ, "create", "update", "patch", "delete")
    ),
}

NARROWED = {
    "lazaretto-gitops": {("apps", "deployments")},
    "lazaretto-isolation": {("", "pods")},
    "lazaretto-copies": {("apps", "deployments")},
    "lazaretto-rollback": {("apps", "deployments")},
}
"""What roles may write that would be a way to everything, if admission did not narrow it."""


def test_there_are_no_other_roles() -> None:
    assert set(of_kind("ClusterRole")) == set(GOLDEN)
    (role,) = of_kind("Role").values()
    switch, lease = role["rules"]
    assert role["metadata"] | {"labels": {}} == {"name": "lazaretto-operator", "namespace": NAMESPACE, "labels": {}}
    assert (switch["resources"], switch["resourceNames"], switch["verbs"]) == (
        ["configmaps"],
        [SWITCH],
        ["get", "watch"],
    )
    assert lease == {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": [LEASE],
        "verbs": ["get", "watch", "patch"],
    }


@pytest.mark.parametrize("name", GOLDEN)
def test_a_role_grants_exactly_what_is_listed(name: str) -> None:
    assert rights(of_kind("ClusterRole")[name]) == GOLDEN[name]


@pytest.mark.parametrize("name", GOLDEN)
def test_no_role_grants_what_would_be_a_way_to_everything(name: str) -> None:
    granted = rights(of_kind("ClusterRole")[name])
    assert not [right for right in granted if "*" in "".join(right)]
    assert not {verb for _, _, verb in granted} & {"escalate", "bind", "impersonate", "deletecollection"}
    assert not {resource for _, resource, _ in granted} & {
        "secrets",
        "serviceaccounts/token",
        "pods/exec",
        "nodes",
        "nodes/proxy",
    }
    writes = {(group, resource) for group, resource, verb in granted if verb not in READ}
    assert not {group for group, _ in writes} & {
        "rbac.authorization.k8s.io",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
    }
    # Whoever writes a pod template runs anything there. Where one is bound, admission narrows what it may do.
    assert not (writes - NARROWED.get(name, set())) & {
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("", "pods"),
        ("", "namespaces"),
    }


def test_what_the_extra_roles_may_write_is_what_admission_narrows_for_the_operator_alone() -> None:
    policy, _ = FENCES["operator"]
    granted = {right for name in NARROWED for right in GOLDEN[name]}
    written = {(group, resource) for group, resource, verb in granted if verb in ("patch", "create")}
    written -= {("networking.k8s.io", "networkpolicies")}
    operations = {
        rule["resources"][0]: rule["operations"] for rule in policy["spec"]["matchConstraints"]["resourceRules"]
    }
    assert operations["deployments"] == ["CREATE", "UPDATE", "DELETE"]
    rules = policy["spec"]["matchConstraints"]["resourceRules"]
    assert {(rule["apiGroups"][0], rule["resources"][0]) for rule in rules} == written
    (condition,) = policy["spec"]["matchConditions"]
    assert (
        condition["expression"]
        == f"request.userInfo.username == 'system:serviceaccount:{NAMESPACE}:lazaretto-operator'"
    )
    assert "paramKind" not in policy["spec"]
    (ours,) = (each["expression"] for each in policy["spec"]["variables"] if each["name"] == "ours")
    assert set(re.findall(r"'([^']+)'", ours)) == {path.removeprefix("metadata.annotations.") for path in ASIDE}
    assert not set(NARROWED) & {each["roleRef"]["name"] for each in of_kind("RoleBinding").values()}


def test_rules_have_no_hidden_scope() -> None:
    for role in of_kind("ClusterRole").values():
        assert "aggregationRule" not in role
        for rule in role["rules"]:
            assert set(rule) == {"apiGroups", "resources", "verbs"}


def test_only_operator_and_receiver_are_bound_cluster_wide() -> None:
    bindings = of_kind("ClusterRoleBinding")
    assert {name: (each["roleRef"]["name"], each["subjects"]) for name, each in bindings.items()} == {
        name: (name, [{"kind": "ServiceAccount", "name": name, "namespace": "lazaretto-system"}])
        for name in ("lazaretto-operator", "lazaretto-receiver")
    }
    assert set(of_kind("RoleBinding")) == {"lazaretto-operator"}


def test_only_reading_rides_on_the_built_in_roles() -> None:
    aggregated = {
        name
        for name, role in of_kind("ClusterRole").items()
        if any(label.startswith("rbac.authorization.k8s.io/aggregate") for label in role["metadata"]["labels"])
    }
    assert aggregated == {"lazaretto-viewer"}


def test_opting_in_binds_the_actor_in_that_namespace_alone() -> None:
    namespace, binding = (documents((OPT_IN / name).read_text())[0] for name in ("namespace.yaml", "rolebinding.yaml"))
    assert namespace["metadata"]["labels"] == {f"{GROUP}/protected": "true"}
    assert binding["kind"] == "RoleBinding"
    assert binding["roleRef"]["name"] == "lazaretto-actor"
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "lazaretto-operator", "namespace": "lazaretto-system"}
    ]


@pytest.mark.parametrize("name", ["gitops", "copies", "rollback"])
def test_what_goes_further_is_a_file_that_is_taken_in_by_hand(name: str) -> None:
    (binding,) = documents((OPT_IN / f"{name}.yaml").read_text())
    (actor,) = documents((OPT_IN / "rolebinding.yaml").read_text())
    assert binding["kind"] == "RoleBinding"
    assert binding["roleRef"]["name"] == f"lazaretto-{name}"
    assert binding["subjects"] == actor["subjects"]
    assert binding["metadata"]["namespace"] == actor["metadata"]["namespace"]
    assert f"{name}.yaml" not in kustomization(OPT_IN)


def test_responders_hold_every_verb_that_a_decision_needs() -> None:
    held = {verb for _, resource, verb in GOLDEN["lazaretto-responder"] if resource == "aiincidents"}
    assert held >= set(RBAC_VERBS.values())


def test_the_policy_maps_each_decision_to_the_verb_that_the_kind_states() -> None:
    variables = of_kind("ValidatingAdmissionPolicy")["lazaretto-decisions"]["spec"]["variables"]
    expression = next(each["expression"] for each in variables if each["name"] == "verb")
    assert dict(re.findall(r"'(\w+)': '(\w+)'", expression)) == RBAC_VERBS


def test_the_journal_policy_covers_every_status() -> None:
    rules = of_kind("ValidatingAdmissionPolicy")["lazaretto-journal"]["spec"]["matchConstraints"]["resourceRules"]
    assert set(rules[1]["resources"]) == WITH_STATUS


def test_each_policy_is_bound_and_denies() -> None:
    bindings = of_kind("ValidatingAdmissionPolicyBinding")
    assert {each["spec"]["policyName"] for each in bindings.values()} == set(of_kind("ValidatingAdmissionPolicy"))
    for binding in bindings.values():
        assert set(binding["spec"]) - {"paramRef"} == {"policyName", "validationActions"}
        assert binding["spec"]["validationActions"] == ["Deny"]


def test_policies_cannot_wedge_anything_but_our_own_group() -> None:
    for name, policy in of_kind("ValidatingAdmissionPolicy").items():
        if name.removeprefix("lazaretto-fence-") in FENCES:
            continue
        spec = policy["spec"]
        assert spec["failurePolicy"] == "Fail"
        assert "paramKind" not in spec
        assert set(spec["matchConstraints"]) == {"resourceRules"}
        for rule in spec["matchConstraints"]["resourceRules"]:
            assert rule["apiGroups"] == [GROUP]
            assert not [resource for resource in rule["resources"] if "*" in resource]
        for validation in spec["validations"]:
            assert validation["reason"] == "Forbidden"
            assert ("message" in validation) != ("messageExpression" in validation)


FENCES = {path.stem: documents(path.read_text()) for path in FENCE.glob("*.yaml") if path.stem != "kustomization"}


@pytest.mark.parametrize("name", sorted(FENCES))
def test_a_fence_reaches_opted_in_namespaces_and_no_others(name: str) -> None:
    """Without its parameters' kind a policy refuses all that it matches: that must never be another namespace's."""
    policy, binding = FENCES[name]
    assert policy["metadata"]["name"] == binding["metadata"]["name"] == f"lazaretto-fence-{name}"
    assert binding["spec"]["policyName"] == f"lazaretto-fence-{name}"
    assert binding["spec"]["validationActions"] == ["Deny"]
    spec = policy["spec"]
    assert spec["failurePolicy"] == "Fail"
    assert {each["reason"] for each in spec["validations"]} == {"Forbidden"}
    if name == "operator":
        # It concerns the operator's own account alone, wherever that may write.
        return
    if name == "definitions":
        assert "paramKind" not in spec
        return
    if name in ("evidence", "quarantine"):
        # It takes no parameters, and protects what was made also where nothing else is fenced.
        assert "paramKind" not in spec
        assert spec["matchConstraints"]["namespaceSelector"] == {"matchLabels": {OPT_IN_LABEL: "true"}}
        assert spec["matchConstraints"]["objectSelector"]["matchExpressions"][0]["key"] == f"{GROUP}/{name}"
        return
    assert spec["paramKind"] == {"apiVersion": API_VERSION, "kind": "Containment"}
    assert binding["spec"]["paramRef"] == {"selector": {}, "parameterNotFoundAction": "Allow"}
    assert spec["matchConstraints"]["namespaceSelector"] == {
        "matchLabels": {OPT_IN_LABEL: "true"},
        "matchExpressions": [{"key": "lazaretto.dev/fence", "operator": "NotIn", "values": ["off"]}],
    }
    exempt = " ".join(each["expression"] for each in spec["matchConditions"])
    assert f"system:serviceaccount:{NAMESPACE}:lazaretto-operator" in exempt
    assert "request.?dryRun.orValue(false)" in exempt
    variables = {each["name"]: each["expression"] for each in spec["variables"]}
    assert variables["emergency"] == "'lazaretto:break-glass' in request.userInfo.?groups.orValue([])"
    assert all(each["expression"].startswith("variables.emergency || ") for each in spec["validations"])
    assert [each["key"] for each in spec["auditAnnotations"]] == ["break-glass"]


def test_every_fence_is_installed() -> None:
    assert set(kustomization(FENCE)) == {f"{name}.yaml" for name in FENCES}


def test_policies_hold_without_the_base() -> None:
    """manifests/policies stands alone, for those who install the rest by the chart of another tool."""
    files = yaml.safe_load((POLICIES / "kustomization.yaml").read_text())["resources"]
    assert set(files) == {path.name for path in POLICIES.glob("*.yaml")} - {"kustomization.yaml"}
