"""Whether an incident has come back: the same alert belonged to an earlier one that ended not long ago."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from lazaretto.api.aiincident import AIIncident

WINDOW = timedelta(days=90)


def recurred(incident: AIIncident, *, others: Iterable[AIIncident]) -> bool:
    """Whether one of the incident's alerts was part of an incident that ended within the window before it.

    Drills do not count, and a false positive is no earlier occurrence either. The answer follows
    from stored objects alone, so it does not change while time passes.
    """
    created = incident.metadata.creation_timestamp
    mine = {alert.fingerprint for alert in incident.spec.alerts}
    return any(
        ended is not None and created is not None and timedelta(0) <= created - ended <= WINDOW
        for other in others
        if other.metadata.uid != incident.metadata.uid and not other.spec.drill and not _dismissed(other)
        if mine & {alert.fingerprint for alert in other.spec.alerts}
        for ended in (other.status.times.closed_at,)
    )


def _dismissed(incident: AIIncident) -> bool:
    return any(entry.type == "FalsePositive" for entry in incident.status.timeline)
