"""What metrics say about stored objects: counted when they are asked for, from the copies in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lazaretto.api import AIIncident, Containment, ResponsePolicy
from lazaretto.engine.clock import Clock
from lazaretto.engine.store import Store

SEVERE = ("SEV1", "SEV2")


class Census(Collector):
    """See the module's text. Ask it in the event loop, which the store belongs to."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Containments by namespace, and how long the worst incident waits."""
        standing = GaugeMetricFamily(
            "lazaretto_containments", "Models that are held, or being released.", labels=["namespace"]
        )
        for namespace, count in sorted(Counter(c.metadata.namespace for c in self._store.all(Containment)).items()):
            standing.add_metric([namespace], count)
        yield standing
        tripped = GaugeMetricFamily(
            "lazaretto_limits_tripped", "Tripped limits that nobody has reset, as policies say.", labels=["namespace"]
        )
        for namespace in sorted({policy.metadata.namespace for policy in self._store.all(ResponsePolicy)}):
            found = {(t.limit, t.sender) for p in self._store.policies_in(namespace) for t in p.status.tripped}
            tripped.add_metric([namespace], len(found))
        yield tripped
        yield GaugeMetricFamily(
            "lazaretto_uncontained_incident_age_seconds",
            "Age of the oldest open SEV1 or SEV2 incident of a model that is not contained, for whatever reason;"
            " 0 if there is none.",
            value=max((self._age(i) for i in self._store.all(AIIncident) if _waits(i)), default=0.0),
        )

    def _age(self, incident: AIIncident) -> float:
        created: datetime | None = incident.metadata.creation_timestamp
        return max(0.0, (self._clock.now() - created).total_seconds()) if created else 0.0


def _waits(incident: AIIncident) -> bool:
    """Severe, or not looked at yet; and no drill."""
    status, times = incident.status, incident.status.times
    over = times.contained_at or times.released_at or times.closed_at
    severe = status.severity is None or status.severity in SEVERE
    return severe and not over and incident.spec.target is not None and not incident.spec.drill
