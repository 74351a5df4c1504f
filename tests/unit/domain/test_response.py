"""The chain of questions about one incident: each of its ends, with its reason and its words for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lazaretto.api import reasons
from lazaretto.api.references import ServiceReference
from lazaretto.api.responsepolicy import Actions, KnownGoodRule, Limits, ReleaseRule
from lazaretto.api.taxonomy import Impact
from lazaretto.domain.limits import Usage
from lazaretto.domain.response import Step
from lazaretto.domain.scene import Workload
from tests.unit.domain.cases import APPROVE, BAD, GOOD, HOLD, INCIDENT, OBSERVE, REVISIONS, answer, decided
from tests.unit.domain.objects import alert, at, incident, model, policy, revision, workload

ENDED = incident(status={"times": {"closedAt": "2026-01-02T04:00:00Z"}})
RELEASED = incident(status={"times": {"releasedAt": "2026-01-02T04:00:00Z"}})
GONE: Mapping[str, Any] = {"model": None, "policies": [], "revisions": [], "workloads": []}
LIMITED = policy(mode="Automatic", limits=Limits(concurrent_models=2))
LENIENT = ReleaseRule(approvals=1)
UNKNOWN: Mapping[str, Any] = {"revisions": [], "workloads": [BAD]}
"""One workload, and no record of what it runs."""
FALLBACK = model(fallback=ServiceReference(name="maintenance", port=80))
MOVE = "move traffic from Deployment/chat-v2 to chat-v1 (chat-v1)"
SCALE = "scale Deployment/chat-v2 to 0 and hold its autoscalers"
TABLE: list[tuple[str, Mapping[str, Any], Step, str, str]] = [
    ("closed before", {"incident": ENDED}, Step.ENDED, reasons.CLOSED, "has ended"),
    ("released before", {"incident": RELEASED}, Step.ENDED, reasons.CLOSED, "has ended"),
    ("said to be released, and held", {"incident": RELEASED, "hold": HOLD}, Step.KEEP, reasons.AWAITING_RELEASE, ""),
    ("held", {"hold": HOLD}, Step.KEEP, reasons.AWAITING_RELEASE, "needs 2 approvals of different people, 0 so far"),
    (
        *("held, one approval", {"hold": HOLD, "decisions": decided("ApproveRelease", "alice")}),
        *(Step.KEEP, reasons.AWAITING_RELEASE, "needs 2 approvals of different people, 1 so far"),
    ),
    (
        *("held, both approvals", {"hold": HOLD, "decisions": decided("ApproveRelease", "alice", "bob")}),
        *(Step.RELEASE, reasons.RELEASING, "release approved by alice, bob"),
    ),
    (
        *("held, dismissed", {"hold": HOLD, "decisions": decided("FalsePositive", "alice", "bob")}),
        *(Step.RELEASE, reasons.RELEASING, "declared a false positive by alice, bob"),
    ),
    (
        *("held, release begun", {"hold": HOLD.model_copy(update={"releasing": True})}),
        *(Step.RELEASE, reasons.RELEASING, ""),
    ),
    ("held, nothing else left", {"hold": HOLD, **GONE}, Step.KEEP, reasons.AWAITING_RELEASE, "needs 2 approvals"),
    (
        *("held, as many approvals as the policy asks for", {"hold": HOLD, "policies": [policy(release=LENIENT)]}),
        *(Step.KEEP, reasons.AWAITING_RELEASE, "needs 1 approvals of different people, 0 so far"),
    ),
    (
        *("held, expired", {"hold": HOLD, "decisions": decided("ApproveRelease", "alice", "bob"), "now": at(28)}),
        *(Step.KEEP, reasons.AWAITING_RELEASE),
        "0 so far; not counted: alice (expired: older than 24h), bob (expired: older than 24h)",
    ),
    (
        "held, release begun and its approvals expired",
        {
            "hold": HOLD.model_copy(update={"releasing": True}),
            "decisions": decided("ApproveRelease", "alice", "bob"),
            "now": at(28),
        },
        *(Step.RELEASE, reasons.RELEASING, "release approved by alice, bob"),
    ),
    (
        "held, approved by who asked for the containment",
        {"hold": HOLD, "decisions": [*decided("ApproveContainment", "bob"), *decided("FalsePositive", "alice", "bob")]},
        *(Step.KEEP, reasons.AWAITING_RELEASE, "1 so far; not counted: bob (approved the containment)"),
    ),
    ("held, closed by a person", {"hold": HOLD, "decisions": decided("Close", "alice", "bob")}, Step.KEEP, "", ""),
    ("not held, closed", {"decisions": decided("Close", "alice")}, Step.CLOSE, reasons.CLOSED, "nothing was held"),
    (
        *("not held, approved", {"decisions": decided("ApproveRelease", "alice", "bob")}),
        *(Step.CLOSE, reasons.CLOSED, "nothing was held"),
    ),
    (
        *("not held, dismissed", {"decisions": decided("FalsePositive", "alice", "bob")}),
        *(Step.CLOSE, reasons.FALSE_POSITIVE, "nothing was held"),
    ),
    (
        *("not held, dismissed by one of two", {"decisions": decided("FalsePositive", "alice")}),
        *(Step.CONTAIN, reasons.CONTAINING, f"{MOVE}; {SCALE}"),
    ),
    ("no target", {"incident": incident(model=None)}, Step.RECORD, reasons.NO_TARGET, "nothing is done"),
    ("no model", {"model": None}, Step.RECORD, reasons.MODEL_NOT_FOUND, "ProtectedModel chat does not exist"),
    ("no policy", {"policies": []}, Step.RECORD, reasons.NO_POLICY, "no ResponsePolicy of this namespace matches"),
    ("observe", {"policies": [OBSERVE]}, Step.RECORD, reasons.OBSERVE_ONLY, f"would: {MOVE}; {SCALE}"),
    (
        *("observe, obstacle", {"policies": [OBSERVE], "workloads": []}),
        *(Step.RECORD, reasons.OBSERVE_ONLY, "mode Observe; would: no workload of the model exists"),
    ),
    (
        *(
            "observe, approved",
            {"policies": [OBSERVE], "decisions": decided("ApproveContainment", "alice")},
        ),
        *(Step.RECORD, reasons.OBSERVE_ONLY, "mode Observe; would: "),
    ),
    (
        *("approve", {"policies": [APPROVE]}, Step.WAIT, reasons.AWAITING_APPROVAL),
        f"needs one ApproveContainment decision; then: {MOVE}; {SCALE}",
    ),
    (
        *("approve, approved", {"policies": [APPROVE], "decisions": decided("ApproveContainment", "alice")}),
        *(Step.CONTAIN, reasons.CONTAINING, MOVE),
    ),
    ("exempt", {"model": model(exempt=True)}, Step.WAIT, reasons.EXEMPT, "needs one ApproveContainment decision"),
    (
        *("exempt, approved", {"model": model(exempt=True), "decisions": decided("ApproveContainment", "alice")}),
        *(Step.CONTAIN, reasons.CONTAINING, MOVE),
    ),
    ("automatic", {}, Step.CONTAIN, reasons.CONTAINING, f"{MOVE}; {SCALE}"),
    (
        *("switched off", {"switched_off": "ConfigMap x says"}, Step.WAIT, reasons.SWITCHED_OFF),
        f"automatic action is switched off: ConfigMap x says; needs one ApproveContainment decision; then: {MOVE}",
    ),
    (
        *("switched off, approved", {"switched_off": "x", "decisions": decided("ApproveContainment", "alice")}),
        *(Step.CONTAIN, reasons.CONTAINING, MOVE),
    ),
    ("switched off, observe", {"policies": [OBSERVE], "switched_off": "x"}, Step.RECORD, reasons.OBSERVE_ONLY, ""),
    ("switched off, held", {"switched_off": "x", "hold": HOLD}, Step.KEEP, reasons.AWAITING_RELEASE, ""),
    (
        "switched off, release approved",
        {"switched_off": "x", "hold": HOLD, "decisions": decided("ApproveRelease", "alice", "bob")},
        *(Step.RELEASE, reasons.RELEASING, ""),
    ),
    ("limit not reached", {"policies": [LIMITED], "usage": Usage(held={"a"})}, Step.CONTAIN, reasons.CONTAINING, MOVE),
    (
        *("limit reached", {"policies": [LIMITED], "usage": Usage(held={"a", "b"})}, Step.WAIT, reasons.LIMIT_REACHED),
        "limit concurrentModels: 2 of 2 models are held; needs one ApproveContainment decision",
    ),
    (
        "limit reached, approved",
        {"policies": [LIMITED], "usage": Usage(held={"a", "b"}), "decisions": decided("ApproveContainment", "alice")},
        *(Step.CONTAIN, reasons.CONTAINING, MOVE),
    ),
    (
        "limit reached, the model is held already",
        {"policies": [LIMITED], "usage": Usage(held={"a", "chat"})},
        *(Step.CONTAIN, reasons.CONTAINING, MOVE),
    ),
    (
        *("limit reached, held", {"policies": [LIMITED], "usage": Usage(held={"a", "b"}), "hold": HOLD}),
        *(Step.KEEP, reasons.AWAITING_RELEASE, ""),
    ),
    (
        "limit reached, release approved",
        {
            "policies": [LIMITED],
            "usage": Usage(held={"a", "b"}),
            "hold": HOLD,
            "decisions": decided("ApproveRelease", "alice", "bob"),
        },
        *(Step.RELEASE, reasons.RELEASING, ""),
    ),
    ("nothing there", {"workloads": []}, Step.RECORD, reasons.WORKLOAD_NOT_FOUND, "no workload of the model exists"),
    (
        *("nothing to be seen", {"workloads": [], "denied": ["may not list deployments", "may not list pods"]}),
        *(Step.RECORD, reasons.FORBIDDEN, "may not list deployments; may not list pods"),
    ),
    (
        "something may not be read, enough may",
        {"denied": ["may not list routes"]},
        Step.CONTAIN,
        reasons.CONTAINING,
        "",
    ),
    (
        *("a workload may not be read", {"denied": ["may not read deployments"], "all_workloads_seen": False}),
        *(Step.RECORD, reasons.FORBIDDEN, "may not read deployments"),
    ),
    (
        "a workload may not be read, but the bad one was named and is in sight",
        {
            "incident": incident(revision="chat-v2"),
            "denied": ["may not read deployments"],
            "all_workloads_seen": False,
        },
        *(Step.CONTAIN, reasons.CONTAINING, MOVE),
    ),
    ("nothing serves", {"workloads": [workload("chat-v2", replicas=0)]}, Step.RECORD, reasons.NOTHING_SERVES, ""),
    (
        *("revision not there", {"incident": incident(revision="chat-v9")}),
        *(Step.RECORD, reasons.REVISION_NOT_FOUND, "'chat-v9' is neither a ModelRevision"),
    ),
    ("nothing good, hold", UNKNOWN, Step.RECORD, reasons.NO_KNOWN_GOOD, "a person must decide"),
    (
        *(
            "nothing good, no fallback",
            {**UNKNOWN, "policies": [policy(mode="Automatic", on_no_known_good="Fallback")]},
        ),
        *(Step.RECORD, reasons.NO_FALLBACK, "the model names no fallback Service"),
    ),
    (
        "nothing good, fallback",
        {**UNKNOWN, "policies": [policy(mode="Automatic", on_no_known_good="Fallback")], "model": FALLBACK},
        *(Step.CONTAIN, reasons.CONTAINING, "move traffic from Deployment/chat-v2 to fallback Service/maintenance"),
    ),
    (
        *("nothing good, zero", {**UNKNOWN, "policies": [policy(mode="Automatic", on_no_known_good="Zero")]}),
        *(Step.CONTAIN, reasons.CONTAINING, "cut traffic to Deployment/chat-v2; nothing serves instead"),
    ),
]
STALLED = {
    reasons.LIMIT_REACHED,
    reasons.SWITCHED_OFF,
    reasons.MODEL_NOT_FOUND,
    reasons.WORKLOAD_NOT_FOUND,
    reasons.FORBIDDEN,
    reasons.NOTHING_SERVES,
} | {*(reasons.REVISION_NOT_FOUND, reasons.NO_KNOWN_GOOD, reasons.NO_FALLBACK)}


@pytest.mark.parametrize(
    ("changed", "step", "reason", "message"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_every_question_that_settles_it(changed: Mapping[str, Any], step: Step, reason: str, message: str) -> None:
    verdict = answer(**changed)
    assert (verdict.step, verdict.reason) == (step, reason or verdict.reason)
    assert message in verdict.message
    assert verdict.stalled is (verdict.reason in STALLED)


def test_the_mode_is_that_of_the_policy_whatever_comes_of_it() -> None:
    assert answer(policies=[OBSERVE]).mode == "Observe"
    assert answer(policies=[OBSERVE], hold=HOLD).mode == "Observe"
    assert answer(policies=[OBSERVE], decisions=decided("Close", "alice")).mode == "Observe"
    assert answer(policies=[]).mode is None


def test_a_hold_says_all_that_must_outlive_the_decision() -> None:
    found = answer().hold
    assert found is not None
    assert (found.incident, found.incident_uid, found.since, found.releasing) == (
        "chat-1",
        "uid-of-chat-1",
        at(4),
        False,
    )
    assert found.compromised == [BAD.condemned(beside=GOOD)]
    assert found.revisions == ["chat-v2"]
    assert found.known_good is not None
    assert (found.known_good.revision, found.known_good.workload) == ("chat-v1", GOOD.identified)
    assert (found.fallback, found.shift_traffic, found.scale_to_zero) == (None, True, True)


def test_a_hold_keeps_the_strictest_terms_that_were_asked_for() -> None:
    strict = ReleaseRule(approvals=3, requester_may_approve=False, approvals_expire="2h")
    lax = ReleaseRule(approvals=1, requester_may_approve=True, approvals_expire="48h")
    placed = answer(policies=[policy(mode="Automatic", release=strict)]).hold
    assert placed is not None
    for later in (policy(release=lax), policy(mode="Automatic", release=strict)):
        kept = answer(hold=placed, policies=[later]).hold
        assert kept is not None
        assert (kept.approvals, kept.requester_may_approve, kept.approvals_expire) == (3, False, "2h")
    grown = answer(hold=HOLD, policies=[policy(release=strict)]).hold
    assert grown is not None
    assert (grown.approvals, grown.requester_may_approve, grown.approvals_expire) == (3, False, "2h")


@pytest.mark.parametrize(
    ("actions", "message"),
    [(Actions(), f"{MOVE}; {SCALE}"), (Actions(scale_to_zero=False), MOVE), (Actions(shift_traffic=False), SCALE)],
)
def test_the_policy_says_which_actions_are_taken(actions: Actions, message: str) -> None:
    verdict = answer(policies=[policy(mode="Automatic", actions=actions)])
    assert verdict.message == message
    assert verdict.hold is not None
    assert (verdict.hold.shift_traffic, verdict.hold.scale_to_zero) == (actions.shift_traffic, actions.scale_to_zero)


def pinned(of: Workload, *digits: str) -> Workload:
    images = tuple(f"registry.example/vllm@sha256:{digit * 64}" for digit in digits)
    return replace(of, images=(*images, "registry.example/proxy:1"))


@pytest.mark.parametrize(
    ("bad", "good", "blocked"),
    [("1", "2", "1"), ("12", "2", "1"), ("1", "1", ""), ("21", "3", "12"), ("", "2", "")],
    ids=["apart", "one shared", "all shared", "sorted", "by tag alone"],
)
def test_images_are_blocked_by_digest_if_the_policy_says_so_and_the_good_one_does_not_run_them(
    bad: str, good: str, blocked: str
) -> None:
    workloads = [pinned(BAD, *bad), pinned(GOOD, *good)]
    asked = policy(mode="Automatic", actions=Actions(block_images=True))
    verdict = answer(policies=[asked], workloads=workloads)
    assert verdict.hold is not None
    expected = [f"sha256:{digit * 64}" for digit in blocked]
    assert verdict.hold.blocked_images == expected
    assert [digest in verdict.message for digest in expected] == [True] * len(blocked)
    silent = answer(policies=[policy(mode="Automatic")], workloads=workloads)
    assert silent.hold is not None
    assert silent.hold.blocked_images == []


def test_a_fallback_is_used_only_while_nothing_is_known_to_be_good() -> None:
    fallback = policy(mode="Automatic", on_no_known_good="Fallback")
    kept, used = (answer(policies=[fallback], model=FALLBACK, **more).hold for more in ({}, UNKNOWN))
    assert kept is not None
    assert kept.fallback is None
    assert used is not None
    assert (used.fallback, used.known_good) == (ServiceReference(name="maintenance", port=80), None)


def test_severity_takes_the_floors_of_model_and_policy_and_the_hints_of_alerts() -> None:
    mild = incident(category="CostHarvesting")
    high = Impact(user_safety=4)
    assert answer(incident=mild).assessment.severity == "SEV3"
    assert answer(incident=mild, model=model(impact_floor=high)).assessment.severity == "SEV1"
    assert answer(incident=mild, policies=[policy(impact_floor=high)]).assessment.severity == "SEV1"
    for hinted in ({"severity_hint": "SEV2"}, {"alerts": [alert(), alert("b" * 16, severity_hint="SEV2")]}):
        assert answer(incident=incident(category="CostHarvesting", **hinted)).assessment.severity == "SEV2"


def test_the_revision_that_the_owner_named_serves_before_others() -> None:
    records = [*REVISIONS, revision("chat-v3", attested_by="ci")]
    for preferred in ("chat-v1", "chat-v3"):
        fleet = [BAD, GOOD, workload("chat-v3")]
        found = answer(
            incident=incident(revision="chat-v2"), model=model(known_good=preferred), workloads=fleet, revisions=records
        )
        assert found.hold is not None
        assert found.hold.known_good is not None
        assert found.hold.known_good.revision == preferred


@pytest.mark.parametrize("taken", [{"held_workloads": {GOOD.uid}}, {"revoked": {"chat-v1"}}])
def test_what_another_incident_holds_or_names_may_not_serve(taken: Mapping[str, Any]) -> None:
    assert answer(incident=incident(revision="chat-v2"), **taken).reason == reasons.NO_KNOWN_GOOD


def test_what_the_policy_asks_for_makes_a_revision_good() -> None:
    soaked = [revision("chat-v2"), revision("chat-v1", since=at(2), earned=2 * 3600)]
    for rule, reason in (
        (KnownGoodRule(soak="2h"), reasons.CONTAINING),
        (KnownGoodRule(soak="3h"), reasons.NO_KNOWN_GOOD),
        (KnownGoodRule(soak="2h", require_attested=True), reasons.NO_KNOWN_GOOD),
    ):
        found = answer(revisions=soaked, policies=[policy(mode="Automatic", known_good=rule)])
        assert found.reason == reason


@pytest.mark.parametrize("mode", ["Automatic", "Approve"])
def test_another_incidents_approval_and_other_decisions_do_not_count(mode: str) -> None:
    earlier = incident(uid="uid-of-an-earlier-one")
    decisions = [
        *decided("ApproveContainment", "alice", of=earlier),
        *decided("ApproveContainment", "alice", of=incident("chat-2", uid=INCIDENT.metadata.uid)),
        *(one for verb in ("Acknowledge", "TakeCommand", "Note", "ApproveRelease") for one in decided(verb, "bob")),
    ]
    verdict = answer(model=model(exempt=True), policies=[policy(mode=mode)], decisions=decisions)
    assert verdict.step is Step.WAIT
