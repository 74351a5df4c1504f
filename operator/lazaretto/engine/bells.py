"""Who is to be looked at after something has happened: keys of models, put into the queues."""

from __future__ import annotations

from lazaretto.api import (
    AIIncident,
    Containment,
    IncidentDecision,
    ModelRevision,
    ProtectedModel,
    Resource,
    ResponsePolicy,
)
from lazaretto.domain.response import first_look
from lazaretto.engine.onset import Onset
from lazaretto.engine.opposition import Opposition
from lazaretto.engine.queue import CRITICAL, NORMAL, URGENT, WorkQueue
from lazaretto.engine.store import Key, Store, key_of

MORE_ALERTS = 1.0
"""Seconds until more alerts of an incident whose model is held are looked at."""


class Bells:
    """Rings for passes and for surveys. Never blocks."""

    def __init__(
        self,
        store: Store,
        queue: WorkQueue[Key],
        *,
        surveys: WorkQueue[Key],
        opposition: Opposition,
        onset: Onset | None = None,
    ) -> None:
        self._store = store
        self._queue = queue
        self._surveys = surveys
        self._opposition = opposition
        self._onset = onset

    def ring(self, about: Resource | None) -> None:
        """An object of ours has changed: put the models that it concerns into the queues."""
        if about is None:
            return
        namespace, name = about.metadata.namespace, about.metadata.name
        match about:
            case AIIncident():
                self._ring_incident(about)
            case IncidentDecision():
                self._ring_decision(about)
            case Containment():
                self._queue.add((namespace, about.spec.model))
                self._surveys.add((namespace, about.spec.model))
            case ModelRevision():
                self._surveys.add((namespace, about.spec.model))
            case ProtectedModel():
                self._summon((namespace, name))
                self._surveys.add((namespace, name))
                self._surveys.add((namespace, ""))
            case ResponsePolicy():
                self._surveys.add((namespace, ""))
                for model in self._store.all(ProtectedModel, namespace):
                    self._summon((namespace, model.metadata.name))
                    self._surveys.add((namespace, model.metadata.name))

    def ring_held(self) -> None:
        """What every containment rests on has changed."""
        for held in self._store.all(Containment):
            self._queue.add((held.metadata.namespace, held.spec.model))

    def ring_open(self, namespace: str | None = None) -> None:
        """What every new containment rests on has changed, everywhere or in one namespace."""
        for incident in self._store.all(AIIncident, namespace):
            if incident.status.times.closed_at is None:
                self._summon(key_of(incident))

    def alarm(self, key: Key) -> None:
        """A held object of the model was changed."""
        self._opposition.stirred(key)
        self._queue.add(key, priority=URGENT)

    def limited(self, namespace: str) -> None:
        """A limit has stopped an incident, and its status says so: its policy is to say so as well."""
        self._surveys.add((namespace, ""))

    def _ring_incident(self, incident: AIIncident) -> None:
        key = key_of(incident)
        if self._is_held(incident):
            # More alerts about what is held already: many come at once, and one pass answers them all.
            self._opposition.summoned(key)
            self._queue.add_after(key, MORE_ALERTS)
        else:
            self._summon(key, priority=_priority_of(incident))
        if self._onset is not None:
            self._onset.ask(incident)

    def _is_held(self, incident: AIIncident) -> bool:
        held = self._store.containment(*key_of(incident))
        return held is not None and any(hold.incident_uid == incident.metadata.uid for hold in held.spec.holds)

    def _ring_decision(self, decision: IncidentDecision) -> None:
        namespace = decision.metadata.namespace
        incident = self._store.get(AIIncident, namespace, decision.spec.incident_name)
        if incident is not None:
            self._summon(key_of(incident))
        if decision.spec.verb == "ResetLimits":
            self.ring_open(namespace)
            self._surveys.add((namespace, ""))

    def _summon(self, key: Key, *, priority: int = NORMAL) -> None:
        """An object of ours wants a pass over the model."""
        self._opposition.summoned(key)
        self._queue.add(key, priority=priority)


def _priority_of(incident: AIIncident) -> int:
    if incident.status.times.contained_at is not None:
        return NORMAL
    return CRITICAL if first_look(incident.spec).severity == "SEV1" else URGENT
