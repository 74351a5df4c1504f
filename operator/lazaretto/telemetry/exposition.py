"""One process' metrics in Prometheus' text format. Counters begin at zero with the process, as Prometheus expects."""

from __future__ import annotations

from collections.abc import Iterable

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.registry import Collector

# Each counter would get a second series with the time of its first increment, which nothing here needs.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped


class Exposition:
    """What is shown under `/metrics`; the process' memory, CPU time and open files are in it from the beginning."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

    def add(self, collector: Collector) -> None:
        """Ask `collector` as well, whenever metrics are read."""
        self.registry.register(collector)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return prometheus_client.generate_latest(self.registry)

    def _counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: Iterable[str], *, buckets: Iterable[float]) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=tuple(buckets))
