"""The rules and the routing that we ship: the label contract, and what Prometheus' own tools say."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from lazaretto.api.taxonomy import CATEGORIES, SEVERITIES
from lazaretto.domain.alert import Alert
from lazaretto.domain.heartbeat import NAME, is_heartbeat
from lazaretto.engine.census import Census
from lazaretto.engine.clock import SystemClock
from lazaretto.engine.election import Election
from lazaretto.engine.leadership import Leadership
from lazaretto.engine.store import Store
from lazaretto.kopf_app.pulse import Pulse
from lazaretto.kube.api_server import ApiServer
from lazaretto.telemetry.exposition import Exposition
from lazaretto.telemetry.intake import IntakeMetrics
from lazaretto.telemetry.metrics import Metrics
from tests.cluster.binaries import binary
from tests.engine.memory_api import MemoryApi
from tests.unit.install.sources import ALERTING, NAMESPACE, REPOSITORY, of_kind

RULES = ALERTING / "prometheus-rules.yaml"
ALERTMANAGER = ALERTING / "alertmanager.yaml"


def alerts() -> dict[str, Mapping[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


INCIDENTS = {
    name: rule for name, rule in alerts().items() if rule["labels"].get("ai_incident") == "true" and name != NAME
}


def shown() -> tuple[Exposition, ...]:
    """Everything that the two processes show."""
    operator = Metrics()
    operator.add(Census(Store(), clock=SystemClock()))
    operator.add(Pulse())
    operator.add(Leadership(Election(ApiServer(MemoryApi()), identity="a")))
    return operator, IntakeMetrics(["am:9093"])


def test_all_other_alerts_are_about_lazaretto_itself() -> None:
    others = set(alerts()) - set(INCIDENTS)
    assert {name for name in others if not name.startswith("Lazaretto")} == {"Watchdog"}
    assert len(INCIDENTS) == 3


def test_the_rules_about_lazaretto_ask_for_metrics_that_it_has() -> None:
    families = [family for each in shown() for family in each.registry.collect()]
    known = {sample for family in families for sample in (family.name, f"{family.name}_total")}
    asked = set(re.findall(r"\blazaretto_\w+", " ".join(rule["expr"] for rule in alerts().values())))
    assert asked
    assert asked <= known


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_incident_s_labels_are_words_of_the_domain(name: str) -> None:
    labels = INCIDENTS[name]["labels"]
    assert set(labels) == {"ai_incident", "ai_category", "ai_severity"}
    assert labels["ai_category"] in CATEGORIES
    assert labels["ai_severity"] in SEVERITIES
    assert INCIDENTS[name]["annotations"]["summary"]


def test_every_aggregation_keeps_the_labels_that_name_the_model() -> None:
    text = RULES.read_text()
    kept = re.findall(r"\bby \(([^)]*)\)", text)
    assert kept
    assert set(kept) == {"namespace, ai_model, ai_revision", "namespace", "alertmanager", "way"}
    for metric in ("ai_guardrail_verdicts_total", "vllm:corrupted_requests_total", "trustyai_meanshift"):
        for selector in re.findall(metric + r"\{([^}]*)\}", text):
            assert 'ai_model!=""' in selector


def test_models_do_not_wait_for_alertmanager() -> None:
    config = yaml.safe_load(ALERTMANAGER.read_text())
    route = next(each for each in config["route"]["routes"] if each["receiver"] == "lazaretto")
    assert route["matchers"] == ['ai_incident="true"']
    assert (route["receiver"], route["group_wait"], route["continue"]) == ("lazaretto", "0s", True)
    assert route["group_by"] == ["namespace", "ai_model"]


def test_the_heartbeat_is_known_as_one_and_takes_the_way_of_incidents() -> None:
    labels = {"alertname": NAME, **alerts()[NAME]["labels"]}
    alert = Alert(fingerprint="", labels=labels, summary="", firing=True, starts_at=None)
    assert is_heartbeat(alert, namespace_label="namespace", own_namespace=NAMESPACE)
    assert alerts()[NAME]["expr"] == "vector(1)"
    route = next(r for r in yaml.safe_load(ALERTMANAGER.read_text())["route"]["routes"] if r["receiver"] == "lazaretto")
    # Another receiver or matcher of its own would prove another way.
    assert route["routes"] == [
        {"matchers": ['lazaretto_heartbeat="true"'], "group_interval": "30s", "repeat_interval": "1m"}
    ]


def test_nothing_is_cut_or_kept_back_on_the_way_to_the_receiver() -> None:
    receivers = {each["name"]: each for each in yaml.safe_load(ALERTMANAGER.read_text())["receivers"]}
    (webhook,) = receivers["lazaretto"]["webhook_configs"]
    assert (webhook["max_alerts"], webhook["send_resolved"]) == (0, True)
    assert webhook["http_config"]["authorization"]["credentials_file"]
    assert webhook["http_config"]["tls_config"] == {"ca_file": "/etc/alertmanager/secrets/lazaretto/ca.crt"}
    service = of_kind("Service")["lazaretto-receiver"]
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    # The URL names no port: the Service must answer on HTTPS' own.
    assert webhook["url"] == f"https://{host}/api/v1/alertmanager"
    assert [port["port"] for port in service["spec"]["ports"]] == [443]


@pytest.mark.monitoring
@pytest.mark.parametrize(
    "command",
    [
        ["promtool", "check", "rules", "--lint-fatal", str(RULES)],
        ["promtool", "test", "rules", str(ALERTING / "prometheus-rules-test.yaml")],
        ["amtool", "check-config", str(ALERTMANAGER)],
    ],
    ids=["rules", "rule-tests", "routing"],
)
def test_the_tools_accept_them(command: list[str]) -> None:
    done = subprocess.run(
        [str(binary(command[0])), *command[1:]], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.monitoring
@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (["ai_incident=true", "ai_model=chat"], "lazaretto,people"),
        (["ai_incident=true", "lazaretto_heartbeat=true"], "lazaretto"),
        (["alertname=Watchdog"], "outside"),
        (["alertname=LazarettoAlertPathBroken"], "outside"),
        (["alertname=LazarettoBreakGlass"], "people"),
    ],
)
def test_alerts_go_where_they_should(labels: list[str], receivers: str) -> None:
    command = [str(binary("amtool")), "config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == receivers


def test_the_page_about_metrics_lists_all_of_them() -> None:
    families = [
        family for each in shown() for family in each.registry.collect() if not family.name.startswith("process_")
    ]
    text = (REPOSITORY / "docs" / "reference" / "metrics.md").read_text()
    listed = set(re.findall(r"`(lazaretto_\w+)`", text))
    assert listed == {f"{each.name}_total" if each.type == "counter" else each.name for each in families}
