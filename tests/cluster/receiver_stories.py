"""Alerts and the surroundings of a receiver under test: who sends, who looks, what is expected to be there.

`receiver_as_itself` runs the receiver under its own account; `sending_alertmanager` is a real one that sends to it.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lazaretto.signals.alertmanager import fingerprint
from tests.cluster.access import ClusterAccess
from tests.cluster.audit import AuditLog, AuditRecord, Mark
from tests.cluster.monitoring import Alertmanager
from tests.cluster.receiver import ReceiverProcess

SYSTEM = "lazaretto-system"
ACCOUNT = f"system:serviceaccount:{SYSTEM}:lazaretto-receiver"
TOKENS = {"alertmanager": "one-long-secret-of-alertmanager", "prometheus": "one-long-secret-of-prometheus"}
Alert = dict[str, Any]


def receiver_as_itself(cluster: ClusterAccess, root: Path, *flags: str) -> ReceiverProcess:
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-receiver")
    return ReceiverProcess(root, kubeconfig, namespace=SYSTEM, tokens=TOKENS, flags=flags)


def add_model(cluster: ClusterAccess, namespace: str, name: str) -> str:
    body = {
        "apiVersion": "lazaretto.dev/v1alpha1",
        "kind": "ProtectedModel",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"workloads": [{"kind": "Deployment", "name": name}]},
    }
    cluster.apply(body)
    time.sleep(1)  # the receiver's watch, on a busy machine
    return name


def firing_alert(namespace: str, name: str = "Leak", *, ends_in: float | None = None, **labels: str) -> Alert:
    """An alert for Alertmanager's API; `ends_in` seconds, else it fires on."""
    all_labels = {"alertname": name, "namespace": namespace, "ai_model": "chat", "ai_category": "DataLeakage", **labels}
    # Both from one reading of the clock: Alertmanager refuses an alert that ends before it began.
    now = datetime.now(UTC)
    ends = {} if ends_in is None else {"endsAt": (now + timedelta(seconds=ends_in)).isoformat()}
    return {"labels": all_labels, "annotations": {"summary": "it leaks"}, "startsAt": now.isoformat(), **ends}


def moment_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def webhook_payload(*alerts: Alert) -> Alert:
    full = [
        {"status": "firing", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": fingerprint(a["labels"]), **a}
        for a in alerts
    ]
    return {"version": "4", "alerts": full}


def sending_alertmanager(
    root: Path,
    receiver: ReceiverProcess,
    *,
    repeat: str = "1h",
    token: str = "",
    http: Alert | None = None,
    most_alerts: int = 0,
) -> Alertmanager:
    """Alertmanager with a token, or with `http` as its way to show who it is.

    It sends at most so many alerts of a group, unless `most_alerts` is 0.
    """
    file = root.parent / f"{root.name}.token"
    file.write_text(token or TOKENS["alertmanager"])
    shown = http or {"authorization": {"type": "Bearer", "credentials_file": str(file)}}
    webhook = {
        "url": receiver.webhook_url,
        "send_resolved": True,
        "max_alerts": most_alerts,
        "http_config": {**shown, "follow_redirects": False},
    }
    route = {
        "receiver": "lazaretto",
        "group_by": ["namespace", "ai_model"],
        "group_wait": "0s",
        "group_interval": "1s",
        "repeat_interval": repeat,
    }
    config = {"route": route, "receivers": [{"name": "lazaretto", "webhook_configs": [webhook]}]}
    return Alertmanager(root, config=json.dumps(config))


def incidents_in(cluster: ClusterAccess, namespace: str) -> list[Any]:
    items: list[Any] = cluster.get("aiincidents", "-n", namespace)["items"]
    return items


def entries_in(cluster: ClusterAccess, namespace: str) -> list[Any]:
    return [entry for incident in incidents_in(cluster, namespace) for entry in incident["spec"].get("alerts", [])]


def receiver_calls(audit: AuditLog, mark: Mark, namespace: str) -> list[str]:
    """What the receiver's account asked for in one namespace: `create 201`, `patch 200`, …"""
    time.sleep(0.3)
    records: list[AuditRecord] = list(audit.since(mark, users=[ACCOUNT], namespace=namespace))
    assert {record.resource for record in records} <= {"aiincidents", "protectedmodels"}
    return [f"{record.verb} {record.code}" for record in records]
