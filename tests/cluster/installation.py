"""Lazaretto as it is installed: its accounts, requests for objects of its kinds, and who is let through.

Objects are as small as their kind allows. `refused` names the admission policy that must have refused a request.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lazaretto.api import API_VERSION
from tests.cluster.access import ClusterAccess, KubectlError
from tests.cluster.waiting import until
from tests.unit.install.sources import NAMESPACE

OPERATOR = f"system:serviceaccount:{NAMESPACE}:lazaretto-operator"
RECEIVER = f"system:serviceaccount:{NAMESPACE}:lazaretto-receiver"
BREAK_GLASS = "lazaretto:break-glass"
OPTED_IN, ELSEWHERE, CLUSTER = "opted-in", "elsewhere", ""
"""Where something is asked for; the fixture `places` has the namespaces."""


def resource(kind: str, name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "spec": spec}


def decision(namespace: str, name: str, *, by: str, verb: str = "Note", incident: str = "m-1") -> dict[str, Any]:
    return resource(
        "IncidentDecision",
        name,
        namespace,
        incidentName=incident,
        incidentUID="uid-1",
        verb=verb,
        decidedBy=by,
        reason="test",
        **({"backlog": "Leave"} if verb == "ResetLimits" else {}),
    )


def incident(namespace: str, name: str) -> dict[str, Any]:
    return resource("AIIncident", name, namespace, source={"type": "Manual"}, target={"model": "m"})


def containment(namespace: str, name: str) -> dict[str, Any]:
    return resource("Containment", name, namespace, model=name)


def create(cluster: ClusterAccess, obj: Mapping[str, Any], *flags: str, as_user: str | None = None) -> dict[str, Any]:
    text = cluster.kubectl("create", "-f", "-", "-o", "json", *flags, as_user=as_user, input=json.dumps(obj))
    found: dict[str, Any] = json.loads(text)
    return found


def dry_run(cluster: ClusterAccess, obj: Mapping[str, Any], *flags: str, as_user: str | None = None) -> None:
    create(cluster, obj, "--dry-run=server", *flags, as_user=as_user)


def refused(policy: str, message: str = "") -> Any:
    return pytest.raises(KubectlError, match=rf"ValidatingAdmissionPolicy 'lazaretto-{policy}'.*denied.*{message}")


def fails(call: Callable[[], object]) -> bool:
    """Whether kubectl fails."""
    try:
        call()
    except KubectlError:
        return True
    return False


def await_open(cluster: ClusterAccess) -> None:
    """Waits until opted-in namespaces take what they must.

    A server that starts looks for the kinds of policies' parameters at once, and then every 30 s; until it has found
    them it refuses whatever such policies match.
    """
    place = f"test-open-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", place)
    cluster.kubectl("label", "namespace", place, "lazaretto.dev/protected=true")
    attempt = ("create", "deployment", "probe", "--image=probe", "--replicas=0", "-n", place, "--dry-run=server")
    until(lambda: not fails(lambda: cluster.kubectl(*attempt)), what="opted-in namespaces are open")
    cluster.kubectl("delete", "namespace", place, "--wait=false")


def grant(cluster: ClusterAccess, namespace: str, user: str, *rules: tuple[str, str, str]) -> None:
    """Gives `user` a Role with rules of (group, resource, comma-separated verbs)."""
    name = user.replace(":", "-")
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace},
        "rules": [{"apiGroups": [g], "resources": [r], "verbs": v.split(",")} for g, r, v in rules],
    }
    cluster.apply(role)
    cluster.kubectl("create", "rolebinding", name, f"--role={name}", f"--user={user}", "-n", namespace)


def probe_decision(cluster: ClusterAccess, namespace: str) -> str:
    """Makes a decision in the administrator's own name and returns its name."""
    create(cluster, decision(namespace, "probe", by=administrator(cluster)))
    return "probe"


def administrator(cluster: ClusterAccess) -> str:
    return cluster.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")


def denied(probe: Callable[[], object], policy: str) -> bool:
    try:
        probe()
    except KubectlError as error:
        return f"ValidatingAdmissionPolicy 'lazaretto-{policy}'" in error.stderr
    return False


def delete_collection(cluster: ClusterAccess, plural: str, namespace: str) -> None:
    cluster.kubectl("delete", "--raw", f"/apis/{API_VERSION}/namespaces/{namespace}/{plural}")
