"""A real Alertmanager whose webhook is broken: what fires there becomes an incident all the same."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.control_plane import ControlPlane
from tests.cluster.monitoring import Alertmanager
from tests.cluster.receiver_stories import (
    entries_in,
    firing_alert,
    incidents_in,
    receiver_as_itself,
    receiver_calls,
    sending_alertmanager,
)
from tests.cluster.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.monitoring]


def silence(alertmanager: Alertmanager, name: str) -> None:
    matcher = {"name": "alertname", "value": name, "isRegex": False, "isEqual": True}
    silence = {"startsAt": "2026-01-01T00:00:00Z", "endsAt": "2999-01-01T00:00:00Z", "createdBy": "x", "comment": "x"}
    alertmanager.call("/api/v2/silences", method="POST", body={"matchers": [matcher], **silence})


def test_alerts_that_were_refused_at_the_door_are_found(
    control_plane: ControlPlane, cluster: ClusterAccess, namespace: str, model: str, tmp_path: Path
) -> None:
    mark = control_plane.audit.mark()
    broken = Alertmanager(tmp_path / "am", receiver_url="http://127.0.0.1:1/nobody")
    flags = ("--alertmanager-url", broken.url, "--alertmanager-interval", "0.5")
    with broken, receiver_as_itself(cluster, tmp_path / "receiver", *flags):
        silence(broken, "Silenced")
        broken.post([firing_alert(namespace, name, ai_incident="true") for name in ("Lost", "Silenced")])
        broken.post([firing_alert(namespace, "NotOurs")])
        until(lambda: entries_in(cluster, namespace))
        broken.post([firing_alert(namespace, "LostAsWell", ai_incident="true")])
        until(lambda: len(entries_in(cluster, namespace)) == 2)
    [incident] = incidents_in(cluster, namespace)
    assert incident["spec"]["source"] == {"type": "Alert", "sender": f"pull/{broken.url.removeprefix('http://')}"}
    assert [entry["name"] for entry in incident["spec"]["alerts"]] == ["Lost", "LostAsWell"]
    assert receiver_calls(control_plane.audit, mark, namespace) == ["create 201", "patch 200"]


def test_what_was_refused_or_cut_off_is_found_at_the_pace_that_is_shipped(
    cluster: ClusterAccess, namespace: str, model: str, tmp_path: Path
) -> None:
    """Alertmanager gives up what is answered 4xx, and of a big group it sends no more than it was told to."""
    names = {"Refused", "Sent", "CutOff"}
    with receiver_as_itself(cluster, tmp_path / "first") as first:
        refused = sending_alertmanager(tmp_path / "refused", first, token="not-the-one")
        cutting = sending_alertmanager(tmp_path / "cutting", first, most_alerts=1)
        flags = ("--alertmanager-url", refused.url, "--alertmanager-url", cutting.url)
        with refused, cutting, receiver_as_itself(cluster, tmp_path / "second", *flags):
            refused.post([firing_alert(namespace, "Refused", ai_incident="true")])
            cutting.post([firing_alert(namespace, name, ai_incident="true") for name in ("Sent", "CutOff")])
            begun = time.monotonic()
            until(lambda: {entry["name"] for entry in entries_in(cluster, namespace)} == names)
            print(f"\nfound after {time.monotonic() - begun:.1f} s")
    assert len(incidents_in(cluster, namespace)) == 1


def test_what_both_ways_brought_is_written_once(
    control_plane: ControlPlane, cluster: ClusterAccess, namespace: str, model: str, tmp_path: Path
) -> None:
    """Also when they name the moment of the beginning with another precision."""
    mark = control_plane.audit.mark()
    with receiver_as_itself(cluster, tmp_path / "first") as first:
        alertmanager = sending_alertmanager(tmp_path / "am", first)
        flags = ("--alertmanager-url", alertmanager.url, "--alertmanager-interval", "0.2")
        with alertmanager, receiver_as_itself(cluster, tmp_path / "second", *flags):
            alertmanager.post([firing_alert(namespace, ai_incident="true")])
            until(lambda: entries_in(cluster, namespace))
            first.stop()
            # What the second one finds alone: by then it has looked at the other again and again.
            alertmanager.post([firing_alert(namespace, "Later", ai_incident="true")])
            until(lambda: len(entries_in(cluster, namespace)) == 2)
    assert all(entry["firings"] == 1 for entry in entries_in(cluster, namespace))
    assert receiver_calls(control_plane.audit, mark, namespace) == ["create 201", "patch 200"]
