"""Asks Prometheus since when an alert's condition holds, and whether an expression is above zero.

Alertmanager's `startsAt` is when the alert fired, after its `for` duration. The condition was
true earlier; Prometheus exports that moment as the value of `ALERTS_FOR_STATE`. Off the fast
path, with a deadline; without an answer the moment stays unknown.

The query about alerts is built from a namespace that the API server validated and from nothing
else. What an alert says about itself is compared with the answer in Python, never put into a query.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import requests
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect
from urllib3.util.retry import Retry

from lazaretto.api import AIIncident
from lazaretto.api.aiincident import AlertEntry
from lazaretto.domain.dns_label import is_dns_label
from lazaretto.errors import Invalid, InvalidInput, Unavailable

DEADLINE = 3.0
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_STATUS = re.compile("HTTP Status Code ([0-9]{3}) ")
# The last three: an answer of another shape, from something that only looks like Prometheus.
_NO_ANSWER = (requests.RequestException, PrometheusApiClientException, TimeoutError, ValueError, KeyError, TypeError)


class Prometheus:
    """One Prometheus, or what answers like one."""

    def __init__(self, url: str, *, namespace_label: str = "namespace") -> None:
        """Raises `InvalidInput` for a label name that Prometheus does not allow."""
        if not _LABEL.fullmatch(namespace_label):
            raise InvalidInput("namespace-label", namespace_label, "use letters, digits and underscores")
        session = requests.Session()
        # Proxy variables of the environment must not decide where we ask.
        session.trust_env = False
        # Nor may what answers there: it could have us ask whatever only we can reach.
        session.max_redirects = 0
        self._connection = PrometheusConnect(
            url=url.rstrip("/"), session=session, retry=Retry(total=0), timeout=int(DEADLINE)
        )
        self._namespace_label = namespace_label

    async def active_since(self, incident: AIIncident) -> datetime | None:
        """The earliest moment at which the condition of one of the incident's alerts became true.

        None if Prometheus knows none of them. Raises `Unavailable` when it does not answer in time.
        """
        namespace = incident.metadata.namespace
        if not is_dns_label(namespace):
            return None
        found = await self._ask(f'ALERTS_FOR_STATE{{{self._namespace_label}="{namespace}"}}')
        return earliest(found, incident.spec.alerts)

    async def is_positive(self, expression: str) -> bool:
        """Whether an expression has a result above zero now.

        Raises `Invalid` if Prometheus does not take it for one, `Unavailable` when it does not answer in time.
        """
        # However many series there are, one answer says it. A comment at the end must not swallow the rest.
        try:
            return bool(await self._ask(f"count((\n{expression}\n) > 0)"))
        except Unavailable as error:
            if error.status in (400, 422):
                raise Invalid(error.status, error.message) from error
            raise

    async def _ask(self, query: str) -> list[dict[str, Any]]:
        try:
            answer = await asyncio.wait_for(asyncio.to_thread(self._connection.custom_query, query), DEADLINE + 1)
            return [one for one in answer if isinstance(one["metric"], dict)]
        except _NO_ANSWER as error:
            told = _STATUS.match(str(error))
            raise Unavailable(int(told[1]) if told else 0, f"Prometheus did not answer: {error!r:.300}") from error


def earliest(answer: Iterable[Mapping[str, Any]], alerts: Iterable[AlertEntry]) -> datetime | None:
    """The smallest value among the series that belong to one of the alerts.

    A value after the alert fired, or none that could be a moment of this century, is not believed.
    """
    wanted = list(alerts)
    moments = []
    for series in answer:
        labels = {k: v for k, v in (series.get("metric") or {}).items() if k != "__name__"}
        # An alert carries the series' labels, and those that Prometheus adds for the outside.
        fired = [a.last_starts_at or a.starts_at for a in wanted if labels.items() <= a.labels.items()]
        moment = _moment(series.get("value"))
        if moment is not None and fired and _EARLIEST <= moment <= max(fired):
            moments.append(moment)
    return min(moments, default=None)


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(value[1]), UTC)
    except (TypeError, ValueError, IndexError, OverflowError, OSError):
        return None
