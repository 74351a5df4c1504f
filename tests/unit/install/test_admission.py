"""What the operator takes for its admission policies is what the manifests and the chart install."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from lazaretto.domain.admission import ENFORCED, digest, shortcomings
from tests.unit.install.sources import CHART, NAMESPACE, base, documents, helm_text

Spec = dict[str, Any]


def installed(objects: Any) -> tuple[dict[str, Spec], list[Spec]]:
    """Policies by name, and bindings."""
    policies = {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"] == "ValidatingAdmissionPolicy"}
    return policies, [o["spec"] for o in objects if o["kind"] == "ValidatingAdmissionPolicyBinding"]


POLICIES, BINDINGS = installed(base().values())
PODS = "lazaretto-fence-pods"


def test_the_digests_are_those_of_the_manifests() -> None:
    found = {name: digest(spec) for name, spec in POLICIES.items()}
    assert found == ENFORCED, f"write this into domain/admission.py: {found}"


def test_nothing_is_wrong_with_the_base() -> None:
    assert shortcomings(POLICIES, BINDINGS, namespace=NAMESPACE) == []


def test_nothing_is_wrong_with_a_chart_in_another_namespace() -> None:
    policies, bindings = installed(documents(helm_text(CHART, namespace="elsewhere")))
    assert shortcomings(policies, bindings, namespace="elsewhere") == []
    assert "lazaretto-fence-pods was altered" in shortcomings(policies, bindings, namespace=NAMESPACE)


def drop_condition(spec: Spec) -> None:
    del spec["matchConditions"][0]


def exempt_somebody(spec: Spec) -> None:
    account = spec["matchConditions"][0]
    account["expression"] = account["expression"].replace(f"{NAMESPACE}:lazaretto-operator", "default:somebody")


def narrow(spec: Spec) -> None:
    spec["matchConstraints"]["objectSelector"] = {"matchLabels": {"a": "b"}}


def ignore_failures(spec: Spec) -> None:
    spec["failurePolicy"] = "Ignore"


def allow_all(spec: Spec) -> None:
    spec["validations"][0]["expression"] = "true"


def exclude(spec: Spec) -> None:
    spec["matchConstraints"]["excludeResourceRules"] = [{"apiGroups": ["*"]}]


@pytest.mark.parametrize("change", [drop_condition, exempt_somebody, narrow, ignore_failures, allow_all, exclude])
@pytest.mark.parametrize("name", [n for n, spec in POLICIES.items() if spec.get("matchConditions")])
def test_an_altered_policy_is_named(name: str, change: Callable[[Spec], None]) -> None:
    policies = copy.deepcopy(POLICIES)
    change(policies[name])
    expected = [f"{name} was altered"] if policies != POLICIES else []
    assert shortcomings(policies, BINDINGS, namespace=NAMESPACE) == expected


def test_what_the_api_server_fills_in_is_no_alteration() -> None:
    policies = copy.deepcopy(POLICIES)
    for spec in policies.values():
        match = spec["matchConstraints"]
        match["matchPolicy"] = "Equivalent"
        match.setdefault("objectSelector", {})
        match.setdefault("namespaceSelector", {})
        for rule in match["resourceRules"]:
            rule["scope"] = "*"
    assert shortcomings(policies, BINDINGS, namespace=NAMESPACE) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("policyName", "another"),
        ("validationActions", ["Warn", "Audit"]),
        ("matchResources", {"namespaceSelector": {"matchLabels": {"a": "b"}}}),
        ("paramRef", {"selector": {"matchLabels": {"a": "b"}}, "parameterNotFoundAction": "Allow"}),
        ("paramRef", {"name": "chat", "parameterNotFoundAction": "Allow"}),
        ("paramRef", None),
    ],
)
def test_a_policy_that_denies_nowhere_or_not_everywhere_is_named(field: str, value: object) -> None:
    bindings = [{**each, field: value} if each["policyName"] == PODS else each for each in BINDINGS]
    assert shortcomings(POLICIES, bindings, namespace=NAMESPACE) == [f"{PODS} is not bound to deny everywhere"]


def test_a_second_narrower_binding_takes_nothing_away() -> None:
    more = [{"policyName": PODS, "validationActions": ["Audit"]}]
    assert shortcomings(POLICIES, [*more, *BINDINGS], namespace=NAMESPACE) == []


@pytest.mark.parametrize("name", ENFORCED)
def test_a_missing_policy_is_named(name: str) -> None:
    rest = {each: spec for each, spec in POLICIES.items() if each != name}
    assert shortcomings(rest, BINDINGS, namespace=NAMESPACE) == [f"{name} is missing"]
