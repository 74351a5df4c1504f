"""Asks whether a workload carries traffic, if the model's owner says how, and gives up for a while on silence.

A Prometheus that does not answer costs one survey its deadline, and not every survey of every model.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from lazaretto.api import ProtectedModel
from lazaretto.domain.traffic import (
    FLOWS,
    NO_ANSWER,
    NO_PROMETHEUS,
    NO_QUERY,
    NONE,
    REFUSED,
    Traffic,
    traffic_query,
    unusable,
)
from lazaretto.errors import ApiError, Invalid, InvalidInput

log = logging.getLogger(__name__)

Ask = Callable[[str], Awaitable[bool]]
"""Whether a PromQL expression has a result above zero. Raises `Invalid` if it is none, and `Unavailable`."""
SILENCE = 30.0
"""Seconds for which nothing is asked after there was no answer."""


class TrafficLookup:
    """See the module's text. Without `ask` there is no Prometheus."""

    def __init__(self, ask: Ask | None = None, *, steady: Callable[[], float]) -> None:
        self._ask = ask
        self._steady = steady
        self._silent_until = float("-inf")

    async def of(self, model: ProtectedModel, workload: str) -> Traffic:
        """What is known of a workload's traffic now. Never raises."""
        expression = model.spec.traffic_query
        if not expression:
            return NO_QUERY
        if self._ask is None:
            return NO_PROMETHEUS
        names = {"namespace": model.metadata.namespace, "model": model.metadata.name, "workload": workload}
        try:
            query = traffic_query(expression, **names)
        except InvalidInput as error:
            return unusable(error)
        if self._steady() < self._silent_until:
            return NO_ANSWER
        try:
            return FLOWS if await self._ask(query) else NONE
        except Invalid as error:
            log.warning("traffic of %s/%s: %s", names["namespace"], workload, error)
            return REFUSED
        except ApiError as error:
            log.warning("traffic of %s/%s not known: %s", names["namespace"], workload, error)
            self._silent_until = self._steady() + SILENCE
            return NO_ANSWER
