"""Decisions on a real API server: whose name and which verb each one takes, and that they stay."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from lazaretto.api import API_VERSION, GROUP
from lazaretto.api.incidentdecision import RBAC_VERBS
from tests.cluster.access import ClusterAccess
from tests.cluster.control_plane import ControlPlane
from tests.cluster.installation import (
    BREAK_GLASS,
    administrator,
    create,
    decision,
    delete_collection,
    dry_run,
    grant,
    incident,
    probe_decision,
    refused,
)

pytestmark = pytest.mark.cluster


def test_nobody_decides_in_the_name_of_somebody_else(cluster: ClusterAccess, guarded: str) -> None:
    grant(cluster, guarded, "ada", (GROUP, "incidentdecisions", "create"), (GROUP, "aiincidents", "release"))
    create(cluster, decision(guarded, "own", by="ada", verb="ApproveRelease"), as_user="ada")
    with refused("decisions", "must be your own user name, ada"):
        create(cluster, decision(guarded, "forged", by="grace", verb="ApproveRelease"), as_user="ada")
    # An administrator holds every verb, and yet no other name.
    with refused("decisions", "must be your own user name"):
        create(cluster, decision(guarded, "forged", by="ada", verb="ApproveRelease"))


def test_a_certificate_s_name_is_the_name_that_counts(
    cluster: ClusterAccess, control_plane: ControlPlane, guarded: str, tmp_path: Path
) -> None:
    grant(cluster, guarded, "grace", (GROUP, "incidentdecisions", "create"), (GROUP, "aiincidents", "contain"))
    grace = ClusterAccess(control_plane.user_kubeconfig("grace"), folder=tmp_path)
    create(grace, decision(guarded, "own", by="grace", verb="ApproveContainment"))
    with refused("decisions"):
        create(grace, decision(guarded, "forged", by="ada", verb="ApproveContainment"))


@pytest.mark.parametrize("held", sorted(set(RBAC_VERBS.values())))
def test_each_decision_needs_its_own_verb(cluster: ClusterAccess, guarded: str, held: str) -> None:
    user = f"only-{held}"
    grant(cluster, guarded, user, (GROUP, "incidentdecisions", "create"), (GROUP, "aiincidents", held))
    for verb, needed in RBAC_VERBS.items():
        obj = decision(guarded, verb.lower(), by=user, verb=verb)
        if needed == held:
            dry_run(cluster, obj, as_user=user)
        else:
            with refused("decisions", f"{verb} needs the verb {needed} on aiincidents.{GROUP} in namespace {guarded}"):
                dry_run(cluster, obj, as_user=user)


def test_a_verb_can_be_granted_for_one_incident(cluster: ClusterAccess, guarded: str) -> None:
    grant(cluster, guarded, "ada", (GROUP, "incidentdecisions", "create"))
    flags = ("--verb=release", f"--resource=aiincidents.{GROUP}", "--resource-name=m-1", "-n", guarded)
    cluster.kubectl("create", "role", "one", *flags)
    cluster.kubectl("create", "rolebinding", "one", "--role=one", "--user=ada", "-n", guarded)
    dry_run(cluster, decision(guarded, "a", by="ada", verb="ApproveRelease"), as_user="ada")
    with refused("decisions", "needs the verb release"):
        dry_run(cluster, decision(guarded, "b", by="ada", verb="ApproveRelease", incident="m-2"), as_user="ada")


def test_the_responder_s_role_is_enough_for_every_decision(cluster: ClusterAccess, guarded: str) -> None:
    cluster.kubectl("create", "rolebinding", "r", "--clusterrole=lazaretto-responder", "--user=ada", "-n", guarded)
    for verb in RBAC_VERBS:
        dry_run(cluster, decision(guarded, verb.lower(), by="ada", verb=verb), as_user="ada")
    dry_run(cluster, incident(guarded, "m-1"), as_user="ada")


def test_decisions_are_kept(cluster: ClusterAccess, guarded: str) -> None:
    probe_decision(cluster, guarded)
    with refused("decisions-kept", f"only the group {BREAK_GLASS}"):
        cluster.kubectl("delete", "incidentdecision", "probe", "-n", guarded)
    with refused("decisions-kept"):
        cluster.kubectl("delete", "incidentdecision", "--all", "-n", guarded)
    with refused("decisions-kept"):
        delete_collection(cluster, "incidentdecisions", guarded)
    # Others may label it.
    cluster.kubectl("label", "incidentdecision", "probe", "a=b", "-n", guarded)
    flags = ("--as=ada", f"--as-group={BREAK_GLASS}", "--as-group=system:masters")
    cluster.kubectl("delete", "incidentdecision", "probe", "-n", guarded, *flags)


def test_a_decision_goes_with_its_incident_and_with_no_other_owner(cluster: ClusterAccess, guarded: str) -> None:
    made = create(cluster, incident(guarded, "m-1"))
    uid = made["metadata"]["uid"]
    own = decision(guarded, "own", by=administrator(cluster))
    own["spec"]["incidentUID"] = uid
    owner = {"apiVersion": API_VERSION, "kind": "AIIncident", "name": "m-1", "uid": uid}
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "mine", "uid": str(uuid.uuid4())}
    own["metadata"]["ownerReferences"] = [owner, other]
    with refused("decisions", "owned by its incident"):
        create(cluster, own)
    own["metadata"]["ownerReferences"] = [owner]
    create(cluster, own)
    for patch in ([other], [owner, other], []):
        with refused("decisions-kept", "changes their owners"):
            body = json.dumps({"metadata": {"ownerReferences": patch}})
            cluster.kubectl("patch", "incidentdecision", "own", "-n", guarded, "--type=merge", "-p", body)
    cluster.kubectl("delete", "aiincident", "m-1", "-n", guarded)
    cluster.kubectl("wait", "--for=delete", "incidentdecision/own", "-n", guarded, "--timeout=90s")
