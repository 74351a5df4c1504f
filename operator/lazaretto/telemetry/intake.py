"""What a receiver counts, for Prometheus.

Labels are words of our own, names of token files, common names of client certificates and addresses that flags
name, and no text of alerts. Moments are in seconds since 1970, by the receiver's clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from lazaretto.telemetry.exposition import Exposition

Way = Literal["webhook", "posted", "pull"]
"""How alerts come in: Alertmanager's webhook, a sender that takes us for an Alertmanager, or our asking."""
Result = Literal[
    "stored",
    "duplicate",
    "unauthorized",
    "malformed",
    "unsupported",
    "too_large",
    "misdirected",
    "unavailable",
    "failed",
]
"""What became of a request; see docs/reference/metrics.md."""

OTHERS = "others"
"""Stands for every sender after the first `MOST_SENDERS`: an authority may have signed any number of them."""
MOST_SENDERS = 32
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0)


class IntakeMetrics(Exposition):
    """The counters and moments of one receiver. What its flags name is shown from zero on."""

    def __init__(self, alertmanagers: Iterable[str] = ()) -> None:
        """`alertmanagers` are the addresses of those that are asked."""
        super().__init__()
        self._senders: set[str] = set()
        self._say_requests()
        self._say_pulls(tuple(alertmanagers))
        self.heartbeat = self._gauge(
            "lazaretto_receiver_heartbeat_timestamp_seconds",
            "When a heartbeat came in last by a request; not there before the first.",
            ("sender",),
        )
        self.not_stored = self._counter(
            "lazaretto_receiver_store_failures_total",
            "Times that an incident was not stored, or not in time; its alerts are refused or looked for again.",
            ("way",),
        )
        for way in get_args(Way):
            self.not_stored.labels(way)

    def _say_requests(self) -> None:
        self._requests = self._counter(
            "lazaretto_receiver_requests_total", "Requests to the public port by what became of them.", ("result",)
        )
        for result in get_args(Result):
            self._requests.labels(result)
        self.alerts = self._counter(
            "lazaretto_receiver_alerts_total",
            "Alerts, firing and resolved ones, in requests of known senders.",
            ("way",),
        )
        self.cut = self._counter(
            "lazaretto_receiver_alerts_cut_total", "Alerts that a sender says it has cut off.", ("way",)
        )
        self._seconds = self._histogram(
            "lazaretto_receiver_store_seconds",
            "From the headers of a request until the incidents that it wrote were stored.",
            ("way",),
            buckets=_BUCKETS,
        )
        for each in (self.alerts, self.cut, self._seconds):
            each.labels("webhook")
            each.labels("posted")
        self._taken = self._gauge(
            "lazaretto_receiver_request_timestamp_seconds",
            "When a request was answered 200 last; not there before the first.",
            ("sender",),
        )

    def _say_pulls(self, alertmanagers: tuple[str, ...]) -> None:
        self.pulled = self._gauge(
            "lazaretto_receiver_pull_timestamp_seconds",
            "When an Alertmanager was asked last with success; 0 before the first time.",
            ("alertmanager",),
        )
        self.found = self._counter(
            "lazaretto_receiver_found_by_pull_total",
            "Incidents created or extended with alerts that fire and that no request brought.",
            ("alertmanager",),
        )
        self.heartbeat_listed = self._gauge(
            "lazaretto_receiver_heartbeat_listed_timestamp_seconds",
            "When an Alertmanager said last that the heartbeat fires; 0 before the first time.",
            ("alertmanager",),
        )
        for address in alertmanagers:
            for each in (self.pulled, self.found, self.heartbeat_listed):
                each.labels(address)

    def refused(self, result: Result) -> None:
        """A request was not taken."""
        self._requests.labels(result).inc()

    def took(self, way: Way, *, sender: str, wrote: bool, heartbeat: bool, seconds: float) -> None:
        """A request was answered 200, `seconds` after it came; `heartbeat` says that one fires in it."""
        self._requests.labels("stored" if wrote else "duplicate").inc()
        if wrote:
            self._seconds.labels(way).observe(seconds)
        bounded = self._bounded(sender)
        self._taken.labels(bounded).set_to_current_time()
        if heartbeat:
            self.heartbeat.labels(bounded).set_to_current_time()

    def _bounded(self, sender: str) -> str:
        if len(self._senders) < MOST_SENDERS:
            self._senders.add(sender)
        return sender if sender in self._senders else OTHERS
