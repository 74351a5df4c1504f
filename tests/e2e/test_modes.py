"""What the policy decides: nothing, wait, act; and where traffic goes when nothing is known to be good."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import pytest

from lazaretto.domain.identity import identity_of, revision_name
from tests.cluster.audit import AuditLog
from tests.cluster.waiting import until
from tests.e2e.ledger import Ledger
from tests.e2e.scene import OPERATOR, Scene, Stage, condition
from tests.e2e.shapes import BAD, FALLBACK, GOOD, MODEL, Shape, policy

pytestmark = pytest.mark.cluster

UNATTESTED: Mapping[str, Any] = {"requireAttested": True}
SOAK_SECONDS = 3.0
SHAPES = {
    "observe": Shape(policies={"watch-only": policy("Observe")}),
    "approve": Shape(policies={"ask-first": policy("Approve")}),
    "exempt": Shape(model={"exempt": True, "exemptReason": "regulated; a person decides"}),
    "several": Shape(
        policies={
            "a-low": policy("Observe", priority=10),
            "b-high": policy("Automatic", priority=50),
            "c-high": policy("Observe", priority=50),
            "z-elsewhere": policy("Observe", priority=900, match={"categories": ["ModelDrift"]}),
        }
    ),
    "fallback": Shape(
        attested=False,
        fallback=True,
        policies={"p": policy("Automatic", onNoKnownGood="Fallback", knownGood=UNATTESTED)},
    ),
    "zero": Shape(attested=False, policies={"p": policy("Automatic", onNoKnownGood="Zero", knownGood=UNATTESTED)}),
    "hold": Shape(attested=False, policies={"p": policy("Automatic", onNoKnownGood="Hold", knownGood=UNATTESTED)}),
    "uncured": Shape(policies={"p": policy("Automatic", onNoKnownGood="Zero")}),
    "limit": Shape(
        fallback=True, policies={"p": policy("Automatic", onNoKnownGood="Zero", limits={"concurrentModels": 1})}
    ),
    "soak": Shape(attested=False, policies={"p": policy("Automatic", knownGood={"soak": f"{SOAK_SECONDS:g}s"})}),
}


@pytest.fixture(scope="module")
def scenes(stage: Stage) -> dict[str, Scene]:
    return stage.build_all(SHAPES)


def test_observe_touches_nothing_and_says_what_it_would_do(scenes: dict[str, Scene], audit: AuditLog) -> None:
    scene = scenes["observe"]
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    scene.report()
    status = scene.await_state("Observed")["status"]
    assert status["mode"] == "Observe"
    assert status["reason"].startswith("mode Observe; would: ")
    for part in (f"move traffic from Deployment/{BAD} to {GOOD}", f"scale Deployment/{BAD} to 0"):
        assert part in status["reason"]
    _assert_untouched(scene, before, ledger)
    assert scene.read("containments", MODEL) is None


def test_approve_waits_for_one_person(scenes: dict[str, Scene], audit: AuditLog) -> None:
    scene = scenes["approve"]
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    scene.report()
    waiting = scene.await_state("AwaitingApproval")
    assert condition(waiting, "Stalled")["reason"] == "AwaitingApproval"
    assert "needs one ApproveContainment decision; then: " in waiting["status"]["reason"]
    _assert_untouched(scene, before, ledger)
    scene.decide("alice", "ApproveContainment")
    contained = scene.contained()
    assert (scene.replicas(), scene.weights()) == (0, {GOOD: 100, BAD: 0})
    assert condition(contained, "Stalled") == {}


def test_exempt_model_waits_even_under_an_automatic_policy(scenes: dict[str, Scene], audit: AuditLog) -> None:
    scene = scenes["exempt"]
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    scene.report()
    waiting = scene.await_state("AwaitingApproval")
    assert condition(waiting, "Stalled")["reason"] == "ExemptModel"
    assert waiting["status"]["mode"] == "Automatic"
    _assert_untouched(scene, before, ledger)


def test_highest_priority_decides_then_the_name_and_it_is_told_why(scenes: dict[str, Scene]) -> None:
    scene = scenes["several"]
    assert scene.read("protectedmodels", MODEL)["status"]["policy"] == "z-elsewhere"
    scene.report()
    status = scene.contained()["status"]
    assert status["policy"] == "b-high"
    assert status["policyReason"] == "priority 50; also matching, and behind it: c-high (50), a-low (10)"


def test_without_a_known_good_revision_the_fallback_answers(scenes: dict[str, Scene]) -> None:
    scene = scenes["fallback"]
    before = scene.specs()
    scene.report()
    scene.contained()
    assert scene.weights() == {GOOD: 0, BAD: 0, FALLBACK: 100}
    assert (scene.replicas(GOOD), scene.replicas(BAD), scene.replicas(FALLBACK)) == (0, 0, 1)
    scene.release()
    assert scene.specs() == before


def test_without_a_known_good_revision_zero_takes_all_out_of_service(scenes: dict[str, Scene]) -> None:
    scene = scenes["zero"]
    before = scene.specs()
    scene.report()
    incident = scene.contained()
    assert scene.weights() == {GOOD: 0, BAD: 0}
    assert (scene.replicas(GOOD), scene.replicas(BAD)) == (0, 0)
    assert not incident["status"]["containment"].get("knownGood")
    scene.release()
    assert scene.specs() == before


def test_without_a_known_good_revision_hold_touches_nothing_and_calls_a_person(
    scenes: dict[str, Scene], audit: AuditLog
) -> None:
    scene = scenes["hold"]
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    scene.report()
    stalled = scene.await_state("Stalled")
    assert condition(stalled, "Stalled")["reason"] == "NoKnownGood"
    assert "a person must decide" in stalled["status"]["reason"]
    _assert_untouched(scene, before, ledger)


def test_no_revision_takes_over_from_one_that_none_cures(stage: Stage, scenes: dict[str, Scene]) -> None:
    scene = scenes["uncured"]
    command = [sys.executable, "-m", "lazaretto", "known-good", MODEL, "-n", scene.namespace]
    asked = subprocess.run(
        [*command, "--kubeconfig", str(stage.plane.kubeconfig)], capture_output=True, text=True, check=True
    )
    told = {line.split()[0]: line for line in asked.stdout.splitlines()}
    assert told[f"Deployment/{GOOD}"].endswith("  yes: attested by ci-evaluation")
    assert "  no: " in told[f"Deployment/{BAD}"]
    scene.report(category="PromptInjection")
    incident = scene.contained()
    assert scene.weights() == {GOOD: 0, BAD: 0}
    assert "no revision is a cure for PromptInjection" in str(incident["status"]["timeline"])
    scene.release()


def test_a_limit_asks_a_person_who_outranks_it(scenes: dict[str, Scene], audit: AuditLog) -> None:
    scene = scenes["limit"]
    spec = {"workloads": [{"kind": "Deployment", "name": FALLBACK}]}
    scene.create(
        {
            "apiVersion": "lazaretto.dev/v1alpha1",
            "kind": "ProtectedModel",
            "metadata": {"name": "elsewhere"},
            "spec": spec,
        }
    )
    scene.report(name="elsewhere-1", model="elsewhere")
    until(lambda: scene.replicas(FALLBACK) == 0, what="another model held")
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    scene.report()
    waiting = scene.await_state("AwaitingApproval")
    assert condition(waiting, "Stalled")["reason"] == "LimitReached"
    assert "concurrentModels: 1 of 1 models are held" in waiting["status"]["reason"]
    _assert_untouched(scene, before, ledger)
    scene.decide("alice", "ApproveContainment")
    scene.contained()


def test_known_good_is_earned_by_soak(scenes: dict[str, Scene]) -> None:
    scene = scenes["soak"]
    good = scene.read("deployments", GOOD)
    name = revision_name(MODEL, identity_of(good["spec"]["template"]))

    def earned() -> bool:
        scene.look_again()
        time.sleep(1.0)
        soak = scene.read("modelrevisions", name).get("status", {}).get("soak", {})
        return int(soak.get("earnedSeconds", 0)) >= SOAK_SECONDS

    until(earned, what="it has soaked")
    scene.report(target={"model": MODEL, "revision": BAD})
    incident = scene.contained()
    assert incident["status"]["containment"]["knownGood"] == name
    assert scene.weights() == {GOOD: 100, BAD: 0}


def _assert_untouched(scene: Scene, before: Any, ledger: Ledger) -> None:
    ledger.settled()
    assert ledger.targets() == []
    assert scene.specs() == before
    assert not ledger.excess(OPERATOR)
