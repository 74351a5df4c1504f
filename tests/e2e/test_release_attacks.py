"""Decisions that were stored and must not release, and games with what a containment is attached to.

Whether a pass has seen all of it is told by a move that it must undo: a model that was let go would stay up.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.cluster.audit import AuditLog, Mark
from tests.cluster.waiting import until
from tests.e2e.ledger import Ledger
from tests.e2e.raw_api import RefusedError
from tests.e2e.scene import OPERATOR, RECEIVER, Scene, Stage, refused
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape, policy
from tests.e2e.test_alert_to_containment import stopped

pytestmark = pytest.mark.cluster

HELD_WEIGHTS = {GOOD: 100, BAD: 0}
ALONE = {"approvals": 1, "requesterMayApprove": False}
LAX = {"approvals": 1, "requesterMayApprove": True, "approvalsExpire": "9999h"}
SHAPES = {
    "alone": Shape(policies={"ask-first": policy("Approve", release=ALONE)}),
    "early": Shape(policies={"ask-first": policy("Approve", release={"requesterMayApprove": True})}),
    "wrong": Shape(),
    "labels": Shape(by_labels=True),
    "objects": Shape(by_labels=True),
}


@pytest.fixture(scope="module")
def began(audit: AuditLog) -> Mark:
    """The end of the audit log before anything of this module happened."""
    return audit.mark()


@pytest.fixture(scope="module")
def scenes(stage: Stage, began: Mark) -> dict[str, Scene]:
    # Without the fence, so that there is something to undo.
    return stage.build_all({name: replace(shape, fenced=False) for name, shape in SHAPES.items()})


def assert_still_held(scene: Scene) -> None:
    """Somebody scales the model up, and a pass that knows all that was tried scales it down again."""
    with scene.watched("deployments") as watcher:
        watcher.first("deployments", stopped, name=BAD)
        scene.scale(BAD, 2)
        raised = watcher.first("deployments", lambda body: not stopped(body), name=BAD)
        until(
            lambda: [v for v in watcher.seen("deployments", BAD) if v.at > raised.at and stopped(v.body)],
            what="the move is undone",
        )
    assert scene.weights() == HELD_WEIGHTS
    assert [h["releasing"] for h in scene.read("containments", MODEL)["spec"]["holds"]] == [False]


def reason_with(scene: Scene, text: str) -> str:
    """Waits until the incident's reason says this, and returns all of it."""
    return until(lambda: _reason(scene) if text in _reason(scene) else "", what=f"a reason with {text!r}")  # type: ignore[no-any-return]


def _reason(scene: Scene) -> str:
    return str(scene.incident()["status"].get("reason", ""))


def test_who_asked_for_the_containment_does_not_release_it_whatever_becomes_of_the_policy(
    scenes: dict[str, Scene],
) -> None:
    scene = scenes["alone"]
    before = scene.specs()
    scene.report()
    scene.await_state("AwaitingApproval")
    scene.decide("alice", "ApproveContainment")
    scene.contained()
    scene.decide("alice", "ApproveRelease")
    assert "1 approvals of different people, 0 so far" in reason_with(scene, "alice (approved the containment)")
    scene.patch("responsepolicies", "ask-first", {"spec": {"release": LAX}})
    assert_still_held(scene)
    scene.admin.delete("responsepolicies", namespace=scene.namespace, name="ask-first")
    assert_still_held(scene)
    # Without a policy two are needed by default: the containment's number grows, and that stays.
    assert "alice (approved the containment)" in reason_with(scene, "2 approvals of different people, 0 so far")
    hold = scene.read("containments", MODEL)["spec"]["holds"][0]
    assert (hold["approvals"], hold["requesterMayApprove"], hold["approvalsExpire"]) == (2, False, "24h")
    scene.decide("bob", "ApproveRelease")
    reason_with(scene, "1 so far; not counted: alice")
    assert_still_held(scene)
    assert scene.specs() != before


def test_an_approval_from_before_the_containment_counts_for_nothing_and_can_be_given_again(
    scenes: dict[str, Scene],
) -> None:
    scene = scenes["early"]
    before = scene.specs()
    scene.report()
    scene.await_state("AwaitingApproval")
    scene.decide("bob", "ApproveRelease")
    scene.decide("alice", "ApproveContainment")
    scene.contained()
    scene.decide("alice", "ApproveRelease")
    said = reason_with(scene, "1 so far")
    assert "not counted: bob (before the containment began, or in the same second)" in said
    assert_still_held(scene)
    scene.decide("bob", "ApproveRelease")
    released = scene.await_state("Released")
    assert sorted(a["by"] for a in released["status"]["approvals"]) == ["alice", "bob"]
    assert scene.specs() == before


WRONG: dict[str, dict[str, str]] = {
    "the uid of another incident": {"incidentUID": str(uuid.UUID(int=1))},
    "no uid at all": {"incidentUID": "none"},
    "the name of another incident": {"incidentName": f"{MODEL}-2"},
}


def test_approvals_that_are_about_something_else_release_nothing(scenes: dict[str, Scene]) -> None:
    scene = scenes["wrong"]
    scene.report()
    scene.contained()
    for fields in WRONG.values():
        for user in ("alice", "bob"):
            scene.decide(user, "ApproveRelease", **fields)
    for verb in ("Acknowledge", "TakeCommand", "Note", "Close"):
        for user in ("alice", "bob"):
            scene.decide(user, verb)
    assert "403" in refused(lambda: scene.decide("alice", "ApproveRelease", decidedBy="bob"))
    for _ in range(3):
        scene.decide("alice", "ApproveRelease")
    reason_with(scene, "needs 2 approvals of different people, 1 so far")
    assert_still_held(scene)
    about = {"incidentName": f"{MODEL}-1", "incidentUID": scene.incident()["metadata"]["uid"]}
    for each in scene.all("incidentdecisions"):
        change = partial(scene.patch, "incidentdecisions", each["metadata"]["name"])
        if about.items() <= each["spec"].items() and each["spec"]["verb"] == "ApproveRelease":
            assert "a decision never changes" in refused(partial(change, {"spec": {"decidedBy": "bob"}}))
        else:
            assert "a decision never changes" in refused(partial(change, {"spec": {**about, "verb": "ApproveRelease"}}))
    assert_still_held(scene)


def test_labels_and_annotations_hold_nothing_so_removing_them_lets_nothing_go(scenes: dict[str, Scene]) -> None:
    scene = scenes["labels"]
    scene.report()
    scene.contained()
    for plural in ("aiincidents", "protectedmodels", "deployments", "httproutes", "horizontalpodautoscalers"):
        for each in scene.all(plural):
            strip(scene, plural, each)
    # The model selects its Deployments by labels that none has any more.
    assert_still_held(scene)
    scene.patch("protectedmodels", MODEL, {"spec": {"workloads": [{"kind": "Deployment", "name": "another"}]}})
    scene.patch("protectedmodels", MODEL, {"spec": {"exempt": True, "exemptReason": "so that nothing holds it"}})
    scene.patch("aiincidents", f"{MODEL}-1", {"spec": {"impact": {"userSafety": 0}, "drill": True}})
    assert_still_held(scene)


def strip(scene: Scene, plural: str, body: Any) -> None:
    """Removes every label and annotation of an object."""
    meta = body["metadata"]
    gone = {
        part: dict.fromkeys(meta.get(part) or {}) | {"lazaretto.dev/protected": "false", "lazaretto.dev/model": "x"}
        for part in ("labels", "annotations")
    }
    scene.patch(plural, meta["name"], {"metadata": gone})


def test_whoever_deletes_the_record_releases_nothing(scenes: dict[str, Scene]) -> None:
    scene = scenes["objects"]
    scene.report()
    scene.contained()
    about = scene.incident()["metadata"]
    scene.decide("alice", "ApproveRelease")
    for plural, name in (("aiincidents", f"{MODEL}-1"), ("protectedmodels", MODEL)):
        scene.admin.delete(plural, namespace=scene.namespace, name=name)
    for each in scene.all("responsepolicies"):
        scene.admin.delete("responsepolicies", namespace=scene.namespace, name=each["metadata"]["name"])
    assert_still_held(scene)
    # One of the same name is another one, though everything else about it is the same.
    scene.report()
    assert scene.incident()["metadata"]["uid"] != about["uid"]
    scene.decide("bob", "ApproveRelease")
    assert_held_by(scene, about["uid"])
    with pytest.raises(RefusedError, match="only the group lazaretto:break-glass"):
        scene.admin.delete(
            "incidentdecisions", namespace=scene.namespace, name=scene.all("incidentdecisions")[0]["metadata"]["name"]
        )


def assert_held_by(scene: Scene, uid: str) -> None:
    assert_still_held(scene)
    assert [h["incidentUID"] for h in scene.read("containments", MODEL)["spec"]["holds"]] == [uid]


def test_through_all_of_this_the_accounts_asked_for_nothing_but_their_work(
    scenes: dict[str, Scene], audit: AuditLog, began: Mark
) -> None:
    """The audit log of the whole module: known verbs on known kinds, none refused for lack of rights."""
    ledgers = [Ledger(audit, scene.namespace, mark=began) for scene in scenes.values()]
    ledgers[-1].settled()
    asked = {user: set().union(*(ledger.counted(user) for ledger in ledgers)) for user in (OPERATOR, RECEIVER)}
    assert asked[OPERATOR] >= {"patch deployments/scale", "patch aiincidents/status"}
    assert {user: set().union(*(ledger.excess(user) for ledger in ledgers)) for user in asked} == {
        user: set() for user in asked
    }
    # Nowhere else in the cluster did they act as anybody but themselves, or touch what could give them rights.
    calls = list(audit.since(began, users=[OPERATOR, RECEIVER]))
    assert {call.impersonated for call in calls} == {""}
    assert not {call.resource for call in calls} & {"secrets", "roles", "rolebindings", "clusterroles", "tokenreviews"}
