"""The running engine: bells in, passes over models out.

Whatever happens - a watch event, a decision, a held object that moved, a tick - only puts a
model's key into the queue. Workers take keys, make passes, and ask for another one as long as
there is something to wait for. The ticker asks again for everything that is open, so that a
lost event costs seconds and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine, Mapping
from typing import Any

from lazaretto.api import (
    Containment,
    ModelRevision,
    ProtectedModel,
    Resource,
)
from lazaretto.api.meta import ObjectMeta
from lazaretto.engine.account import own_namespace
from lazaretto.engine.admission import Admission
from lazaretto.engine.bells import Bells
from lazaretto.engine.clock import Clock, SystemClock
from lazaretto.engine.collector import Collector
from lazaretto.engine.comparison import Comparison
from lazaretto.engine.courtesy import CourteousApi, Courtesy
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
from lazaretto.engine.switch import Switch
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
SYSTEM = ("kube-system", "kube-public", "kube-node-lease")
EAGER = 3
"""Passes in a row that may follow each other at once."""

_OURS = (Containment, ModelRevision)
"""Kinds that the engine writes itself: their own echo rings nothing."""


class Engine:
    """Everything that runs in the operator beside Kopf. Start it once per process."""

    def __init__(
        self,
        fast: ApiServer,
        slow: ApiServer,
        *,
        watches: ApiServer | None = None,
        clock: Clock | None = None,
        onset: Lookup | None = None,
        traffic: Ask | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.store = Store()
        self.store.incidents_known = False
        self.store.protected |= dict.fromkeys(SYSTEM, "namespaces of Kubernetes itself are never acted in")
        self._metrics = metrics or Metrics()
        self._queue: WorkQueue[Key] = WorkQueue()
        self._surveys: WorkQueue[Key] = WorkQueue()
        self._failures: dict[Key, int] = {}
        self._lost: dict[Key, int] = {}
        self._courtesy = Courtesy()
        polite = CourteousApi(slow, self._courtesy)
        self._statuses = StatusWriter(polite, self.store)
        self._events = EventWriter(polite)
        self._opposition = Opposition(self._metrics)
        self._onset = Onset(onset, self.store, self._statuses) if onset else None
        self._bells = Bells(
            self.store, self._queue, surveys=self._surveys, opposition=self._opposition, onset=self._onset
        )
        self._watches = watches or slow
        undo = Undo(fast.with_policy(AT_ONCE), self._opposition)
        self._sentry = Sentry(self._watches, ring=self._bells.alarm, moved=undo.moved)
        self._admission = Admission(self._watches, changed=self._bells.ring_held)
        self._collector = Collector(fast, slow, clock=clock, ring=self._queue.add)
        self._switch = Switch(self._watches, self.store, changed=self._bells.ring_open)
        surroundings = Surroundings()
        # Its reads keep the fast lane's connections open, which the API server closes after 90 s of silence.
        self._survey = Survey(
            CourteousApi(fast, self._courtesy),
            self.store,
            self._statuses,
            clock=clock,
            surroundings=surroundings,
            traffic=traffic,
        )
        self._reconciler = Reconciler(
            CourteousApi(fast.with_policy(CONTAINMENT), self._courtesy),
            self.store,
            Reporter(
                self.store,
                self._statuses,
                self._events,
                clock=clock,
                metrics=self._metrics,
                limited=self._bells.limited,
            ),
            clock=clock,
            guard=self._sentry.guard,
            changed=self._surveys.add,
            policies=self._admission.finding,
            collector=self._collector,
            surroundings=surroundings,
            opposition=self._opposition,
            undo=undo,
        )
        self._comparison = Comparison(slow, self.store, self.observe)
        self._rung: dict[tuple[type[Resource], str, str], ObjectMeta] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the workers. Requires a running event loop."""
        jobs: list[Coroutine[Any, Any, None]] = [self._work() for _ in range(WORKERS)]
        jobs += [self._work(critical=True) for _ in range(CRITICAL_WORKERS)]
        jobs += [self._statuses.work() for _ in range(STATUS_WORKERS)]
        jobs += [self._collector.work() for _ in range(SNAPSHOT_WORKERS)]
        jobs += [
            self._comparison.work(),
            self._follow_installation(),
            self._events.work(),
            self._survey_work(),
            self._tick(),
            self._survey_all(),
        ]
        jobs += [self._onset.work()] if self._onset else []
        self._tasks = [asyncio.create_task(job) for job in jobs]

    async def stop(self) -> None:
        """Stop the workers. Whatever was under way is taken up again from the stored objects."""
        for task in self._tasks:
            task.cancel()
        self._collector.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sentry.stop()

    def observe(self, kind: type[Resource], body: Mapping[str, Any], *, deleted: bool) -> None:
        """Take in one event of one of our kinds. Never blocks and never raises on bad objects."""
        metadata = body.get("metadata") or {}
        namespace, name = str(metadata.get("namespace", "")), str(metadata.get("name", ""))
        known = self.store.get(kind, namespace, name)
        before = known.metadata if known else None
        if deleted:
            self.store.drop(kind, namespace, name, uid=str(metadata.get("uid", "")))
        elif self.store.put(kind, body) is None:
            log.error("%s %s/%s cannot be read: %s", kind.facts.kind, namespace, name, self._unreadable(kind, body))
            return
        newest = self.store.get(kind, namespace, name)
        rung = self._rung.get((kind, namespace, name))
        if newest is None:
            self._rung.pop((kind, namespace, name), None)
        else:
            self._rung[kind, namespace, name] = newest.metadata
            # What others write may have come into the store by another way, before anybody was told of it.
            told = before if kind in _OURS else rung
            if told is not None and _same_spec(newest.metadata, told):
                # The echo of a status write, or of a write whose answer we have already.
                return
        self._bells.ring(newest or known)

    def _unreadable(self, kind: type[Resource], body: Mapping[str, Any]) -> str:
        metadata = body.get("metadata") or {}
        return self.store.unreadable.get((kind.facts.kind, metadata.get("namespace", ""), metadata.get("name", "")), "")

    async def _follow_installation(self) -> None:
        """Watch what is installed with our account, once it is known where that lives."""
        namespace = await own_namespace(self._watches)
        self.store.protected[namespace] = "Lazaretto never acts in the namespace that it runs in"
        await asyncio.gather(self._admission.work(namespace), self._switch.work(namespace))

    async def _work(self, *, critical: bool = False) -> None:
        await self._comparison.learned.wait()
        await self._switch.known.wait()
        while True:
            key = await self._queue.take(critical=critical)
            if pause := self._opposition.wait(key):
                self._queue.done(key)
                self._queue.add_after(key, pause, priority=URGENT)
                continue
            self._opposition.begin(key)
            try:
                with self._courtesy.first(self._queue.is_critical(key)):
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
        await self._comparison.learned.wait()
        while True:
            key = await self._surveys.take()
            try:
                await self._give_way()
                if not await self._look_at(key):
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
            return await self._survey.survey(namespace, model)
        self._survey.review_policies(namespace)
        return True

    async def _tick(self) -> None:
        """Everything that is held, again and again."""
        async for held in rounds(lambda: self.store.all(Containment), every=TICK):
            self._queue.add((held.metadata.namespace, held.spec.model))

    async def _survey_all(self) -> None:
        """Every model's self-test, less often."""
        async for model in rounds(lambda: self.store.all(ProtectedModel), every=SURVEY_EVERY):
            self._surveys.add((model.metadata.namespace, model.metadata.name), priority=IDLE)


def _backoff(times: int) -> float:
    # Bounded: after an hour and a half of failures the power would not fit into a float any more.
    return min(FIRST_RETRY * 2.0 ** min(times, 16), LONGEST_RETRY)


def _same_spec(new: ObjectMeta, known: ObjectMeta) -> bool:
    return new.uid == known.uid and new.generation == known.generation and new.labels == known.labels
