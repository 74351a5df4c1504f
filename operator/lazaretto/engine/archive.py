"""Timelines of incidents that have ended, kept small until somebody asks for the whole incident.

Past incidents are looked at for what they were about and when they ended. Their timelines make up three quarters of
what they take in memory, and nothing reads them but whoever writes such an incident's status once more.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

from lazaretto.api import AIIncident
from lazaretto.api.aiincident import TimelineEntry


class Archive:
    """Timelines by uid of their incident."""

    def __init__(self) -> None:
        self._timelines: dict[str, bytes] = {}

    def laid_away(self, incident: AIIncident) -> AIIncident:
        """The incident as it is to be kept: without its timeline, if it has ended."""
        self.forget(incident)
        status = incident.status
        if status.times.closed_at is None or not status.timeline:
            return incident
        entries = [entry.dump() for entry in status.timeline]
        self._timelines[incident.metadata.uid] = zlib.compress(json.dumps(entries, separators=(",", ":")).encode())
        return _with(incident, ())

    def whole(self, incident: AIIncident) -> AIIncident:
        """The same incident with its timeline."""
        kept = self._timelines.get(incident.metadata.uid)
        if kept is None:
            return incident
        return _with(incident, [TimelineEntry.model_validate(entry) for entry in json.loads(zlib.decompress(kept))])

    def forget(self, incident: AIIncident) -> None:
        """It is gone, or replaced."""
        self._timelines.pop(incident.metadata.uid, None)


def _with(incident: AIIncident, timeline: Sequence[TimelineEntry]) -> AIIncident:
    status = incident.status.model_copy(update={"timeline": list(timeline)})
    return incident.model_copy(update={"status": status})
