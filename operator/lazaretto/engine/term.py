"""One term of writing: the queues, the workers, and everything that they remember.

Whatever happens - a watch event, a decision, a held object that moved, a tick - only puts a
model's key into the queue. Workers take keys, make passes, and ask for another one as long as
there is something to wait for. The ticker asks again for everything that is open, so that a
lost event costs seconds and nothing else.

A term is never taken up again: the next one begins with nothing but the stored objects, as after a restart.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from lazaretto.api import AIIncident, Containment, ProtectedModel
from lazaretto.domain.evidence import Finding
from lazaretto.engine.bells import Bells
from lazaretto.engine.clock import Clock
from lazaretto.engine.collector import Collector
from lazaretto.engine.courtesy import CourteousApi, Courtesy
from lazaretto.engine.ending import ended
from lazaretto.engine.event_writer import EventWriter
from lazaretto.engine.onset import Lookup, Onset
from lazaretto.engine.opposition import Opposition
from lazaretto.engine.queue import IDLE, NORMAL, URGENT, WorkQueue
from lazaretto.engine.reconciler import NOW, Reconciler
from lazaretto.engine.report import Reporter
from lazaretto.engine.rounds import rounds
from lazaretto.engine.sentry import Sentry
from lazaretto.engine.status_writer import StatusWriter
from lazaretto.engine.store import Key, Store
from lazaretto.engine.surroundings import Surroundings
from lazaretto.engine.survey import Survey
from lazaretto.engine.traffic_lookup import Ask
from lazaretto.engine.undo import AT_ONCE, Undo
from lazaretto.errors import LazarettoError
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.retry import CONTAINMENT
from lazaretto.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

WORKERS = 16
CRITICAL_WORKERS = 4
"""Beside the others, so that a storm cannot occupy all."""
STATUS_WORKERS = 4
SNAPSHOT_WORKERS = 4
TICK = 10.0
SURVEY_EVERY = 60.0
SURVEY_AGAIN = 10.0
GIVE_WAY = 0.05
GIVE_WAY_TIMES = 10
FIRST_RETRY = 0.1
LONGEST_RETRY = 5.0
EAGER = 3
"""Passes in a row that may follow each other at once."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The connections of a process: for containment, for status and Events, and for watches on held objects."""

    fast: ApiServer
    slow: ApiServer
    watches: ApiServer

    def writing_while(self, writes: Callable[[], bool]) -> Lines:
        """The same, for as long as `writes` is true: it is asked before each try of a write."""
        return Lines(*(each.writing_while(writes) for each in (self.fast, self.slow, self.watches)))


class Term:
    """See the module's text. `learned` is set once everything is known that decisions rest on."""

    def __init__(
        self,
        lines: Lines,
        store: Store,
        *,
        learned: Callable[[], Coroutine[Any, Any, None]],
        policies: Callable[[], Finding],
        clock: Clock,
        onset: Lookup | None,
        traffic: Ask | None,
        metrics: Metrics,
    ) -> None:
        fast, slow = lines.fast, lines.slow
        self._store = store
        self._learned = learned
        self._metrics = metrics
        self._queue: WorkQueue[Key] = WorkQueue()
        self._surveys: WorkQueue[Key] = WorkQueue()
        self._failures: dict[Key, int] = {}
        self._lost: dict[Key, int] = {}
        self._courtesy = Courtesy()
        polite = CourteousApi(slow, self._courtesy)
        self._statuses = StatusWriter(polite, store)
        self._events = EventWriter(polite)
        self._opposition = Opposition(metrics)
        self._onset = Onset(onset, store, self._statuses) if onset else None
        self.bells = Bells(store, self._queue, surveys=self._surveys, opposition=self._opposition, onset=self._onset)
        undo = Undo(fast.with_policy(AT_ONCE), self._opposition)
        self._sentry = Sentry(CourteousApi(lines.watches, self._courtesy), ring=self.bells.alarm, moved=undo.moved)
        self._collector = Collector(fast, polite, clock=clock, ring=self._queue.add)
        surroundings = Surroundings()
        # Its reads keep the fast lane's connections open, which the API server closes after 90 s of silence.
        self._survey = Survey(
            CourteousApi(fast, self._courtesy),
            store,
            self._statuses,
            clock=clock,
            surroundings=surroundings,
            traffic=traffic,
        )
        self._reconciler = Reconciler(
            CourteousApi(fast.with_policy(CONTAINMENT), self._courtesy),
            store,
            Reporter(store, self._statuses, self._events, clock=clock, metrics=metrics, limited=self.bells.limited),
            clock=clock,
            guard=self._sentry.guard,
            changed=self._surveys.add,
            policies=policies,
            collector=self._collector,
            surroundings=surroundings,
            opposition=self._opposition,
            undo=undo,
        )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the workers, with everything that is open in the queues. Requires a running event loop."""
        jobs: list[Coroutine[Any, Any, None]] = [self._work() for _ in range(WORKERS)]
        jobs += [self._work(critical=True) for _ in range(CRITICAL_WORKERS)]
        jobs += [self._statuses.work() for _ in range(STATUS_WORKERS)]
        jobs += [self._collector.work() for _ in range(SNAPSHOT_WORKERS)]
        jobs += [self._events.work(), self._survey_work(), self._tick(), self._survey_all()]
        jobs += [self._onset.work()] if self._onset else []
        self._tasks = [asyncio.create_task(job) for job in jobs]
        for kind in (AIIncident, Containment, ProtectedModel):
            for each in self._store.all(kind):
                if not isinstance(each, AIIncident) or each.status.times.closed_at is None:
                    self.bells.ring(each)

    async def stop(self) -> None:
        """Stop the workers. Whatever was under way is taken up again from the stored objects."""
        self._collector.close()
        await ended(self._tasks)
        await self._sentry.stop()

    async def _work(self, *, critical: bool = False) -> None:
        await self._learned()
        while True:
            key = await self._queue.take(critical=critical)
            if pause := self._opposition.wait(key):
                self._queue.done(key)
                self._queue.add_after(key, pause, priority=URGENT)
                continue
            self._opposition.begin(key)
            try:
                with self._courtesy.priority(self._queue.priority_of(key)):
                    delay = await self._reconciler.reconcile(key)
            except LazarettoError as error:
                self._retry(key, error)
            except Exception:
                # One model's defect must not take the others' workers with it.
                log.exception("pass over %s/%s failed", *key)
                self._retry(key, None)
            else:
                self._failures.pop(key, None)
                self._follow(key, delay)
            finally:
                self._queue.done(key)

    def _follow(self, key: Key, delay: float | None) -> None:
        """Ask for the next pass as the last one wanted it."""
        lost = self._lost[key] = self._lost.get(key, 0) + 1 if delay == NOW else 0
        if lost > EAGER:
            # A patch that the API server refuses for what it says looks like a lost race, and is lost again.
            delay = _backoff(lost - EAGER)
            log.warning("pass over %s/%s lost %d races in a row, again in %.1f s", *key, lost, delay)
        if delay is None:
            self._lost.pop(key)
        else:
            self._queue.add_after(key, delay, priority=NORMAL)

    def _retry(self, key: Key, error: Exception | None) -> None:
        self._metrics.pass_failures.inc()
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = _backoff(failures) * (0.5 + random.random())  # noqa: S311  # jitter
        if error is not None:
            log.warning("pass over %s/%s failed, again in %.1f s: %s", *key, delay, error)
        self._queue.add_after(key, delay, priority=NORMAL)

    async def _survey_work(self) -> None:
        await self._learned()
        while True:
            key = await self._surveys.take()
            try:
                with self._courtesy.priority(IDLE):
                    complete = await self._look_at(key)
                if not complete:
                    self._surveys.add_after(key, SURVEY_AGAIN, priority=IDLE)
            except LazarettoError as error:
                log.warning("survey of %s/%s failed: %s", *key, error)
            except Exception:
                log.exception("survey of %s/%s failed", *key)
            finally:
                self._surveys.done(key)

    async def _give_way(self) -> None:
        """A survey must not compete with a containment; but it is not put off for ever."""
        for _ in range(GIVE_WAY_TIMES):
            await asyncio.sleep(GIVE_WAY)
            if not self._queue.busy:
                return

    async def _look_at(self, key: Key) -> bool:
        namespace, model = key
        if model:
            await self._give_way()
            return await self._survey.survey(namespace, model)
        # Nothing is asked for that. After a start there are those of all namespaces, and models wait.
        self._survey.review_policies(namespace)
        await asyncio.sleep(0)
        return True

    async def _tick(self) -> None:
        """Everything that is held, again and again."""
        async for held in rounds(lambda: self._store.all(Containment), every=TICK):
            self._queue.add((held.metadata.namespace, held.spec.model))

    async def _survey_all(self) -> None:
        """Every model's self-test, less often."""
        async for model in rounds(lambda: self._store.all(ProtectedModel), every=SURVEY_EVERY):
            self._surveys.add((model.metadata.namespace, model.metadata.name), priority=IDLE)


def _backoff(times: int) -> float:
    # Bounded: after an hour and a half of failures the power would not fit into a float any more.
    return min(FIRST_RETRY * 2.0 ** min(times, 16), LONGEST_RETRY)
