"""What a receiver shows under /metrics, as a scraper reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.unit.receiver.conftest import Running


def samples(running: Running, name: str) -> dict[tuple[str, ...], float]:
    """Values of `lazaretto_receiver_<name>` by the values of the labels."""
    text = running.receiver.metrics.text().decode()
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"lazaretto_receiver_{name}"
    }


def above_zero(running: Running, name: str) -> dict[tuple[str, ...], float]:
    """Those of them that have happened."""
    return {labels: value for labels, value in samples(running, name).items() if value}
