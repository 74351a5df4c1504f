"""The heartbeat through the real Prometheus and Alertmanager, with the shipped rules and routes, and how it is missed.

Two receivers: one that gets the webhook, and one that only asks, as a second replica may for hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.monitoring import Alertmanager, Prometheus
from tests.cluster.process import free_ports
from tests.cluster.receiver import ReceiverProcess
from tests.cluster.receiver_stories import SYSTEM, TOKENS, entries_in, receiver_as_itself
from tests.cluster.waiting import until
from tests.e2e.alerting import RULES, alertmanager

pytestmark = [pytest.mark.cluster, pytest.mark.monitoring, pytest.mark.timeout(300)]

QUICKLY = {"> 180": "> 8", "[3m]": "[8s]", "for: 2m": "for: 1s"}
"""The same rules, for heartbeats that come every second or two instead of every minute."""
NEWEST = "max(lazaretto_receiver_heartbeat_timestamp_seconds)"
PATH, WEBHOOK = "LazarettoAlertPathBroken", "LazarettoWebhookBroken"


@dataclass(frozen=True)
class Way:
    """The way of alerts, from Prometheus' rules to the receiver whose metrics it scrapes."""

    prometheus: Prometheus
    alertmanager: Alertmanager
    receiver: ReceiverProcess

    def told(self) -> set[str]:
        """Which of the two alerts fire."""
        firing = {a["labels"]["alertname"] for a in self.prometheus.alerts() if a["state"] == "firing"}
        return firing & {PATH, WEBHOOK}

    def beats(self, times: int) -> None:
        """Waits until Prometheus has seen a newer heartbeat so often."""
        for _ in range(times):
            until(partial(self._newer, self._newest()), what="another heartbeat")

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """While it lasts, somebody has silenced whatever takes the way of incidents."""
        matcher = {"name": "ai_incident", "value": "true", "isRegex": False, "isEqual": True}
        times = {"startsAt": "2026-01-01T00:00:00Z", "endsAt": "2999-01-01T00:00:00Z"}
        body = {"matchers": [matcher], **times, "createdBy": "x", "comment": "x"}
        made = self.alertmanager.call("/api/v2/silences", method="POST", body=body)["silenceID"]
        yield
        self.alertmanager.call(f"/api/v2/silence/{made}", method="DELETE")

    def _newer(self, moment: float) -> bool:
        return self._newest() > moment

    def _newest(self) -> float:
        found = until(lambda: self.prometheus.query(NEWEST), what="a heartbeat")
        return float(found[0]["value"][1])


def quick_rules(folder: Path) -> Path:
    text = RULES.read_text()
    for shipped, quick in QUICKLY.items():
        assert shipped in text
        text = text.replace(shipped, quick)
    path = folder / "rules.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def way(cluster: ClusterAccess, tmp_path: Path) -> Iterator[Way]:
    shown, asking_shown = (f"127.0.0.1:{port}" for port in free_ports(2))
    receiver = receiver_as_itself(cluster, tmp_path / "receiver", "--metrics-listen", shown)
    sending = alertmanager(tmp_path / "alertmanager", receiver, beats="1s")
    flags = ("--alertmanager-url", sending.url, "--alertmanager-interval", "0.5", "--metrics-listen", asking_shown)
    asking = receiver_as_itself(cluster, tmp_path / "asking", *flags)
    prometheus = Prometheus(
        tmp_path / "prometheus",
        targets={"receivers": [shown, asking_shown]},
        rules=[quick_rules(tmp_path)],
        alertmanagers=[sending.url],
    )
    with ExitStack() as stack:
        for each in (receiver, sending, asking, prometheus):
            stack.enter_context(each)
        yield Way(prometheus, sending, receiver)


def test_it_arrives_makes_no_incident_and_is_missed_when_the_way_is_broken(way: Way, cluster: ClusterAccess) -> None:
    way.beats(3)
    until(lambda: not way.told(), what="nothing is told while it arrives")
    token = way.receiver.tokens / "alertmanager"
    token.write_text("another-secret-than-alertmanager-shows")
    until(lambda: way.told() == {PATH, WEBHOOK}, what="the webhook is told to be broken")
    assert way.prometheus.query('lazaretto_receiver_requests_total{result="unauthorized"} > 0')
    token.write_text(TOKENS["alertmanager"])
    until(lambda: not way.told(), what="it is told no more once mended")
    way.beats(1)
    with way.silenced():
        # Nobody sends it and the pull leaves it alone: the way is dead to incidents, and no webhook to blame.
        until(lambda: PATH in way.told(), what="a silence over everything is told")
        assert way.told() == {PATH}
    until(lambda: not way.told(), what="it is told no more without the silence")
    way.beats(1)
    way.alertmanager.stop()
    # The asking receiver does not see the heartbeat any more either: nobody may blame the webhook.
    until(lambda: PATH in way.told(), what="the way is told to be broken before the webhook")
    assert way.told() == {PATH}
    names = {entry["name"] for entry in entries_in(cluster, SYSTEM)}
    assert "LazarettoHeartbeat" not in names
