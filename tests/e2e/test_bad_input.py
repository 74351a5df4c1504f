"""Mistakes of people are named where they look, and stop nobody else's model from being contained."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.audit import AuditLog
from tests.cluster.receiver import ReceiverProcess
from tests.cluster.waiting import until
from tests.e2e.alerting import alert
from tests.e2e.conftest import SYSTEM
from tests.e2e.ledger import Ledger
from tests.e2e.scene import OPERATOR, Scene, Stage, condition, opt_in
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape

pytestmark = pytest.mark.cluster

MISSPELT = [{"kind": "Deployment", "name": name} for name in (GOOD, BAD, "support-llm-v3")]
SHAPES = {
    "misspelt workload": Shape(model={"workloads": MISSPELT}),
    "nothing exists": Shape(model={"workloads": [{"kind": "Deployment", "name": "nobody"}]}),
    "not opted in": Shape(opted_in=False),
    "fine": Shape(),
}


@pytest.fixture(scope="module")
def scenes(stage: Stage) -> dict[str, Scene]:
    fine = {name: shape for name, shape in SHAPES.items() if name in ("misspelt workload", "fine")}
    broken = {name: shape for name, shape in SHAPES.items() if name not in fine}
    return stage.build_all(fine) | stage.build_all(broken, armed=False)


def _armed(scene: Scene, reason: str) -> Any:
    """The model once its condition Armed has this reason."""

    def told() -> Any:
        model = scene.read("protectedmodels", MODEL)
        return model if condition(model, "Armed").get("reason") == reason else None

    return until(told, what=f"Armed says {reason}")


def test_a_workload_that_does_not_exist_is_named_and_the_rest_is_contained(scenes: dict[str, Scene]) -> None:
    scene = scenes["misspelt workload"]
    model = _armed(scene, "WorkloadNotFound")
    assert model["status"]["state"] == "Degraded"
    assert "Deployment/support-llm-v3 does not exist" in condition(model, "Armed")["message"]
    scene.report()
    scene.contained()
    assert (scene.replicas(), scene.weights()) == (0, {GOOD: 100, BAD: 0})


def test_a_policy_that_names_a_model_that_does_not_exist_says_so_until_it_does(scenes: dict[str, Scene]) -> None:
    scene = scenes["nothing exists"]
    spec = {"mode": "Observe", "priority": -1, "match": {"models": [MODEL, "ghost"]}}
    kind = {"apiVersion": "lazaretto.dev/v1alpha1", "kind": "ResponsePolicy"}
    scene.create({**kind, "metadata": {"name": "names-a-ghost"}, "spec": spec})

    def told(status: str) -> Any:
        found = condition(scene.read("responsepolicies", "names-a-ghost"), "Accepted")
        return found if found.get("status") == status else None

    refused = until(lambda: told("False"), what="the policy says what is wrong")
    assert refused["reason"] == "ModelNotFound"
    assert refused["message"] == "match.models names ghost, which is no ProtectedModel of this namespace"
    scene.patch("responsepolicies", "names-a-ghost", {"spec": {"match": {"models": [MODEL]}}})
    until(lambda: told("True"), what="the policy is accepted")


def test_a_model_without_any_workload_is_disarmed_and_its_incident_calls_a_person(scenes: dict[str, Scene]) -> None:
    scene = scenes["nothing exists"]
    model = _armed(scene, "WorkloadNotFound")
    assert model["status"]["state"] == "Disarmed"
    assert condition(model, "Armed")["status"] == "False"
    scene.report()
    stalled = scene.await_state("Stalled")
    assert condition(stalled, "Stalled")["reason"] == "WorkloadNotFound"
    assert stalled["status"]["reason"] == "no workload of the model exists"


def test_missing_rights_are_named_stop_nobody_else_and_are_used_once_granted(
    scenes: dict[str, Scene], audit: AuditLog
) -> None:
    scene, other = scenes["not opted in"], scenes["fine"]
    model = _armed(scene, "MissingPermission")
    assert condition(model, "Armed")["status"] == "False"
    assert "may not read deployments" in condition(model, "Armed")["message"]
    scene.report()
    stalled = scene.await_state("Stalled")
    assert condition(stalled, "Stalled")["reason"] == "MissingPermission"
    assert "may not read deployments" in stalled["status"]["reason"]
    ledger = Ledger(audit, other.namespace)
    other.report()
    other.contained()
    assert not ledger.excess(OPERATOR)
    opt_in(scene)
    scene.contained()
    assert (scene.replicas(), scene.weights()) == (0, {GOOD: 100, BAD: 0})


def test_a_right_that_is_missing_for_one_kind_degrades_and_the_rest_is_held(stage: Stage) -> None:
    scene = stage.build(Shape(opted_in=False), armed=False)
    group = "rbac.authorization.k8s.io"
    role = stage.admin.get("clusterroles", name="lazaretto-actor")
    for rule in role["rules"]:
        if "httproutes" in rule["resources"]:
            rule["verbs"] = [verb for verb in rule["verbs"] if verb != "patch"]
    narrow = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "narrow"}, "rules": role["rules"]}
    scene.create(narrow)
    reference = {"apiGroup": group, "kind": "Role", "name": "narrow"}
    account = {"kind": "ServiceAccount", "name": "lazaretto-operator", "namespace": SYSTEM}
    binding = {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": "narrow"}}
    scene.create({**binding, "roleRef": reference, "subjects": [account]})
    scene.report()
    degraded = scene.await_state("Degraded")
    assert condition(degraded, "Degraded")["reason"] == "MissingPermission"
    assert f"may not write HTTPRoute/{MODEL}" in condition(degraded, "Degraded")["message"]
    until(lambda: scene.replicas() == 0, what="the workload is held all the same")
    assert scene.weights() == {GOOD: 10, BAD: 90}
    assert condition(scene.incident(), "TrafficShifted").get("status") != "True"
    opt_in(scene)
    scene.contained()
    assert scene.weights() == {GOOD: 100, BAD: 0}


def test_an_alert_about_an_unknown_model_is_recorded_and_aims_at_nothing(
    scenes: dict[str, Scene], receiver: ReceiverProcess, audit: AuditLog
) -> None:
    scene = scenes["fine"]
    mark = audit.mark()
    unknown = alert(scene.namespace, labels={"ai_model": "nobody", "alertname": f"Leak {scene.namespace}"})
    payload = {"version": "4", "alerts": [{**unknown, "status": "firing", "endsAt": "0001-01-01T00:00:00Z"}]}
    status, answer = receiver.post(payload)
    assert status == 200
    [name] = [each.partition("/")[2] for each in answer["created"] or answer["extended"]]
    admin = scene.admin

    def recorded() -> Any:
        found = admin.get("aiincidents", namespace=SYSTEM, name=name)
        return found if found.get("status", {}).get("state") == "Unmatched" else None

    incident = until(recorded, what="it is recorded")
    assert "target" not in incident["spec"]
    assert condition(incident, "TargetResolved")["reason"] == "NoTarget"
    touched = [r for r in audit.since(mark, users=[OPERATOR]) if (r.verb, r.resource) == ("patch", "deployments")]
    # Other tests' models are still held, and it is tried whether they could be woken.
    assert [r for r in touched if not r.dry_run] == []


def test_an_incident_of_a_model_that_does_not_exist_waits_for_it(scenes: dict[str, Scene]) -> None:
    scene = scenes["fine"]
    scene.report(name="ghost-1", model="ghost")
    stalled = scene.await_state("Stalled", name="ghost-1")
    assert condition(stalled, "TargetResolved")["reason"] == "ModelNotFound"
    assert "ProtectedModel ghost does not exist" in stalled["status"]["reason"]
