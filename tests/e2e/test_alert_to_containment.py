"""From an alert of a real rule to a contained model: what happened, in which order, and who asked for what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.audit import AuditLog
from tests.cluster.monitoring import Prometheus
from tests.cluster.receiver import ReceiverProcess
from tests.cluster.waiting import until
from tests.e2e.alerting import RULES, Guardrail, alert, alertmanager
from tests.e2e.ledger import Ledger, named
from tests.e2e.raw_api import Object
from tests.e2e.scene import OPERATOR, RECEIVER, Scene
from tests.e2e.shapes import BAD, GOOD, MODEL
from tests.e2e.watcher import Watcher

pytestmark = [pytest.mark.cluster, pytest.mark.monitoring]


def stopped(deployment: Object) -> bool:
    return bool(deployment["spec"]["replicas"] == 0)


def cut_off(route: Object) -> bool:
    backends = route["spec"]["rules"][0]["backendRefs"]
    weights = {backend["name"]: backend["weight"] for backend in backends}
    return bool(weights[BAD] == 0 and weights[GOOD] > 0)


def held_down(autoscaler: Object) -> bool:
    return bool(autoscaler["spec"].get("behavior", {}).get("scaleUp", {}).get("selectPolicy") == "Disabled")


HELD = (("deployments", BAD, stopped), ("httproutes", MODEL, cut_off), ("horizontalpodautoscalers", BAD, held_down))


def test_a_leak_seen_by_the_real_rule_takes_the_model_out_of_service(
    scene: Scene, receiver: ReceiverProcess, audit: AuditLog, prometheus_port: int, tmp_path: Path
) -> None:
    _show_that_the_autoscaler_acts(scene)
    ledger = Ledger(audit, scene.namespace)
    with (
        scene.watched() as watcher,
        Guardrail(scene.namespace) as guardrail,
        alertmanager(tmp_path / "alertmanager", receiver) as manager,
        Prometheus(
            tmp_path / "prometheus",
            targets={"guardrail": [guardrail.address]},
            rules=[RULES],
            alertmanagers=[manager.url],
            port=prometheus_port,
        ) as prometheus,
    ):
        until(lambda: prometheus.query("ai:guardrail_output_verdicts:rate1m"), what="the rule records")
        guardrail.leak()
        seen = {name: watcher.first(name, holds, name=which) for name, which, holds in HELD}
        incident = scene.contained()
        stored = watcher.first("aiincidents", bool)
        print({name: f"{version.at - stored.at:.3f} s after the incident" for name, version in seen.items()})
        _assert_told(scene, incident)
        _assert_onset(scene)
        _assert_order(watcher, ledger)
        scene.patch("horizontalpodautoscalers", BAD, {"spec": {"minReplicas": 6}})
        until(lambda: _autoscaler_has_seen(scene), what="the real autoscaler looked at the new minimum")
    assert all(stopped(v.body) for v in watcher.seen("deployments", BAD) if v.at > seen["deployments"].at)
    assert not ledger.excess(OPERATOR) | ledger.excess(RECEIVER)
    assert ledger.counted(RECEIVER)["create aiincidents"] == 1


def _show_that_the_autoscaler_acts(scene: Scene) -> None:
    """Without this, nothing happening later would prove nothing."""
    scene.patch("horizontalpodautoscalers", BAD, {"spec": {"minReplicas": 4}})
    until(lambda: scene.replicas() == 4, what="the real autoscaler raises replicas")
    scene.patch("horizontalpodautoscalers", BAD, {"spec": {"minReplicas": 3}})


def _autoscaler_has_seen(scene: Scene) -> bool:
    status = scene.read("horizontalpodautoscalers", BAD)["status"]
    reasons = [c["reason"] for c in status.get("conditions", []) if c["type"] == "ScalingActive"]
    return bool(reasons == ["ScalingDisabled"] and status["desiredReplicas"] == 0)


def _assert_told(scene: Scene, incident: Object) -> None:
    assert [each["metadata"]["name"] for each in scene.all("aiincidents")] == [f"{MODEL}-1"]
    assert [each["metadata"]["name"] for each in scene.all("containments")] == [MODEL]
    assert incident["spec"]["source"] == {"type": "Alert", "sender": "alertmanager"}
    assert incident["spec"]["target"] == {"model": MODEL, "revision": BAD}
    [entry] = incident["spec"]["alerts"]
    assert entry["name"] == "GuardrailOutputLeak"
    status = incident["status"]
    assert (status["severity"], status["policy"], status["mode"]) == ("SEV1", "leaks-at-once", "Automatic")
    assert status["containment"]["compromised"] == [f"Deployment/{BAD}"]
    assert scene.replicas(GOOD) == 2
    pods = [p for p in scene.all("pods") if p["metadata"]["labels"].get("revision") == "v2"]
    assert pods == [], "contained means that no pod of the bad revision is left"


def _assert_onset(scene: Scene) -> None:
    """Prometheus itself says since when its rule's condition held, and that is when the trouble began."""
    times = until(
        lambda: (found := scene.incident()["status"]["times"]).get("activeAt") and found, what="the onset is known"
    )
    assert times["occurredAt"] == times["activeAt"] <= times["firedAt"] <= times["receivedAt"] <= times["containedAt"]


def _assert_order(watcher: Watcher, ledger: Ledger) -> None:
    """The base of every target was stored before the first of them was touched."""
    ledger.settled()
    stored = ledger.first(OPERATOR, lambda r: named(r) == "create containments")
    first, *_ = touched = ledger.targets()
    assert stored.code == 201
    assert stored.at <= first.received
    bases = {
        (target["kind"], target["name"]): {field["path"]: field.get("base") for field in target["fields"]}
        for target in stored.response_object["spec"]["targets"]
    }
    assert bases["Deployment", BAD] == {"spec.replicas": "4"}
    assert bases["HorizontalPodAutoscaler", BAD] == {"spec.behavior": None}
    assert sorted(bases["HTTPRoute", MODEL].values()) == ["10", "90"]
    assert len(touched) == len(bases) == 3
    # Resource versions grow across all kinds, so the stored order shows without any clock.
    journal = int(watcher.seen("containments")[0].body["metadata"]["resourceVersion"])
    for plural, name, holds in HELD:
        version = watcher.first(plural, holds, name=name).body["metadata"]["resourceVersion"]
        assert int(version) > journal


def test_repeats_of_two_alertmanagers_make_one_incident_and_one_write_an_object(
    scene: Scene, receiver: ReceiverProcess, audit: AuditLog, tmp_path: Path
) -> None:
    ledger = Ledger(audit, scene.namespace)
    quick = {"group_interval": "1s", "repeat_interval": "1s"}
    with (
        alertmanager(tmp_path / "one", receiver, **quick) as one,
        alertmanager(tmp_path / "two", receiver, **quick) as two,
    ):
        first = alert(scene.namespace)
        posts = _posts(receiver)
        for manager in (one, two):
            manager.post([first])
        scene.contained()
        until(lambda: _posts(receiver) >= posts + 6, what="both repeat themselves")
        resolved = {**first, **alert(scene.namespace, ends_in=0), "startsAt": first["startsAt"]}
        for manager in (one, two):
            manager.post([resolved])
        until(lambda: "resolvedAt" in scene.incident()["spec"]["alerts"][0], what="resolved is noted")
    ledger.settled()
    assert [each["metadata"]["name"] for each in scene.all("aiincidents")] == [f"{MODEL}-1"]
    assert scene.incident()["status"]["state"] == "Contained", "a resolved alert releases nothing"
    assert (scene.replicas(), scene.weights()) == (0, {GOOD: 100, BAD: 0})
    writes = {name: n for name, n in ledger.counted(RECEIVER).items() if name.startswith(("create", "patch"))}
    assert writes == {"create aiincidents": 1, "patch aiincidents": 1}
    assert sorted(named(r) for r in ledger.targets()) == [
        "patch deployments/scale",
        "patch horizontalpodautoscalers",
        "patch httproutes",
    ]


def _posts(receiver: ReceiverProcess) -> int:
    return receiver.log.read_text().count("POST /api/v1/alertmanager")


HOSTILE: dict[str, str] = {
    "alertname": "Leak\u202e\u0007{{ .Values }}$(reboot)",
    "ai_revision": "../../kube-system/secrets",
    "ai_severity": "SEV0; DROP TABLE incidents",
    "target_namespace": "kube-system",
    "note": "\x1b[2J\x1b[1;31mALL CLEAR\x1b[0m\r\nReleased by: root\u0000",
    "markup": "<script>alert(1)</script>" + "x" * 9000,
}


def test_hostile_text_in_an_alert_neither_aims_nor_reaches_a_terminal(scene: Scene, receiver: ReceiverProcess) -> None:
    hostile = alert(scene.namespace, summary="\x1b[8mhidden\x1b[0m %s {0} ${jndi:ldap://x}", labels=HOSTILE)
    payload = {"version": "4", "alerts": [{**hostile, "status": "firing", "endsAt": "0001-01-01T00:00:00Z"}]}
    status, answer = receiver.post(payload)
    assert (status, answer["created"]) == (200, [f"{scene.namespace}/{MODEL}-1"])
    incident = scene.contained()
    assert incident["spec"]["target"] == {"model": MODEL}, "a revision that is no name proposes nothing"
    assert incident["status"]["containment"]["compromised"] == [f"Deployment/{BAD}"]
    told: list[Any] = [incident["spec"], incident["status"], *(e["message"] for e in scene.events(f"{MODEL}-1"))]
    text = json.dumps(told, ensure_ascii=False)
    assert not [c for c in ("\x1b", "\x00", "\u202e", "\\u001b", "\\u0000", "\\u0007") if c in text]
    assert len(text) < 60_000
