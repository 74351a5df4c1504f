"""What metrics say about the election."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lazaretto.engine.election import Election


class Leadership(Collector):
    """See the module's text."""

    def __init__(self, election: Election) -> None:
        self._election = election

    def collect(self) -> Iterator[Metric]:
        """Whether this process leads, and when it last had to do with the Lease."""
        yield GaugeMetricFamily(
            "lazaretto_leader", "1 if this replica is the one that writes, else 0.", value=float(self._election.leads)
        )
        yield GaugeMetricFamily(
            "lazaretto_lease_age_seconds",
            "Since the leader last wrote, namely renewed the Lease, with success; since another replica last read it.",
            value=self._election.age(),
        )
