"""The alert that always fires, so that its absence tells: the way of alerts to the receiver is broken.

It takes the way of incidents and is none. So that the mark cannot hide an incident, it counts on
nothing but the heartbeat itself: exactly its name, no label that is about a model, and no
namespace but the receiver's own, in which those who may write rules of a tenant may not. Whether
a model matches it nevertheless is the caller's to ask first.
"""

from __future__ import annotations

from lazaretto.domain.alert import Alert

NAME = "LazarettoHeartbeat"
MARK = "lazaretto_heartbeat"
ROUTED = "ai_incident"
"""The one label of incidents that a heartbeat may have: it takes their route."""
_OURS = "ai_"


def is_heartbeat(alert: Alert, *, namespace_label: str, own_namespace: str) -> bool:
    """Whether the alert is the heartbeat, firing or resolved, and nothing else."""
    labels = alert.labels
    return (
        labels.get("alertname") == NAME
        and labels.get(MARK) == "true"
        and labels.get(namespace_label, own_namespace) == own_namespace
        and not any(name.startswith(_OURS) and name != ROUTED for name in labels)
    )
