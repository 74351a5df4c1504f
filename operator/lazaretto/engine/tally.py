"""Counts what becomes of incidents, when it is stored: a status write is guarded, so it happens once."""

from __future__ import annotations

from lazaretto.api import AIIncident
from lazaretto.domain.response import Verdict
from lazaretto.telemetry.metrics import Metrics


def count_changes(metrics: Metrics, old: AIIncident, new: AIIncident, *, verdict: Verdict) -> None:
    """Count what the stored status `new` says and `old` did not. Drills are kept out."""
    target = new.spec.target
    if new.spec.drill or target is None:
        return
    labels = (new.metadata.namespace, target.model)
    before, after = old.status.times, new.status.times
    if after.containment_started_at and not before.containment_started_at:
        metrics.begun.labels(*labels).inc()
    release = verdict.release
    granted = release is not None and release.granted
    released = after.released_at is not None and before.released_at is None
    if released:
        metrics.released.labels(*labels, str(granted).lower()).inc()
    ended = after.closed_at is not None and before.closed_at is None and before.released_at is None
    if (released or ended) and release is not None and granted and release.false_positive:
        metrics.false_positives.labels(*labels).inc()
