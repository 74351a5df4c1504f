"""The journal on a real API server: what the operator recorded, nobody else writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lazaretto.api import API_VERSION, KINDS
from tests.cluster.access import ClusterAccess, KubectlError
from tests.cluster.control_plane import ControlPlane
from tests.cluster.installation import (
    BREAK_GLASS,
    OPERATOR,
    containment,
    create,
    delete_collection,
    grant,
    refused,
    resource,
)
from tests.unit.install.sources import NAMESPACE

pytestmark = pytest.mark.cluster


def test_only_the_operator_writes_the_journal(cluster: ClusterAccess, guarded: str, tmp_path: Path) -> None:
    operator = ClusterAccess(cluster.service_account_kubeconfig(NAMESPACE, "lazaretto-operator"), folder=tmp_path)
    create(operator, containment(guarded, "m"))
    revision = resource("ModelRevision", "m-r1", guarded, model="m", identity="0" * 64)
    create(operator, revision)
    grant(cluster, guarded, "owner", ("*", "*", "*"))
    status = ("--subresource=status", "--type=merge", "-n", guarded, "-p", '{"status":{"state":"x"}}')
    for user in ("owner", None):
        with refused("journal", "only the operator writes containments/status"):
            cluster.kubectl("patch", "containment", "m", *status, as_user=user)
        with refused("journal", "only the operator writes modelrevisions/status"):
            cluster.kubectl("patch", "modelrevision", "m-r1", *status, as_user=user)
        with refused("journal", "only the operator writes containments;"):
            cluster.kubectl("label", "containment", "m", "a=b", "-n", guarded, as_user=user)
        with refused("journal"):
            cluster.kubectl("delete", "containment", "m", "-n", guarded, as_user=user)
        with refused("journal"):
            create(cluster, containment(guarded, "n"), as_user=user)
    with refused("journal"):
        delete_collection(cluster, "containments", guarded)
    for kind, name in (("Containment", "m"), ("ModelRevision", "m-r1")):
        apply_status(operator, kind, name, guarded, state="x")
    assert cluster.get("containment", "m", "-n", guarded)["status"]["state"] == "x"
    operator.kubectl("delete", "containment", "m", "-n", guarded)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.facts.status_subresource], ids=lambda k: k.facts.kind)
def test_no_status_is_written_by_hand(cluster: ClusterAccess, guarded: str, kind: Any) -> None:
    minimal: dict[str, dict[str, Any]] = {
        "AIIncident": {"source": {"type": "Manual"}},
        "Containment": {"model": "s"},
        "ModelRevision": {"model": "s", "identity": "0" * 64},
        "ProtectedModel": {"workloads": [{"kind": "Deployment", "name": "d"}]},
        "ResponsePolicy": {},
    }
    facts = kind.facts
    by = OPERATOR if facts.kind == "Containment" else None
    create(cluster, resource(facts.kind, "s", guarded, **minimal[facts.kind]), as_user=by)
    patch = ("patch", facts.plural, "s", "-n", guarded, "--subresource=status", "--type=merge", "-p")
    body = '{"status":{"observedGeneration":1}}'
    with refused("journal", f"only the operator writes {facts.plural}/status"):
        cluster.kubectl(*patch, body)
    apply_status(cluster, facts.kind, "s", guarded, as_user=OPERATOR, observedGeneration=1)


def apply_status(
    access: ClusterAccess, kind: str, name: str, namespace: str, *, as_user: str | None = None, **status: Any
) -> None:
    """Writes a status by one request; `kubectl patch` would read it first, and the operator may not."""
    meta = {"name": name, "namespace": namespace}
    text = json.dumps({"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "status": status})
    access.kubectl("apply", "--server-side", "--subresource=status", "-f", "-", as_user=as_user, input=text)


def test_break_glass_writes_the_journal_and_is_marked(
    control_plane: ControlPlane, cluster: ClusterAccess, guarded: str
) -> None:
    mark = control_plane.audit.mark()
    flags = ("--as=ada", f"--as-group={BREAK_GLASS}", "--as-group=system:masters")
    create(cluster, containment(guarded, "m"), *flags)
    cluster.kubectl("delete", "containment", "m", "-n", guarded, *flags)
    records = control_plane.audit.since(mark, namespace=guarded)
    marks = [text for r in records for key, text in r.annotations.items() if key == "lazaretto-journal/break-glass"]
    assert marks == ["ada writes containments m"] * 2
    # The group opens the policy; it grants nothing by itself.
    with pytest.raises(KubectlError, match="cannot create resource"):
        create(cluster, containment(guarded, "m"), "--as=ada", f"--as-group={BREAK_GLASS}")
