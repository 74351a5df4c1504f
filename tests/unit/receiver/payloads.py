"""Alerts as Alertmanager and Prometheus send them."""

from __future__ import annotations

from typing import Any

from lazaretto.signals.alertmanager import fingerprint

NEVER = "0001-01-01T00:00:00Z"
T1 = "2026-01-02T03:04:05.678Z"
T2 = "2026-01-02T04:04:05.678Z"
T3 = "2026-01-02T05:04:05.678Z"


def alert(
    name: str = "Leak",
    *,
    starts: str = T1,
    ends: str = "",
    summary: str = "it leaks",
    namespace: str = "shop",
    **labels: str,
) -> dict[str, Any]:
    """One alert of a webhook payload for model `chat` unless labels say otherwise. `ends` makes it resolved."""
    all_labels = {"alertname": name, "namespace": namespace, "ai_model": "chat", "ai_category": "DataLeakage", **labels}
    return {
        "status": "resolved" if ends else "firing",
        "labels": all_labels,
        "annotations": {"summary": summary},
        "startsAt": starts,
        "endsAt": ends or NEVER,
        "generatorURL": "http://prometheus/graph?g0.expr=up",
        "fingerprint": fingerprint(all_labels),
    }


def webhook(*alerts: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """The payload around them."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="Leak"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "lazaretto",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(alerts),
        **changed,
    }
