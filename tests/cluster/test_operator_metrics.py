"""The operator's own metrics: scraped by the real Prometheus, whose rules tell of break-glass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.installation import BREAK_GLASS
from tests.cluster.monitoring import Prometheus
from tests.cluster.operator import OperatorProcess
from tests.cluster.process import free_ports
from tests.cluster.waiting import until
from tests.e2e.scene import Scene, condition, staged
from tests.e2e.shapes import BAD, MODEL
from tests.unit.install.sources import ALERTING, NAMESPACE

pytestmark = [pytest.mark.cluster, pytest.mark.monitoring, pytest.mark.timeout(180)]

EMERGENCY = ("--as=ada", "--as-group=system:masters", f"--as-group={BREAK_GLASS}")


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


@pytest.fixture
def scene(fenced: ControlPlane, address: str, tmp_path: Path) -> Iterator[Scene]:
    """A model, and the operator that serves metrics under its own account."""
    account = fenced.service_account_kubeconfig(NAMESPACE, "lazaretto-operator")
    flags = ("--metrics-listen", address)
    with OperatorProcess(tmp_path / "operator", account, flags=flags), staged(fenced) as stage:
        yield stage.build()


def test_break_glass_raises_an_alert(scene: Scene, fenced: ControlPlane, address: str, tmp_path: Path) -> None:
    rules = ALERTING / "prometheus-rules.yaml"
    with Prometheus(tmp_path / "prometheus", targets={"operator": [address]}, rules=[rules]) as prometheus:

        def alerts() -> dict[str, str]:
            return {a["labels"]["alertname"]: a["labels"].get("ai_model", "") for a in prometheus.alerts()}

        scene.report()
        scene.contained()
        until(lambda: condition(scene.incident(), "Fenced").get("status") == "True", what="the fence is proved")
        model = f'{{namespace="{scene.namespace}",ai_model="{MODEL}"}}'
        until(lambda: prometheus.query(f"lazaretto_fence_bypasses_total{model} == 0"), what="zero is seen")
        assert prometheus.query(f"lazaretto_containments_begun_total{model} == 1")
        assert prometheus.query(f'lazaretto_containments{{namespace="{scene.namespace}"}} == 1')
        assert "LazarettoBreakGlass" not in alerts()
        fenced.kubectl("scale", "deployment", BAD, "--replicas=1", "-n", scene.namespace, *EMERGENCY)
        until(lambda: alerts().get("LazarettoBreakGlass") == MODEL, what="Prometheus tells of break-glass")
        until(lambda: scene.replicas() == 0, what="it was put back")
        assert prometheus.query(f"lazaretto_fence_bypasses_total{model} == 1")
    told = [e["message"] for e in scene.incident()["status"]["timeline"] if e["type"] == "Interference"]
    assert "past the fence as break-glass alone can" in told[-1]
