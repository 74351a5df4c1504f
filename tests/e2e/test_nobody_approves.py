"""Decisions of somebody who did not say who they are, where everybody may decide: they count for nothing."""

from __future__ import annotations

import json
import ssl
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import outlive_the_beginning, until
from tests.e2e.raw_api import path_of
from tests.e2e.scene import Scene
from tests.e2e.shapes import BAD, MODEL

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ANONYMOUS = "system:anonymous"
RBAC = "rbac.authorization.k8s.io"


def decide_as_nobody(plane: ControlPlane, scene: Scene) -> tuple[int, Any]:
    """Approves the release without any credentials."""
    uid = scene.incident()["metadata"]["uid"]
    spec = {"incidentName": f"{MODEL}-1", "incidentUID": uid, "verb": "ApproveRelease", "decidedBy": ANONYMOUS}
    body = {
        "apiVersion": "lazaretto.dev/v1alpha1",
        "kind": "IncidentDecision",
        "metadata": {"name": "of-nobody"},
        "spec": {**spec, "reason": "none"},
    }
    address = urlsplit(plane.url)
    tls = ssl.create_default_context(cafile=plane.ca_file)
    connection = HTTPSConnection(address.hostname or "", address.port, timeout=30.0, context=tls)
    path = path_of("incidentdecisions", namespace=scene.namespace)
    connection.request("POST", path, body=json.dumps(body), headers={"Content-Type": "application/json"})
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def test_a_release_that_takes_two_people_is_not_approved_by_one_and_nobody(
    scene: Scene, control_plane: ControlPlane
) -> None:
    everybody = {"kind": "User", "apiGroup": RBAC, "name": ANONYMOUS}
    role = {"kind": "ClusterRole", "apiGroup": RBAC, "name": "lazaretto-responder"}
    meta = {"name": "everybody"}
    scene.create(
        {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": meta, "roleRef": role, "subjects": [everybody]}
    )
    scene.report()
    scene.contained()
    outlive_the_beginning(scene.read("containments", MODEL))
    status, stored = decide_as_nobody(control_plane, scene)
    assert (status, stored["spec"]["decidedBy"]) == (201, ANONYMOUS)
    scene.decide("alice", "ApproveRelease")
    said = until(lambda: _told(scene, "1 so far"), what="alice's approval counts")
    assert f"not counted: {ANONYMOUS} (nobody who said who they are)" in said
    assert scene.replicas(BAD) == 0
    scene.decide("bob", "ApproveRelease")
    scene.await_state("Released")


def _told(scene: Scene, words: str) -> str:
    reason = str(scene.incident()["status"].get("reason", ""))
    return reason if words in reason else ""
