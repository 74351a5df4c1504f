"""What limits are measured against: counted from what is stored, as it comes in.

A namespace may have thousands of incidents, and none of them may be looked through for each new
one. So the ledger notes of each what counts when a copy of it is taken in.
"""

from __future__ import annotations

from datetime import datetime

from lazaretto.api import AIIncident
from lazaretto.api.responsepolicy import TrippedLimit
from lazaretto.domain.limits import HOUR, Beginning, sender_of, trip_of


class Ledger:
    """By namespace and uid of the incident. Forgets beginnings that are older than an hour when it is asked."""

    def __init__(self) -> None:
        self._begun: dict[str, dict[str, Beginning]] = {}
        self._tripped: dict[str, dict[str, TrippedLimit]] = {}

    def note(self, incident: AIIncident) -> None:
        """Take in the newest copy of an incident."""
        namespace, uid = incident.metadata.namespace, incident.metadata.uid
        began = incident.status.times.containment_started_at
        if began is not None:
            self._begun.setdefault(namespace, {})[uid] = Beginning(sender_of(incident), began)
        if trip := trip_of(incident):
            self._tripped.setdefault(namespace, {})[uid] = trip
        else:
            self._tripped.get(namespace, {}).pop(uid, None)

    def forget(self, incident: AIIncident) -> None:
        """An incident was deleted: what it stopped is not stopped any more, but what it held was held."""
        self._tripped.get(incident.metadata.namespace, {}).pop(incident.metadata.uid, None)

    def begun(self, namespace: str, *, now: datetime) -> dict[str, Beginning]:
        """Containments that began within the last hour, by uid of the incident."""
        kept = {uid: b for uid, b in self._begun.get(namespace, {}).items() if now - b.at < HOUR}
        self._begun[namespace] = kept
        return dict(kept)

    def tripped(self, namespace: str) -> list[TrippedLimit]:
        """Limits that open incidents say have tripped."""
        return list(self._tripped.get(namespace, {}).values())
