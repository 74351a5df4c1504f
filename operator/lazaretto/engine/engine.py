"""The running engine: bells in, passes out, while this process leads.

All replicas keep their copies warm by watching. The one that leads has a `Term`, which makes passes over models and
writes; the others have none, and write nothing. Without an election there is one term, from start to stop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any

from lazaretto.api import (
    Containment,
    ModelRevision,
    Resource,
)
from lazaretto.api.meta import ObjectMeta
from lazaretto.engine.account import own_namespace
from lazaretto.engine.admission import Admission
from lazaretto.engine.clock import Clock, SystemClock
from lazaretto.engine.comparison import Comparison
from lazaretto.engine.election import Election
from lazaretto.engine.ending import ended
from lazaretto.engine.onset import Lookup
from lazaretto.engine.store import Store
from lazaretto.engine.switch import Switch
from lazaretto.engine.term import Lines, Term
from lazaretto.engine.traffic_lookup import Ask
from lazaretto.kube.api_server import ApiServer
from lazaretto.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

SYSTEM = ("kube-system", "kube-public", "kube-node-lease")

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
        election: Election | None = None,
    ) -> None:
        self.store = Store()
        self.store.incidents_known = False
        self.store.protected |= dict.fromkeys(SYSTEM, "namespaces of Kubernetes itself are never acted in")
        self.term: Term | None = None
        """The term in which this process writes, if it does."""
        self._lines = Lines(fast, slow, watches or slow)
        self._clock = clock or SystemClock()
        self._lookups = (onset, traffic)
        self._metrics = metrics or Metrics()
        self._election = election
        self._admission = Admission(self._lines.watches, changed=self._ring_held)
        self._switch = Switch(self._lines.watches, self.store, changed=self._ring_open)
        self._comparison = Comparison(slow, self.store, self.observe)
        self._rung: dict[tuple[type[Resource], str, str], ObjectMeta] = {}
        self._tasks: list[asyncio.Task[None]] = []
        if election is None:
            self.term = self._term(self._lines)

    def start(self) -> None:
        """Start to learn and, unless an election decides on that, to write. Requires a running event loop."""
        jobs: list[Coroutine[Any, Any, None]] = [self._comparison.work(), self._follow_installation()]
        if self.term is not None:
            self.term.start()
        if self._election is not None:
            jobs.append(self._govern(self._election))
        self._tasks = [asyncio.create_task(job) for job in jobs]

    async def stop(self) -> None:
        """Stop, and then let another replica write. What was under way is taken up again from the stored objects."""
        await ended(self._tasks)
        await self._end()
        if self._election is not None:
            await self._election.resign()

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
        if self.term is not None:
            self.term.bells.ring(newest or known)

    def _unreadable(self, kind: type[Resource], body: Mapping[str, Any]) -> str:
        metadata = body.get("metadata") or {}
        return self.store.unreadable.get((kind.facts.kind, metadata.get("namespace", ""), metadata.get("name", "")), "")

    async def _follow_installation(self) -> None:
        """Watch what is installed with our account, once it is known where that lives."""
        namespace = await own_namespace(self._lines.watches)
        self.store.protected[namespace] = "Lazaretto never acts in the namespace that it runs in"
        following = [self._admission.work(namespace), self._switch.work(namespace)]
        if self._election is not None:
            following.append(self._election.work(namespace))
        await asyncio.gather(*following)

    async def _govern(self, election: Election) -> None:
        """Begin and end terms as the election says."""
        async for number in election.terms():
            await self._end()
            if number is not None:
                self.term = self._term(self._lines.writing_while(partial(election.holds, number)))
                self.term.start()

    def _term(self, lines: Lines) -> Term:
        onset, traffic = self._lookups
        return Term(
            lines,
            self.store,
            learned=self._learned,
            policies=self._admission.finding,
            clock=self._clock,
            onset=onset,
            traffic=traffic,
            metrics=self._metrics,
        )

    async def _end(self) -> None:
        term, self.term = self.term, None
        if term is not None:
            await term.stop()

    async def _learned(self) -> None:
        await self._comparison.learned.wait()
        await self._switch.known.wait()

    def _ring_held(self) -> None:
        if self.term is not None:
            self.term.bells.ring_held()

    def _ring_open(self) -> None:
        if self.term is not None:
            self.term.bells.ring_open()


def _same_spec(new: ObjectMeta, known: ObjectMeta) -> bool:
    return new.uid == known.uid and new.generation == known.generation and new.labels == known.labels
