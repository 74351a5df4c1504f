"""The receiver with its own account between real Alertmanagers, a real Prometheus and a real API server."""

from __future__ import annotations

import json
import shutil
import ssl
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lazaretto.signals.alertmanager import fingerprint
from tests.cluster.access import ClusterAccess
from tests.cluster.control_plane import ControlPlane
from tests.cluster.monitoring import Prometheus
from tests.cluster.pki import CertificateAuthority, KeyPair
from tests.cluster.receiver import POSTED_PATH, ReceiverProcess, ReceiverTls
from tests.cluster.receiver_stories import (
    SYSTEM,
    TOKENS,
    add_model,
    entries_in,
    firing_alert,
    incidents_in,
    receiver_calls,
    sending_alertmanager,
    webhook_payload,
)
from tests.cluster.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.monitoring]


def test_alertmanager_makes_one_incident_and_repeats_cost_nothing(
    control_plane: ControlPlane,
    cluster: ClusterAccess,
    receiver: ReceiverProcess,
    namespace: str,
    model: str,
    tmp_path: Path,
) -> None:
    mark = control_plane.audit.mark()
    with sending_alertmanager(tmp_path / "am", receiver, repeat="1s") as alertmanager:
        alertmanager.post([firing_alert(namespace, "A", ai_severity="critical"), firing_alert(namespace, "B")])
        until(lambda: len(entries_in(cluster, namespace)) == 2)
        posts = _posts(receiver)
        until(lambda: _posts(receiver) >= posts + 3)
        fingerprints = {alert["fingerprint"] for alert in alertmanager.alerts()}
    [incident] = incidents_in(cluster, namespace)
    assert incident["metadata"]["name"] == "chat-1"
    assert incident["spec"]["source"] == {"type": "Alert", "sender": "alertmanager"}
    entries = incident["spec"]["alerts"]
    assert {entry["fingerprint"] for entry in entries} == fingerprints
    assert {fingerprint(entry["labels"]) for entry in entries} == fingerprints
    assert receiver_calls(control_plane.audit, mark, namespace) in (["create 201"], ["create 201", "patch 200"])


def test_two_alertmanagers_duplicate_everything(
    cluster: ClusterAccess, receiver: ReceiverProcess, namespace: str, model: str, tmp_path: Path
) -> None:
    with (
        sending_alertmanager(tmp_path / "a", receiver) as first,
        sending_alertmanager(tmp_path / "b", receiver) as second,
    ):
        alerts = [firing_alert(namespace, f"A{n}") for n in range(5)]
        first.post(alerts)
        second.post(alerts)
        until(lambda: len(entries_in(cluster, namespace)) == 5)
        time.sleep(2)
    [incident] = incidents_in(cluster, namespace)
    assert all(entry["firings"] == 1 for entry in incident["spec"]["alerts"])


def test_resolved_is_noted_and_releases_nothing_and_flapping_counts(
    cluster: ClusterAccess, receiver: ReceiverProcess, namespace: str, model: str, tmp_path: Path
) -> None:
    with sending_alertmanager(tmp_path / "am", receiver) as alertmanager:
        alertmanager.post([firing_alert(namespace)])
        until(lambda: entries_in(cluster, namespace))
        alertmanager.post([firing_alert(namespace, ends_in=0)])
        until(lambda: "resolvedAt" in entries_in(cluster, namespace)[0])
        time.sleep(1.5)
        alertmanager.post([firing_alert(namespace)])
        [entry] = until(lambda: [e for e in entries_in(cluster, namespace) if e["firings"] == 2])
    assert "resolvedAt" not in entry
    assert entry["lastStartsAt"] > entry["startsAt"]
    [incident] = incidents_in(cluster, namespace)
    assert not incident.get("status", {}).get("times", {})


def test_unlabelled_and_foreign_alerts_are_recorded_and_aim_at_nothing(
    cluster: ClusterAccess, receiver: ReceiverProcess, namespace: str, model: str, tmp_path: Path
) -> None:
    tag = uuid4().hex
    with sending_alertmanager(tmp_path / "am", receiver) as alertmanager:
        alertmanager.post(
            [
                {"labels": {"alertname": "Bare", "tag": tag}},
                firing_alert(namespace, "OtherModel", ai_model="nobody", tag=tag),
                firing_alert("kube-system", "OtherNamespace", target_namespace=namespace, tag=tag),
            ]
        )

        def recorded() -> list[Any]:
            return [
                incident
                for incident in incidents_in(cluster, SYSTEM)
                for entry in incident["spec"]["alerts"]
                if entry["labels"].get("tag") == tag
            ]

        found = until(lambda: recorded() if len(recorded()) == 3 else [])
    assert all("target" not in incident["spec"] for incident in found)
    assert {incident["spec"]["category"] for incident in found} == {"Unknown", "DataLeakage"}
    assert incidents_in(cluster, namespace) == []


def test_prometheus_posts_directly(
    cluster: ClusterAccess, receiver: ReceiverProcess, namespace: str, model: str, tmp_path: Path
) -> None:
    switch, rules, secret = tmp_path / "rules.yml", tmp_path / "rules.yml", tmp_path / "token"
    secret.write_text(TOKENS["prometheus"])
    labels = {"namespace": namespace, "ai_model": model, "ai_category": "ModelDrift", "ai_severity": "SEV2"}

    def rule(expression: str) -> None:
        group = {"name": "g", "rules": [{"alert": "Drift", "expr": expression, "labels": labels}]}
        switch.write_text(json.dumps({"groups": [group]}))

    rule("vector(1) > 0")
    port = receiver.url.rpartition(":")[2]
    config = {
        "global": {"evaluation_interval": "500ms"},
        "rule_files": [str(rules)],
        "alerting": {
            "alertmanagers": [
                {
                    "authorization": {"credentials_file": str(secret)},
                    "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
                }
            ]
        },
    }
    before = receiver.log.read_text().count(POSTED_PATH)
    with Prometheus(tmp_path / "prom", config=json.dumps(config)) as prometheus:
        until(lambda: entries_in(cluster, namespace))
        until(lambda: receiver.log.read_text().count(POSTED_PATH) >= before + 3)
        [alert] = prometheus.alerts()
        assert alert["state"] == "firing"
    [incident] = incidents_in(cluster, namespace)
    assert incident["spec"]["category"] == "ModelDrift"
    assert incident["spec"]["source"]["sender"] == "prometheus"
    [entry] = incident["spec"]["alerts"]
    assert entry["severityHint"] == "SEV2"
    assert entry["firings"] == 1


def test_both_ways_at_once_are_one_entry(
    cluster: ClusterAccess, receiver: ReceiverProcess, namespace: str, model: str, tmp_path: Path
) -> None:
    alert = {**firing_alert(namespace), "endsAt": "2999-01-01T00:00:00Z"}
    with sending_alertmanager(tmp_path / "am", receiver) as alertmanager:
        alertmanager.post([alert])
        assert receiver.post([alert], path=POSTED_PATH, token=TOKENS["prometheus"])[0] == 200
        time.sleep(3)
    [entry] = entries_in(cluster, namespace)
    assert entry["firings"] == 1


def test_tls_client_certificate_and_rotation_with_a_real_alertmanager(
    cluster: ClusterAccess, namespace: str, model: str, tmp_path: Path
) -> None:
    """Alertmanager checks our certificate and shows its own; both sides' authority is replaced while all runs."""
    old, new = CertificateAuthority(tmp_path / "old"), CertificateAuthority(tmp_path / "new")
    files = {name: tmp_path / name for name in ("tls.crt", "tls.key", "ca.crt", "am.crt", "am.key")}

    def install(authority: CertificateAuthority) -> None:
        serving = authority.serving("receiver", dns_names=["receiver"], addresses=["127.0.0.1"])
        client = authority.client("alertmanager-main")
        sources = (serving.certificate, serving.key, authority.certificate, client.certificate, client.key)
        for source, target in zip(sources, files.values(), strict=True):
            shutil.copy(source, target.with_suffix(".new"))
            target.with_suffix(".new").replace(target)

    install(old)
    tls = ReceiverTls(
        serving=KeyPair(certificate=files["tls.crt"], key=files["tls.key"]),
        ca=files["ca.crt"],
        client_ca=files["ca.crt"],
    )
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-receiver")
    own = ReceiverProcess(tmp_path / "own", kubeconfig, namespace=SYSTEM, tokens=TOKENS, tls=tls)
    trust = {"ca_file": str(files["ca.crt"]), "cert_file": str(files["am.crt"]), "key_file": str(files["am.key"])}
    with own, sending_alertmanager(tmp_path / "am", own, http={"tls_config": trust}) as alertmanager:
        alertmanager.post([firing_alert(namespace, "Before")])
        until(lambda: entries_in(cluster, namespace))
        install(new)
        until(lambda: "taken over" in own.log.read_text())
        alertmanager.post([firing_alert(namespace, "After")])
        until(lambda: len(entries_in(cluster, namespace)) == 2)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            own.post(webhook_payload(), token="", client=old.client("alertmanager-main"))
        assert own.post(webhook_payload(), token="")[0] == 401
        assert own.post(webhook_payload())[0] == 200
    [incident] = incidents_in(cluster, namespace)
    assert incident["spec"]["source"]["sender"] == "alertmanager-main"


def test_wrong_token_stores_nothing(
    cluster: ClusterAccess, receiver: ReceiverProcess, namespace: str, model: str, tmp_path: Path
) -> None:
    assert receiver.post(webhook_payload(firing_alert(namespace)), token="wrong")[0] == 401
    with sending_alertmanager(tmp_path / "am", receiver, token="wrong") as alertmanager:
        alertmanager.post([firing_alert(namespace)])
        time.sleep(2)
    assert incidents_in(cluster, namespace) == []


@pytest.mark.usefixtures("recovered")
def test_api_server_away_is_503_and_alertmanager_delivers_when_it_is_back(
    control_plane: ControlPlane,
    cluster: ClusterAccess,
    receiver: ReceiverProcess,
    namespace: str,
    model: str,
    tmp_path: Path,
) -> None:
    with sending_alertmanager(tmp_path / "am", receiver) as alertmanager:
        control_plane.stop_apiserver()
        try:
            status, answer = receiver.post(webhook_payload(firing_alert(namespace, "Direct")))
            assert status == 503, answer
            alertmanager.post([firing_alert(namespace, "ThroughAlertmanager")])
            time.sleep(2)
        finally:
            control_plane.start_apiserver()
        until(lambda: entries_in(cluster, namespace))
    assert [entry["name"] for entry in entries_in(cluster, namespace)] == ["ThroughAlertmanager"]
    add_model(cluster, namespace, "later")
    status, answer = until(
        lambda: _created(receiver.post(webhook_payload(firing_alert(namespace, ai_model="later"))), namespace),
    )
    assert answer["created"] == [f"{namespace}/later-1"]


def _posts(receiver: ReceiverProcess) -> int:
    return receiver.log.read_text().count("POST /api/v1/alertmanager")


def _created(answered: tuple[int, Any], namespace: str) -> tuple[int, Any] | None:
    return answered if answered[0] == 200 and answered[1]["created"][:1] == [f"{namespace}/later-1"] else None
