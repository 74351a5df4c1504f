"""Who floods a namespace with incidents, and what that keeps from whom: limits under attack, by real accounts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.waiting import outlive, until
from tests.e2e.raw_api import RawApi
from tests.e2e.scene import Scene, Stage, condition, refused
from tests.e2e.shapes import BAD, FALLBACK, GOOD, MODEL, Shape, incident, policy

pytestmark = pytest.mark.cluster

ONE_EACH = policy("Automatic", onNoKnownGood="Zero", limits={"perSenderPerHour": 1})
TWO = policy("Automatic", onNoKnownGood="Zero", limits={"perHour": 1})
ALERT = {"type": "Alert", "sender": "prod"}
SHAPES = {
    "flood": Shape(fallback=True, policies={"p": ONE_EACH}),
    "games": Shape(fallback=True, policies={"p": TWO}),
    "leaning": Shape(attested=False, fallback=True, policies={"p": policy("Automatic", onNoKnownGood="Fallback")}),
}


@pytest.fixture(scope="module")
def scenes(stage: Stage) -> dict[str, Scene]:
    return stage.build_all(SHAPES)


@pytest.fixture(scope="module")
def receiver_account(cluster: ClusterAccess) -> Iterator[RawApi]:
    """The API as the receiver's account."""
    api = RawApi(cluster.service_account_kubeconfig("lazaretto-system", "lazaretto-receiver"))
    yield api
    api.close()


def add_elsewhere(scene: Scene) -> None:
    """Another model of the namespace."""
    workloads = [{"kind": "Deployment", "name": FALLBACK}]
    body = {"kind": "ProtectedModel", "metadata": {"name": "elsewhere"}, "spec": {"workloads": workloads}}
    scene.create({"apiVersion": "lazaretto.dev/v1alpha1", **body})


def flood(scene: Scene) -> None:
    """Somebody reports about another model, which is contained, and that is all that the limit allows."""
    add_elsewhere(scene)
    scene.report(name="elsewhere-1", model="elsewhere")
    until(lambda: scene.replicas(FALLBACK) == 0, what="another model held")


def stopped(scene: Scene, name: str) -> str:
    """Waits until a limit has stopped the incident, and returns what it says."""
    waiting = scene.await_state("AwaitingApproval", name=name)
    assert condition(waiting, "Stalled")["reason"] == "LimitReached"
    return str(waiting["status"]["reason"])


def test_who_floods_stops_nobody_else_and_speaks_for_nobody_else(
    scenes: dict[str, Scene], receiver_account: RawApi
) -> None:
    scene = scenes["flood"]
    flood(scene)
    scene.report()
    assert stopped(scene, f"{MODEL}-1").startswith("limit perSenderPerHour: 1 containments of 1 began within an hour")
    assert scene.replicas(BAD) > 0
    forged = incident(name=f"{MODEL}-2", category="Jailbreak", source=ALERT)
    assert "comes through the receiver" in refused(lambda: scene.create(forged))
    receiver_account.create(incident(name=f"{MODEL}-3", category="ModelDrift", source=ALERT), namespace=scene.namespace)
    scene.contained(f"{MODEL}-3")
    assert scene.replicas(BAD) == 0


def test_a_tripped_limit_outlives_its_policy_and_opens_for_a_person(scenes: dict[str, Scene]) -> None:
    scene = scenes["games"]
    flood(scene)
    scene.report()
    assert "limit perHour" in stopped(scene, f"{MODEL}-1")
    told = until(lambda: condition(scene.read("responsepolicies", "p"), "LimitReached"), what="the policy says so")
    assert "until somebody decides ResetLimits" in told["message"]
    scene.admin.delete("responsepolicies", namespace=scene.namespace, name="p")
    # With a limit that is not reached: what tripped is all that stops it.
    spec = {**TWO, "limits": {"perHour": 100}}
    body = {"kind": "ResponsePolicy", "metadata": {"name": "anew"}, "spec": spec}
    scene.create({"apiVersion": "lazaretto.dev/v1alpha1", **body})
    scene.report(name=f"{MODEL}-2", category="Jailbreak")
    assert "limit perHour tripped at" in stopped(scene, f"{MODEL}-2")
    assert scene.replicas(BAD) > 0
    told = until(lambda: scene.read("responsepolicies", "anew").get("status", {}).get("tripped"), what="it says so too")
    outlive(max(datetime.fromisoformat(each["at"]) for each in told))
    scene.decide("alice", "ResetLimits", backlog="Contain")
    scene.contained(f"{MODEL}-1")
    scene.contained(f"{MODEL}-2")
    until(lambda: not condition(scene.read("responsepolicies", "anew"), "LimitReached"), what="nothing has tripped")


def test_what_stands_in_for_a_held_model_is_not_taken_away_without_a_person(scenes: dict[str, Scene]) -> None:
    scene = scenes["leaning"]
    scene.report()
    scene.contained()
    assert scene.weights() == {GOOD: 0, BAD: 0, FALLBACK: 100}
    add_elsewhere(scene)
    body = {"kind": "ResponsePolicy", "metadata": {"name": "other"}, "spec": {}}
    spec = policy("Automatic", onNoKnownGood="Fallback", priority=9, match={"models": ["elsewhere"]})
    model = scene.read("protectedmodels", "elsewhere")["spec"]
    fallback = scene.read("protectedmodels", MODEL)["spec"]["fallback"]
    scene.patch("protectedmodels", "elsewhere", {"spec": {**model, "fallback": fallback}})
    scene.create({"apiVersion": "lazaretto.dev/v1alpha1", **body, "spec": spec})
    scene.report(name="elsewhere-1", model="elsewhere")
    waiting = scene.await_state("AwaitingApproval", name="elsewhere-1")
    assert condition(waiting, "Stalled")["reason"] == "StandsInForAnother"
    assert f"Deployment/{FALLBACK} stands in for ProtectedModel {MODEL}, which is held" in waiting["status"]["reason"]
    assert scene.replicas(FALLBACK) == 1
