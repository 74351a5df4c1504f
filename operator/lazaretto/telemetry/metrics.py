"""What the operator counts, for Prometheus. Labels are names that the API server has checked, and no other text."""

from __future__ import annotations

from lazaretto.telemetry.exposition import Exposition

MODEL = ("namespace", "ai_model")
"""Labels of everything that is about one model: the same as those of the alerts that it answers."""


class Metrics(Exposition):
    """The counters of one operator."""

    def __init__(self) -> None:
        super().__init__()
        self.interferences = self._counter(
            "lazaretto_interferences_total", "Times that somebody moved a held object, which was put back.", MODEL
        )
        self.fence_bypasses = self._counter(
            "lazaretto_fence_bypasses_total",
            "Those of the interferences that admission refuses to everybody but break-glass.",
            MODEL,
        )
        self.refused_writes = self._counter(
            "lazaretto_refused_writes_total",
            "Containment or release writes that the API server refused for lack of rights or for what they say.",
            MODEL,
        )
        self.begun = self._counter("lazaretto_containments_begun_total", "Incidents whose containment began.", MODEL)
        self.released = self._counter(
            "lazaretto_containments_released_total",
            "Incidents whose containment was released and verified; approved is false where break-glass did it, or the"
            " decisions are gone.",
            (*MODEL, "approved"),
        )
        self.false_positives = self._counter(
            "lazaretto_false_positives_total", "Incidents that people ended as false positives.", MODEL
        )
        self.passes = self._counter("lazaretto_passes_total", "Passes over a model.")
        self.pass_failures = self._counter("lazaretto_pass_failures_total", "Passes that failed and are repeated.")

    def watch_model(self, namespace: str, model: str) -> None:
        """Show the counters of a held model from zero on, so that their first increase is one."""
        for counter in (self.interferences, self.fence_bypasses, self.refused_writes):
            counter.labels(namespace, model)
