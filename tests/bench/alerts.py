"""What Alertmanager would send, in the amounts of a run."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from tests.bench.world import MODEL
from tests.unit.receiver import payloads

CRITICAL = "critical"
_fingerprints = itertools.count(1)


def firing(namespace: str, *, severity: str = "", category: str = "DataLeakage") -> dict[str, Any]:
    """A new alert about the model of a namespace; no two have the same fingerprint."""
    labels = {
        "alertname": "GuardrailOutputLeak",
        "namespace": namespace,
        "ai_incident": "true",
        "ai_model": MODEL,
        "ai_category": category,
        **({"ai_severity": severity} if severity else {}),
    }
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "answers contain personal data"},
        "startsAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{next(_fingerprints):016x}",
    }


def storm(namespaces: list[str], *, alerts: int) -> list[dict[str, Any]]:
    """That many alerts, dealt out to the namespaces in turn."""
    # Less than critical, so that those that are can go first.
    return [
        firing(namespace, category="UnsafeOutput")
        for namespace in itertools.islice(itertools.cycle(namespaces), alerts)
    ]


def webhook(alerts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One notification."""
    return payloads.webhook(*alerts, groupKey="{}:bench")


def portions(alerts: list[dict[str, Any]], *, size: int) -> Iterator[list[dict[str, Any]]]:
    """The alerts in lists of at most `size`."""
    for first in range(0, len(alerts), size):
        yield alerts[first : first + size]
