"""A soak that counts by traffic, with a real Prometheus: only what was seen to carry traffic is earned."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lazaretto.domain.identity import identity_of, revision_name
from tests.cluster.monitoring import Prometheus
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.alerting import Guardrail
from tests.e2e.scene import Scene, Stage, condition
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape, policy

pytestmark = [pytest.mark.cluster, pytest.mark.monitoring]

QUERY = 'rate(ai_guardrail_verdicts_total{namespace="$namespace",ai_model="$model",ai_revision="$workload"}[5s])'
SHAPE = Shape(
    attested=False, model={"trafficQuery": QUERY}, policies={"p": policy("Automatic", knownGood={"soak": "10s"})}
)


class Record:
    """What the operator has recorded of the good revision."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.name = revision_name(MODEL, identity_of(scene.read("deployments", GOOD)["spec"]["template"]))

    def earned(self) -> int:
        found = self._scene.read("modelrevisions", self.name).get("status", {})
        return int(found.get("soak", {}).get("earnedSeconds", 0))

    def is_counted_as(self, reason: str) -> bool:
        """Whether a new look says so."""
        self._scene.look_again()
        time.sleep(0.5)
        found = self._scene.read("modelrevisions", self.name)
        return bool(found) and condition(found, "KnownGood").get("reason") == reason


def test_only_time_with_traffic_is_earned_and_neither_silence_nor_a_restart_takes_it(
    stage: Stage, operator: OperatorProcess, prometheus_port: int, tmp_path: Path
) -> None:
    with Prometheus(tmp_path / "idle", port=prometheus_port):
        scene = stage.build(SHAPE)
        record = Record(scene)
        until(lambda: record.is_counted_as("NoTraffic"), what="it is seen without traffic")
        assert record.earned() == 0
    with (
        Guardrail(scene.namespace) as guardrail,
        Prometheus(tmp_path / "busy", targets={"guard": [guardrail.address]}, port=prometheus_port),
    ):
        until(lambda: record.is_counted_as("Soaking"), what="it is seen with traffic")
        until(lambda: record.is_counted_as("Soaking") and record.earned() >= 10, what="it has soaked")
    until(lambda: record.is_counted_as("TrafficUnknown"), what="the silence is told")
    earned = record.earned()
    operator.kill()
    operator.start()
    until(lambda: record.is_counted_as("TrafficUnknown"), what="the new process looks")
    assert record.earned() == earned
    scene.report(target={"model": MODEL, "revision": BAD})
    assert scene.contained()["status"]["containment"]["knownGood"] == record.name
