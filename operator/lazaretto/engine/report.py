"""Turns what a pass found into statuses and Events.

Facts wait here until the status that holds them is stored; a status that is superseded before
it was written loses none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from lazaretto.api import AIIncident, Containment, reasons
from lazaretto.api.aiincident import AIIncidentStatus
from lazaretto.api.containment import ContainmentStatus, Hold
from lazaretto.api.meta import Condition
from lazaretto.domain import chronicle
from lazaretto.domain.approvals import relevant
from lazaretto.domain.conditions import is_true
from lazaretto.domain.evidence import (
    Evidence,
    found_fought,
    found_orphaned,
    found_wrong,
    with_abnormal,
    with_findings,
)
from lazaretto.domain.incident_report import report
from lazaretto.domain.timeline import Fact
from lazaretto.engine.apply import Outcome
from lazaretto.engine.clock import Clock
from lazaretto.engine.current_pass import Pass
from lazaretto.engine.event_writer import EventWriter
from lazaretto.engine.standing import Standing
from lazaretto.engine.status_writer import StatusWriter
from lazaretto.engine.store import Store
from lazaretto.engine.tally import count_changes
from lazaretto.telemetry.metrics import Metrics

Name = tuple[str, str]
Reported = AIIncident | Containment


class Reporter:
    """See the module's text."""

    def __init__(
        self,
        store: Store,
        statuses: StatusWriter,
        events: EventWriter,
        *,
        clock: Clock,
        metrics: Metrics | None = None,
        limited: Callable[[str], None] = lambda namespace: None,
    ) -> None:
        """`limited` is told a namespace once a status there says that a limit has tripped."""
        self._store = store
        self._statuses = statuses
        self._events = events
        self._clock = clock
        self._metrics = metrics or Metrics()
        self._limited = limited
        self._facts: dict[str, list[Fact]] = {}
        """By uid: a successor of the same name has a history of its own."""
        self._pending: dict[Name, asyncio.Future[None]] = {}

    def incident(self, standing: Standing) -> None:
        """Store the standing of one incident after a pass."""
        about, verdict, progress = standing.incident, standing.verdict, standing.progress
        name = (about.metadata.namespace, about.metadata.name)
        uid = about.metadata.uid
        waiting = self._facts.setdefault(uid, [])
        known = {fact.key for fact in waiting}
        waiting += [fact for fact in standing.facts if fact.key not in known]
        offered: list[Fact] = []

        def build(incident: AIIncident) -> AIIncidentStatus:
            if incident.metadata.uid != uid:
                return incident.status
            decisions = relevant(self._store.decisions_in(name[0]), incident=incident)
            offered[:] = waiting
            told = [
                *chronicle.opening(incident, verdict),
                *chronicle.deciding(incident, decisions),
                *offered,
                *chronicle.collecting(incident, progress),
                *chronicle.proving(incident, progress),
                *chronicle.ending(incident, verdict, progress),
            ]
            return report(
                incident,
                verdict=verdict,
                progress=progress,
                decisions=decisions,
                facts=told,
                now=self._clock.now(),
            )

        def stored(old: AIIncident, new: AIIncident) -> None:
            # What was told is told, also if newer entries of the same write have pushed it out again.
            waiting[:] = [fact for fact in waiting if fact not in offered]
            if not waiting:
                self._facts.pop(uid, None)
            self._announce(old, new)
            count_changes(self._metrics, old, new, verdict=verdict)
            if new.status.limited != old.status.limited:
                self._limited(name[0])

        future = self._pending[name] = self._statuses.submit(AIIncident, *name, build, stored=stored)
        future.add_done_callback(lambda done: self._settled(name, done))

    def _settled(self, name: Name, done: asyncio.Future[None]) -> None:
        """What was written is pending no more; what was not stays, so that whoever waits for it is told."""
        written = not done.cancelled() and done.exception() is None
        if written and self._pending.get(name) is done:
            del self._pending[name]

    def pending(self, namespace: str, names: Iterable[str]) -> list[asyncio.Future[None]]:
        """Futures of the newest submitted status of each incident."""
        found = (self._pending.get((namespace, name)) for name in names)
        return [future for future in found if future is not None]

    def containment(self, current: Pass) -> None:
        """Store the standing of a model's containment after a pass."""
        holds = current.triage.holds
        if not holds:
            return

        def build(containment: Containment) -> ContainmentStatus:
            return _containment_status(containment, current, holds, now=self._clock.now())

        self._statuses.submit(Containment, *current.key, build, stored=self._announce_orphaned)

    def _announce_orphaned(self, old: Containment, new: Containment) -> None:
        self._announce_condition(old, new, reasons.ORPHANED)

    def _announce(self, old: AIIncident, new: AIIncident) -> None:
        self._events.announce(new, [e for e in new.status.timeline if e.seq > old.status.timeline_count])
        for type_ in (reasons.STALLED, reasons.DEGRADED):
            self._announce_condition(old, new, type_)

    def _announce_condition(self, old: Reported, new: Reported, type_: str) -> None:
        if is_true(new.status.conditions, type_) and not is_true(old.status.conditions, type_):
            condition = next(c for c in new.status.conditions if c.type == type_)
            self._events.post(
                new,
                "Warning",
                type_,
                f"{condition.reason}: {condition.message}",
                at=condition.last_transition_time,
                identity=f"{type_.lower()}-{int(condition.last_transition_time.timestamp())}",
            )


def _containment_status(
    containment: Containment, current: Pass, holds: Sequence[Hold], *, now: datetime
) -> ContainmentStatus:
    old, generation = containment.status, containment.metadata.generation
    evidence, outcome = current.evidence, current.outcome
    conditions: Sequence[Condition] = old.conditions
    if evidence is not None:
        conditions = with_findings(conditions, evidence.findings, generation=generation, now=now)
    degraded = found_wrong(outcome.problems)
    conditions = with_abnormal(conditions, reasons.DEGRADED, degraded, generation=generation, now=now)
    if current.contested is not None:
        fought = found_fought(current.contested)
        conditions = with_abnormal(conditions, reasons.CONTESTED, fought, generation=generation, now=now)
    gone = found_orphaned(current.orphaned)
    conditions = with_abnormal(conditions, reasons.ORPHANED, gone, generation=generation, now=now)
    good = next((h.known_good.revision for h in reversed(holds) if h.known_good and not h.releasing), "")
    return ContainmentStatus(
        observed_generation=generation,
        state=_state(holds, evidence, outcome, old.state),
        proof=evidence.level if evidence else old.proof,
        known_good=good,
        conditions=list(conditions),
        objects=list(evidence.objects) if evidence else old.objects,
    )


def _state(holds: Sequence[Hold], evidence: Evidence | None, outcome: Outcome, before: str) -> str:
    if outcome.problems:
        return "Degraded"
    if all(h.releasing for h in holds):
        return "Releasing"
    if evidence is None:
        return before if before == "Contained" and not outcome.written else "Containing"
    if evidence.contained.status == "True":
        return "Contained"
    return "Shifted" if evidence.traffic.status == "True" else "Containing"
