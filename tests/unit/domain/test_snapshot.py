"""One ConfigMap holds what was there, of bounded size, and shows whether it was changed."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from lazaretto.api import AIIncident
from lazaretto.api.containment import Hold
from lazaretto.domain.snapshot import (
    MANIFEST,
    MOST_LOGS,
    SHARES,
    Log,
    Material,
    containers,
    events_about,
    name_of_snapshot,
    snapshot,
)

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LARGEST = 384 * 1024
POD_UID = "uid-of-pod-{}"


def incident(name: str = "support-llm-1", *, uid: str = "u-1", alerts: int = 1, text: str = "leaks") -> AIIncident:
    moment = "2026-01-02T11:59:00Z"
    alert = {"name": "Leak", "labels": {"ai_model": "support-llm"}, "summary": text, "startsAt": moment}
    stored = [{**alert, "fingerprint": f"{n:016x}", "receivedAt": moment} for n in range(alerts)]
    spec = {"source": {"type": "Alert"}, "category": "DataLeakage", "target": {"model": "support-llm"}}
    metadata = {"name": name, "namespace": "support", "uid": uid}
    return AIIncident.read({"metadata": metadata, "spec": {**spec, "alerts": stored}})


def pod(number: int, *, padding: int = 0) -> dict[str, Any]:
    metadata = {"name": f"bad-{number:03d}", "uid": POD_UID.format(number), "annotations": {"pad": "x " * padding}}
    running = {"name": "server", "image": "vllm:1", "imageID": "vllm@sha256:" + "ab" * 32, "restartCount": 0}
    spec = {"nodeName": "n1", "containers": [{"name": "server", "env": [{"name": "KEY", "value": "hush"}]}]}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running", "containerStatuses": [running]}}


def material(**more: Any) -> Material:
    hold = Hold.model_validate(
        {
            "incident": "support-llm-1",
            "incidentUID": "u-1",
            "compromised": [{"kind": "Deployment", "name": "bad", "uid": "w"}],
            "since": NOON,
        }
    )
    known: dict[str, Any] = {"incident": incident(), "hold": hold, "workloads": [{"metadata": {"uid": "w"}}]}
    return Material(**{**known, "traffic": [], "bases": [], **more})


def test_the_manifest_has_the_digest_of_every_part_and_its_own_is_told() -> None:
    made = snapshot(material(pods=[pod(1)]), now=NOON)
    data = made.body["data"]
    assert made.manifest == hashlib.sha256(data[MANIFEST].encode()).hexdigest()
    manifest = json.loads(data[MANIFEST])
    assert manifest["parts"].keys() == data.keys() - {MANIFEST} == SHARES.keys()
    for name, told in manifest["parts"].items():
        assert told["sha256"] == hashlib.sha256(data[name].encode()).hexdigest()
        assert told["bytes"] == len(data[name].encode())
    assert made.body["immutable"] is True
    assert "ownerReferences" not in made.body["metadata"]


def test_it_tells_which_images_really_ran() -> None:
    made = snapshot(material(pods=[pod(2), pod(1)]), now=NOON)
    images = json.loads(made.body["data"]["images.json"])
    assert [each["pod"] for each in images] == ["bad-001", "bad-002"]
    assert images[0]["containers"][0]["imageID"] == "vllm@sha256:" + "ab" * 32
    assert "hush" not in json.dumps(made.body)


def test_however_much_there_is_it_stays_below_its_bound_and_says_what_does_not_fit() -> None:
    pods = [pod(n, padding=2000) for n in range(400)]
    events = [{"involvedObject": {"uid": "w"}, "message": "é " * 900} for _ in range(64)]
    full = material(
        incident=incident("i" * 253, alerts=64, text="\u6f0f" * 330),
        workloads=[{"metadata": {"uid": "w", "annotations": {"a": "y " * 9000}}}] * 16,
        traffic=[{"spec": {"host": "h" * 9000}}] * 40,
        pods=pods,
        events=events,
        missing=["m" * 999] * 40,
    )
    made = snapshot(full, now=NOON)
    assert sum(len(k) + len(v.encode()) for k, v in made.body["data"].items()) < LARGEST
    assert all(isinstance(json.loads(part), list | dict) for part in made.body["data"].values())
    assert "images.json: 256 of 400 pods" in made.missing
    assert "pods.json: 400 pods, 8 of them whole" in made.missing
    assert any(re.fullmatch(r"events.json: \d+ of 64 items do not fit", each) for each in made.missing)


@pytest.mark.parametrize("name", ["support-llm-1", "a" * 253, "a" * 219 + ".-b", "a" * 219 + "." + "b" * 10])
def test_the_name_and_labels_are_such_as_the_api_server_takes(name: str) -> None:
    made = snapshot(material(incident=incident(name)), now=NOON).body["metadata"]
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", made["name"])
    assert len(made["name"]) <= 253
    assert all(re.fullmatch(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", v) for v in made["labels"].values())
    assert all(len(value) <= 63 for value in made["labels"].values())


def test_a_successor_of_the_same_name_has_a_snapshot_of_its_own() -> None:
    assert name_of_snapshot(incident(uid="u-1")) != name_of_snapshot(incident(uid="u-2"))


def test_one_that_was_taken_late_says_so() -> None:
    assert not snapshot(material(), now=NOON).missing
    (said,) = snapshot(material(late=True), now=NOON).missing
    assert "interrupted" in said
    assert said in json.loads(snapshot(material(late=True), now=NOON).body["data"][MANIFEST])["missing"]


def test_events_are_those_of_the_workloads_their_pods_and_the_pods_owners() -> None:
    owned = pod(1)
    owned["metadata"]["ownerReferences"] = [{"uid": "rs"}]
    about = ["w", POD_UID.format(1), "rs", "other", None]
    events = [{"involvedObject": {"uid": uid}, "lastTimestamp": str(n)} for n, uid in enumerate(about)]
    found = events_about(events, workloads=[{"metadata": {"uid": "w"}}], pods=[owned])
    assert [each["involvedObject"]["uid"] for each in found] == about[:3]


def test_the_newest_lines_of_every_log_are_kept() -> None:
    long = "\n".join(f"t {number} {'x ' * 100}" for number in range(1000))
    logs = [Log("bad-1", "server", long), Log("bad-1", "proxy", "t up\n"), Log("bad-2", "server", missing="gone")]
    made = snapshot(material(logs=logs), now=NOON)
    server, proxy, lost = json.loads(made.body["data"]["logs.json"])
    assert server["lines"][-1].startswith("t 999 ")
    assert len(server["lines"]) + server["leftOut"] == 1000
    assert server["leftOut"] > 0
    assert (proxy["lines"], proxy["leftOut"]) == (["t up"], 0)
    assert lost == {"pod": "bad-2", "container": "server", "missing": "gone"}
    assert made.missing == ("logs.json: 1 of 3 containers: gone",)


def test_logs_of_many_pods_fit() -> None:
    names = containers([pod(number) for number in range(400)])
    assert len(names) == MOST_LOGS
    made = snapshot(material(logs=[Log(*each, "t \u2603\n" * 30_000) for each in names]), now=NOON)
    assert len(json.loads(made.body["data"]["logs.json"])) == MOST_LOGS
    assert not made.missing
    assert sum(map(len, made.body["data"].values())) < LARGEST


def test_it_says_why_there_are_no_logs() -> None:
    never = json.loads(snapshot(material(), now=NOON).body["data"][MANIFEST])["neverRead"]
    assert any("evidence.logLines" in each for each in never)
