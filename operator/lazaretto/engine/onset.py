"""Finds out when the condition behind an incident began, after everything urgent is done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from lazaretto.api import AIIncident
from lazaretto.api.aiincident import AIIncidentStatus, IncidentTimes
from lazaretto.engine.queue import WorkQueue
from lazaretto.engine.status_writer import StatusWriter
from lazaretto.engine.store import Store
from lazaretto.errors import ApiError

log = logging.getLogger(__name__)

Lookup = Callable[[AIIncident], Awaitable[datetime | None]]
Name = tuple[str, str]
PATIENCE = 2.0
"""Seconds left to the containment before anything is asked."""
PAUSE = 10.0
"""Seconds between two tries: Prometheus may restart, or evaluate seldom."""
TRIES = 3


class Onset:
    """Asks `lookup` about each new incident a few times, and writes `times.activeAt` when it knows."""

    def __init__(self, lookup: Lookup, store: Store, statuses: StatusWriter) -> None:
        self._lookup = lookup
        self._store = store
        self._statuses = statuses
        self._queue: WorkQueue[Name] = WorkQueue()
        self._tries: dict[Name, int] = {}

    def ask(self, incident: AIIncident) -> None:
        """Look into an incident, unless it is known or was asked for often enough. Never blocks."""
        name = (incident.metadata.namespace, incident.metadata.name)
        times = incident.status.times
        if times.closed_at is not None or times.active_at is not None:
            self._tries.pop(name, None)
        elif incident.spec.alerts and name not in self._tries:
            self._tries[name] = 0
            self._queue.add_after(name, PATIENCE)

    async def work(self) -> None:
        """Look up what is asked for, for ever."""
        while True:
            name = await self._queue.take()
            try:
                await self._look(name)
            except ApiError as error:
                log.info("onset of %s/%s not known: %s", *name, error)
                self._again(name)
            except Exception:
                # The time is a courtesy; a defect here must not take the whole process along.
                log.exception("onset of %s/%s not known", *name)
            finally:
                self._queue.done(name)

    async def _look(self, name: Name) -> None:
        incident = self._store.get(AIIncident, *name)
        if incident is None:
            self._tries.pop(name, None)
            return
        moment = await self._lookup(incident)
        if moment is None:
            self._again(name)
            return
        began = moment

        def build(newest: AIIncident) -> AIIncidentStatus:
            return newest.status.model_copy(update={"times": _with_onset(newest, began)})

        await asyncio.wait({self._statuses.submit(AIIncident, *name, build, author="onset")})

    def _again(self, name: Name) -> None:
        tries = self._tries[name] = self._tries.get(name, 0) + 1
        if tries < TRIES:
            self._queue.add_after(name, PAUSE)


def _with_onset(incident: AIIncident, moment: datetime) -> IncidentTimes:
    """The incident's times with the onset; a stated beginning stands, an assumed one is not later than the onset."""
    times = incident.status.times
    if times.active_at is not None:
        return times
    stated = incident.spec.occurred_at is not None
    began = times.occurred_at if stated or times.occurred_at is None else min(times.occurred_at, moment)
    return times.model_copy(update={"active_at": moment, "occurred_at": began or moment})
