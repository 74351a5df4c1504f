"""Looks for alerts that never arrived, and takes them in.

A webhook may be lost on its way: a wrong token, a payload that was cut, a route that somebody
removed, a receiver that was away for longer than Alertmanager tries. So every receiver asks the
Alertmanagers what fires. What fires at two looks in a row is taken in like a webhook's alerts: if
it is stored already, nothing is written. One look is left to the webhook, which is quicker.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import datetime

from lazaretto.domain.alert import Alert
from lazaretto.errors import InvalidInput, LazarettoError
from lazaretto.receiver.matching import Matcher
from lazaretto.receiver.settings import MIB, Settings
from lazaretto.receiver.store import IncidentStore, Outcome, shown
from lazaretto.receiver.strict_json import parse
from lazaretto.signals.alertmanager import read_listed
from lazaretto.signals.alertmanager_api import AlertmanagerApi
from lazaretto.telemetry.intake import IntakeMetrics

LARGEST = 16 * MIB

_log = logging.getLogger(__name__)


class Pull:
    """Asks one Alertmanager again and again; see the module's text."""

    def __init__(
        self,
        url: str,
        settings: Settings,
        *,
        matcher: Matcher,
        store: IncidentStore,
        metrics: IntakeMetrics,
        ready: Callable[[], str],
    ) -> None:
        """`ready` returns why alerts cannot be taken now, empty when they can."""
        self._api = AlertmanagerApi(
            url,
            filter=settings.alertmanager_filter,
            largest=LARGEST,
            token=settings.alertmanager_token,
            ca=settings.alertmanager_ca,
        )
        # No name of a token file holds a slash: nobody can send under this name.
        self.sender = f"pull/{self._api.address}"
        self._settings = settings
        self._matcher = matcher
        self._store = store
        self._metrics = metrics
        self._ready = ready
        self._seen: frozenset[tuple[str, datetime | None]] = frozenset()
        self._failing = ""

    async def run(self) -> None:
        """Look for ever."""
        try:
            while True:
                # Jitter: two receivers that look at the same moment would meet at every write.
                await asyncio.sleep(self._settings.pull_seconds * (0.8 + 0.4 * random.random()))  # noqa: S311
                if not self._ready():
                    await self._look()
        finally:
            await self._api.close()

    async def _look(self) -> None:
        try:
            alerts = await asyncio.to_thread(self._read, await self._api.firing())
            await self._take([alert for alert in alerts if _key(alert) in self._seen])
            self._seen = frozenset(_key(alert) for alert in alerts)
        except LazarettoError as error:
            self._failed(str(error))
        except TimeoutError:
            self._metrics.not_stored.labels("pull").inc()
            self._failed("storing took too long")
        except Exception:
            # The next look may go better, and the webhook must not end with it.
            _log.exception("%s: a look failed", self.sender)
        else:
            self._metrics.pulled.labels(self._api.address).set_to_current_time()
            self._failing = ""

    def _read(self, answer: bytes) -> tuple[Alert, ...]:
        try:
            return read_listed(parse(answer), most=self._settings.most_alerts).alerts
        except InvalidInput as error:
            raise InvalidInput(f"answer of Alertmanager, {error.field}", error.value, error.remedy) from error

    async def _take(self, alerts: list[Alert]) -> None:
        async with asyncio.timeout(self._settings.store_seconds):
            found = await self._matcher.sort(alerts)
            outcome = await self._store.record(found.groups, sender=self.sender)
        self._count(outcome, heartbeat=found.heartbeat)
        if outcome.created or outcome.extended:
            _log.warning(
                "%s: alerts fire that no webhook brought; created %s; extended %s. Look at Alertmanager's route to us",
                *(self.sender, shown(outcome.created), shown(outcome.extended)),
            )

    def _count(self, outcome: Outcome, *, heartbeat: bool) -> None:
        address = self._api.address
        self._metrics.found.labels(address).inc(len(outcome.created) + len(outcome.extended))
        self._metrics.not_stored.labels("pull").inc(len(outcome.failed))
        if heartbeat:
            # Whether its webhook came as well, only Prometheus can say: it may have gone to another receiver.
            self._metrics.heartbeat_listed.labels(address).set_to_current_time()

    def _failed(self, reason: str) -> None:
        """Said once for each reason in a row, not at every look."""
        if reason != self._failing:
            _log.warning("%s: %s", self.sender, reason)
        self._failing = reason


def _key(alert: Alert) -> tuple[str, datetime | None]:
    return alert.fingerprint, alert.starts_at
