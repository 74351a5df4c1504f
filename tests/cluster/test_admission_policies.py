"""All admission policies together: the server takes them, and they leave alone what they must not stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazaretto.api import GROUP
from lazaretto.domain.admission import ENFORCED
from tests.cluster.access import ClusterAccess
from tests.cluster.installation import (
    OPERATOR,
    RECEIVER,
    containment,
    create,
    dry_run,
    grant,
    incident,
    probe_decision,
    refused,
)
from tests.cluster.waiting import until
from tests.unit.install.sources import NAMESPACE

pytestmark = pytest.mark.cluster


def test_every_policy_compiles_without_a_warning(cluster: ClusterAccess) -> None:
    """A policy that the server refuses leaves its binding behind, and guards nothing."""

    def checked() -> bool:
        found = cluster.get("validatingadmissionpolicies", "-l", "app.kubernetes.io/name=lazaretto")["items"]
        assert {each["metadata"]["name"] for each in found} == set(ENFORCED)
        states = [each.get("status", {}) for each in found]
        return all("typeChecking" in state and not state["typeChecking"].get("expressionWarnings") for state in states)

    until(checked)


def test_an_incident_is_created_by_who_may_switch_the_model_off(
    cluster: ClusterAccess, guarded: str, tmp_path: Path
) -> None:
    obj = incident(guarded, "m-1")
    grant(cluster, guarded, "nobody", (GROUP, "aiincidents", "create"))
    with refused("incident-creators", f"needs the verb contain .* in namespace {guarded}, and nobody has neither"):
        dry_run(cluster, obj, as_user="nobody")
    grant(cluster, guarded, "ada", (GROUP, "aiincidents", "create,contain"))
    grant(cluster, guarded, "joan", (GROUP, "aiincidents", "create"), ("apps", "deployments/scale", "patch"))
    grant(cluster, guarded, "mary", (GROUP, "aiincidents", "create"), ("apps", "deployments", "patch"))
    dry_run(cluster, obj, as_user="ada")
    dry_run(cluster, obj, as_user="joan")
    with refused("incident-creators"):
        dry_run(cluster, obj, as_user="mary")
    receiver = ClusterAccess(cluster.service_account_kubeconfig(NAMESPACE, "lazaretto-receiver"), folder=tmp_path)
    create(receiver, obj)


def test_a_namespace_with_decisions_and_containments_can_be_deleted(cluster: ClusterAccess, guarded: str) -> None:
    create(cluster, containment(guarded, "m"), as_user=OPERATOR)
    create(cluster, incident(guarded, "m-1"), as_user=RECEIVER)
    probe_decision(cluster, guarded)
    cluster.kubectl("delete", "namespace", guarded, "--timeout=90s")
