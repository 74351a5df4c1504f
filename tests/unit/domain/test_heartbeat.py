"""The heartbeat is recognised by all of its marks, and by nothing less."""

from __future__ import annotations

import pytest

from lazaretto.domain.alert import Alert
from lazaretto.domain.heartbeat import MARK, NAME, is_heartbeat

HEARTBEAT = {"alertname": NAME, MARK: "true", "ai_incident": "true", "severity": "none"}


def recognised(labels: dict[str, str], *, namespace_label: str = "namespace") -> bool:
    alert = Alert(fingerprint="", labels=labels, summary="", firing=True, starts_at=None)
    return is_heartbeat(alert, namespace_label=namespace_label, own_namespace="lazaretto-system")


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"namespace": "lazaretto-system"},
        {"prometheus": "monitoring/k8s", "cluster": "one"},
        {"ai_incident": "false"},
    ],
    ids=str,
)
def test_it_may_have_what_prometheus_adds(more: dict[str, str]) -> None:
    assert recognised({**HEARTBEAT, **more})


@pytest.mark.parametrize(
    "changed",
    [
        {"alertname": "Leak"},
        {"alertname": NAME.lower()},
        {"alertname": f"{NAME} "},
        {MARK: "True"},
        {MARK: "false"},
        {MARK: ""},
        {"namespace": "shop"},
        {"namespace": ""},
        {"ai_model": "chat"},
        {"ai_model": ""},
        {"ai_category": "DataLeakage"},
        {"ai_severity": "SEV5"},
        {"ai_revision": "v2"},
        {"ai_drill": "true"},
        {"ai_anything": "x"},
    ],
    ids=str,
)
def test_whatever_else_it_says_makes_it_an_alert(changed: dict[str, str]) -> None:
    assert not recognised({**HEARTBEAT, **changed})


@pytest.mark.parametrize("missing", ["alertname", MARK])
def test_it_needs_name_and_mark(missing: str) -> None:
    assert not recognised({name: value for name, value in HEARTBEAT.items() if name != missing})


def test_the_namespace_is_the_enforced_one() -> None:
    assert not recognised({**HEARTBEAT, "tenant": "shop"}, namespace_label="tenant")
    assert recognised({**HEARTBEAT, "tenant": "lazaretto-system", "namespace": "shop"}, namespace_label="tenant")
