"""What the receiver writes to a real API server: how often, against whom, and after which mishap."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from lazaretto.api.taxonomy import CATEGORIES
from tests.cluster.access import ClusterAccess
from tests.cluster.control_plane import ControlPlane
from tests.cluster.receiver import ReceiverProcess
from tests.cluster.receiver_stories import (
    SYSTEM,
    add_model,
    entries_in,
    firing_alert,
    incidents_in,
    moment_now,
    receiver_as_itself,
    receiver_calls,
    webhook_payload,
)
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster


def test_two_receivers_and_32_posts_make_one_incident(
    control_plane: ControlPlane,
    cluster: ClusterAccess,
    receiver: ReceiverProcess,
    namespace: str,
    model: str,
    tmp_path: Path,
) -> None:
    with receiver_as_itself(cluster, tmp_path / "second") as second, ThreadPoolExecutor(32) as pool:
        mark = control_plane.audit.mark()
        payloads = [webhook_payload(firing_alert(namespace, f"A{n // 2}")) for n in range(32)]
        for one, other in zip(payloads[::2], payloads[1::2], strict=True):
            other["alerts"] = one["alerts"]  # each alert goes to both
        answers = list(pool.map(lambda n: (receiver, second)[n % 2].post(payloads[n]), range(32)))
    assert [status for status, _ in answers] == [200] * 32
    [incident] = incidents_in(cluster, namespace)
    assert sorted(e["name"] for e in incident["spec"]["alerts"]) == sorted(f"A{n}" for n in range(16))
    calls = receiver_calls(control_plane.audit, mark, namespace)
    print(f"two receivers, 32 posts of 16 alerts: {sorted((c, calls.count(c)) for c in set(calls))}")
    assert calls.count("create 201") == 1
    assert calls.count("patch 200") <= 16


@pytest.mark.parametrize("posts", [32])
def test_two_receivers_race_for_the_first_incident(
    cluster: ClusterAccess, receiver: ReceiverProcess, namespace: str, model: str, tmp_path: Path, posts: int
) -> None:
    payload = webhook_payload(firing_alert(namespace))
    with receiver_as_itself(cluster, tmp_path / "second") as second, ThreadPoolExecutor(posts) as pool:
        answers = list(pool.map(lambda n: (receiver, second)[n % 2].post(payload), range(posts)))
    assert [status for status, _ in answers] == [200] * posts
    assert len(entries_in(cluster, namespace)) == 1
    assert sum(len(answer["created"]) for _, answer in answers) == 1


def test_two_receivers_race_for_an_unmatched_incident(
    cluster: ClusterAccess, receiver: ReceiverProcess, tmp_path: Path
) -> None:
    # What matches no model is kept by category, a bounded list of alerts for each: this one is this test's alone.
    tag = uuid4().hex
    payloads = [webhook_payload(firing_alert("nowhere", f"{tag}{n}", ai_category="ModelTheft")) for n in range(8)]
    with receiver_as_itself(cluster, tmp_path / "second") as second, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: (receiver, second)[n % 2].post(payloads[n // 2]), range(16)))
    assert [status for status, _ in answers] == [200] * 16
    thefts = [each for each in incidents_in(cluster, SYSTEM) if each["spec"]["category"] == "ModelTheft"]
    assert len(thefts) == 1
    assert sum(entry["name"].startswith(tag) for entry in thefts[0]["spec"]["alerts"]) == 8


def test_calls_per_post(
    control_plane: ControlPlane, cluster: ClusterAccess, receiver: ReceiverProcess, namespace: str, model: str
) -> None:
    audit = control_plane.audit
    first, more = (
        webhook_payload(firing_alert(namespace, "A")),
        webhook_payload(*(firing_alert(namespace, f"B{n}") for n in range(20))),
    )
    for payload, expected in ((first, ["create 201"]), (first, []), (more, ["patch 200"]), (more, [])):
        mark = audit.mark()
        assert receiver.post(payload)[0] == 200
        assert receiver_calls(audit, mark, namespace) == expected


def test_replay_after_release_creates_nothing(
    cluster: ClusterAccess, receiver: ReceiverProcess, namespace: str, model: str
) -> None:
    payload = webhook_payload(firing_alert(namespace))
    assert receiver.post(payload)[1]["created"] == [f"{namespace}/chat-1"]
    status = json.dumps({"status": {"state": "Released", "times": {"releasedAt": moment_now()}}})
    patch = ("patch", "aiincident", "chat-1", "-n", namespace, "--subresource=status", "--type=merge", "-p", status)
    # Only the operator and people in an emergency write an incident's status.
    cluster.kubectl(*patch, "--as-group=system:masters", "--as-group=lazaretto:break-glass", as_user="tester")
    time.sleep(0.5)
    assert receiver.post(payload) == (200, {"created": [], "extended": []})
    payload["alerts"][0].update(status="resolved", endsAt=moment_now())
    assert receiver.post(payload) == (200, {"created": [], "extended": [f"{namespace}/chat-1"]})
    assert receiver.post(webhook_payload(firing_alert(namespace)))[1]["created"] == [f"{namespace}/chat-2"]


def test_killed_receiver_comes_back_knowing(cluster: ClusterAccess, namespace: str, model: str, tmp_path: Path) -> None:
    payload = webhook_payload(firing_alert(namespace))
    with receiver_as_itself(cluster, tmp_path / "own") as own:
        assert own.post(payload)[0] == 200
        own.kill()
        own.start()
        assert own.post(payload) == (200, {"created": [], "extended": []})


def test_full_incident_on_the_real_server(
    cluster: ClusterAccess, receiver: ReceiverProcess, namespace: str, model: str
) -> None:
    """64 entries of the largest size that intake lets through, and a change to each: schema and rules take them."""
    wide = {f"label_{n:02}": "v" * 300 for n in range(40)}
    alerts = [firing_alert(namespace, f"A{n:02}") for n in range(70)]
    for one in alerts:
        one["labels"] |= wide
        one["annotations"] = {"summary": "ü" * 2000}
    assert receiver.post(webhook_payload(*alerts))[0] == 200
    again = [{**alert, "startsAt": moment_now()} for alert in alerts]
    assert receiver.post(webhook_payload(*again))[0] == 200
    [incident] = incidents_in(cluster, namespace)
    assert len(incident["spec"]["alerts"]) == 64
    assert incident["spec"]["alertsTruncated"] is True
    assert {entry["firings"] for entry in incident["spec"]["alerts"]} == {2}
    size = len(json.dumps(incident)) // 1024
    print(f"largest incident: {size} KiB")
    assert size < 512


def test_configuration_errors_end_the_process(cluster: ClusterAccess, tmp_path: Path) -> None:
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-receiver")
    process = ReceiverProcess(tmp_path / "none", kubeconfig, namespace=SYSTEM, tokens={})
    with pytest.raises(RuntimeError, match="ended with status 2"):
        process.start()
    assert "holds no token" in process.log.read_text()


def test_storm_of_alerts_is_stored_with_few_writes(
    control_plane: ControlPlane, cluster: ClusterAccess, receiver: ReceiverProcess, namespace: str
) -> None:
    """2,000 alerts for 20 models in one request, then again in many."""
    for number in range(20):
        add_model(cluster, namespace, f"m{number}")
    alerts = [firing_alert(namespace, f"A{n // 20}", ai_model=f"m{n % 20}") for n in range(2000)]
    mark = control_plane.audit.mark()
    begun = time.monotonic()
    status, answer = receiver.post(webhook_payload(*alerts))
    print(f"2,000 alerts, 20 models, one request: {time.monotonic() - begun:.2f} s")
    assert status == 200, answer
    assert len(incidents_in(cluster, namespace)) == 20, answer
    _each_is_stored_once(receiver_calls(control_plane.audit, mark, namespace), models=20)
    with ThreadPoolExecutor(8) as pool:
        parts = [webhook_payload(*alerts[n : n + 50]) for n in range(0, 2000, 50)]
        assert {status for status, _ in pool.map(receiver.post, parts)} == {200}
    _each_is_stored_once(receiver_calls(control_plane.audit, mark, namespace), models=20)
    assert len(entries_in(cluster, namespace)) == 20 * 64


def _each_is_stored_once(calls: list[str], *, models: int) -> None:
    """An overloaded API server may store one and answer by 504; the receiver then finds it there."""
    stored = [call for call in calls if call.endswith((" 200", " 201"))]
    assert set(stored) == {"create 201"}
    assert models - calls.count("create 504") <= len(stored) <= models


def test_latency_of_a_first_alert(
    cluster: ClusterAccess, receiver: ReceiverProcess, namespace: str, model: str
) -> None:
    """Printed, not judged: what one request costs from a client's view, new incident each time."""
    taken = []
    for number in range(40):
        cluster_alert = firing_alert(namespace, f"A{number}", ai_category=CATEGORIES[number % len(CATEGORIES)])
        begun = time.monotonic()
        assert receiver.post(webhook_payload(cluster_alert))[0] == 200
        taken.append((time.monotonic() - begun) * 1000)
    taken.sort()
    print(f"POST of one new alert: p50 {taken[20]:.1f} ms, p95 {taken[38]:.1f} ms (create or patch, plain HTTP)")


@pytest.mark.usefixtures("recovered")
def test_starts_while_the_api_server_is_away(
    control_plane: ControlPlane, cluster: ClusterAccess, tmp_path: Path
) -> None:
    own = receiver_as_itself(cluster, tmp_path / "own")
    control_plane.stop_apiserver()
    try:
        own.start(ready=False)
        until(lambda: _answer_of(own) == 503)
        assert not own.ready
    finally:
        control_plane.start_apiserver()
    try:
        until(lambda: own.ready)
        assert _answer_of(own) == 200
    finally:
        own.stop()


def _answer_of(receiver: ReceiverProcess) -> int:
    try:
        return receiver.post({"version": "4", "alerts": []})[0]
    except OSError:
        return 0
