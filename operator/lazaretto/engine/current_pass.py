"""What one pass over one model has found and done so far, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lazaretto.api import Containment, reasons
from lazaretto.api.containment import MOST_CUT_OFF
from lazaretto.domain.evidence import Evidence
from lazaretto.domain.scene import Demand, Scene
from lazaretto.domain.timeline import Fact
from lazaretto.engine.apply import Outcome
from lazaretto.engine.gather import Live
from lazaretto.engine.plan import ObjectPlan
from lazaretto.engine.release import Comeback
from lazaretto.engine.store import Key, Store
from lazaretto.engine.triage import Known, Triage
from lazaretto.traffic.registry import SERVICE

YOUNG = timedelta(seconds=5)


@dataclass(slots=True)
class Pass:
    """What one pass has found and done so far."""

    known: Known
    live: Live
    triage: Triage
    now: datetime
    plans: list[ObjectPlan] = field(default_factory=list)
    refused: tuple[str, ...] = ()
    """What cannot be held, and why."""
    outcome: Outcome = field(default_factory=Outcome)
    evidence: Evidence | None = None
    back: Comeback | None = None
    contested: str | None = None
    """What is fought over; "" for nothing, None if that is not known."""
    facts: list[Fact] = field(default_factory=list)
    """About the containment, for every incident that holds it."""
    orphaned: list[str] = field(default_factory=list)
    """What people must know about holds whose incident is gone."""
    journal: Containment | None = None
    """As it is stored, before anything is written."""

    @property
    def young(self) -> bool:
        """Whether one of the holds has only begun."""
        return any(self.now - hold.since < YOUNG for hold in self.triage.holds)

    @property
    def key(self) -> Key:
        """What the pass is about, once it is about a model."""
        return self.known.namespace, self.known.name


def look_up(store: Store, key: Key) -> Known:
    """What is stored about one model, or about one incident without a target."""
    namespace, name = key
    if (incident := store.alone(key)) is not None:
        return Known(namespace, "", None, [incident], store.decisions_in(namespace), (), (), None)
    return Known(
        namespace,
        name,
        store.model(namespace, name),
        store.incidents_of(namespace, name),
        store.decisions_in(namespace),
        store.policies_in(namespace),
        store.revisions_of(namespace, name),
        store.containment(namespace, name),
    )


_AS_FAR_AS_IT_GOES = (
    *(reasons.ROUTE_NOT_REPORTED, reasons.NOT_REQUESTED, reasons.NO_WAY_IN),
    reasons.WORKLOAD_NOT_FOUND,
)


def settled(evidence: Evidence) -> bool:
    """Nothing more is to be expected without an event."""
    return all(
        finding.status == "True" or finding.reason in _AS_FAR_AS_IT_GOES
        for finding in (evidence.contained, evidence.traffic)
    )


def cut_off(current: Pass, *, scene: Scene, demand: Demand) -> Sequence[str]:
    """Services that admission keeps routes away from; as before while Services may not be read."""
    containment = current.known.containment
    if SERVICE.resource.kind in current.live.blind:
        return containment.spec.cut_off if containment else ()
    return sorted(demand.bad_services(scene))[:MOST_CUT_OFF] if demand.shift else ()


def names(current: Pass, *, releasing: bool) -> list[str]:
    """Incidents that hold the model, or whose holds are being released."""
    uids = {h.incident_uid for h in current.triage.holds if h.releasing is releasing}
    return [i.metadata.name for i in current.known.incidents if i.metadata.uid in uids]
