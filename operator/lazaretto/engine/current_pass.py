"""What one pass over one model has found and done so far, and what follows from it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lazaretto.api import AIIncident, Containment, ProtectedModel, reasons
from lazaretto.api.containment import MOST_COPIES, MOST_CUT_OFF, ContainmentSpec, Hold, WorkloadCopy
from lazaretto.api.responsepolicy import EvidenceRule
from lazaretto.domain.contest import Move
from lazaretto.domain.demands import standing
from lazaretto.domain.evidence import Evidence, Problem
from lazaretto.domain.reach import Facts
from lazaretto.domain.response import Step
from lazaretto.domain.scene import Demand, Scene, Workload
from lazaretto.domain.text import SHORT, clean
from lazaretto.domain.timeline import Fact
from lazaretto.engine.apply import Outcome
from lazaretto.engine.gather import Live
from lazaretto.engine.isolated import Isolated
from lazaretto.engine.plan import ObjectPlan, surplus
from lazaretto.engine.release import Comeback
from lazaretto.engine.store import Key, Store
from lazaretto.engine.triage import Known, Triage
from lazaretto.traffic.registry import SERVICE

_DEFAULT_EVIDENCE = EvidenceRule()
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
    unmade: list[Problem] = field(default_factory=list)
    """Why copies are not made. People mend that, and nothing is gained by looking again at once."""
    evidence: Evidence | None = None
    reached: Mapping[str, Facts] = field(default_factory=dict)
    """By incident uid: what was seen of known-good workloads that are brought up."""
    isolated: Isolated = field(default_factory=Isolated)
    back: Comeback | None = None
    contested: str | None = None
    """What is fought over; "" for nothing, None if that is not known."""
    facts: list[Fact] = field(default_factory=list)
    """About the containment, for every incident that holds it."""
    undone: Sequence[Move] = ()
    """What was put back without a pass, and is told by this one."""
    orphaned: list[str] = field(default_factory=list)
    """What people must know about holds whose incident is gone."""
    journal: Containment | None = None
    """As it is stored, before anything is written."""

    @property
    def young(self) -> bool:
        """Whether one of the holds has only begun."""
        return any(self.now - hold.since < YOUNG for hold in self.triage.holds)

    @property
    def age(self) -> float:
        """Seconds since the last of the open incidents was stored."""
        stored = [i.metadata.creation_timestamp for i in self.known.open_incidents]
        return min(((self.now - moment).total_seconds() for moment in stored if moment), default=math.inf)

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
        unreadable=_unreadable(store, namespace, name),
        switched_off=store.switched_off,
    )


def _unreadable(store: Store, namespace: str, name: str) -> str:
    """Which object that a decision on the model rests on is there and cannot be read, and what to do about it."""
    # Without the journal nothing may be touched: it knows what was there before the first touch.
    for kind in (Containment, ProtectedModel):
        if error := store.unreadable.get((kind.facts.kind, namespace, name)):
            what = f"{kind.facts.kind}/{name} is not as its kind asks ({clean(error, bound=SHORT)})"
            return f"{what}; nothing is done before it is put right or removed"
    return ""


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


def journal_of(current: Pass, *, cut_off: Sequence[str]) -> ContainmentSpec:
    """What the journal must say before anything is written: every base, and all that is held."""
    before = current.known.containment
    old = {t.uid: t for t in before.spec.targets} if before else {}
    return ContainmentSpec(
        model=current.known.name,
        holds=list(current.triage.holds),
        targets=list((old | {p.uid: p.entry for p in current.plans}).values()),
        cut_off=list(cut_off),
        restored=surplus(current.live, before),
        copies=_copies(current),
        quarantine=before.spec.quarantine if before else [],
    )


def _copies(current: Pass) -> list[WorkloadCopy]:
    """Copies that are known, and those that holds have come to await."""
    before = current.known.containment
    known = {c.name: c for c in before.spec.copies} if before else {}
    awaited = [h.awaits for h in standing(current.triage.holds) if h.awaits is not None]
    planned = {p.name: WorkloadCopy(**p.model_dump()) for p in awaited}
    return list((planned | known).values())[:MOST_COPIES]


def names(current: Pass, *, releasing: bool) -> list[str]:
    """Incidents that hold the model, or whose holds are being released."""
    uids = {h.incident_uid for h in current.triage.holds if h.releasing is releasing}
    return [i.metadata.name for i in current.known.incidents if i.metadata.uid in uids]


@dataclass(frozen=True, slots=True)
class Due:
    """A snapshot that is to be taken."""

    incident: AIIncident
    model: str
    hold: Hold
    workloads: Sequence[Workload]
    """What it holds and what is still there."""
    rule: EvidenceRule
    late: bool
    """Whether the hold is in the journal already: something may have been written."""


def snapshots_due(current: Pass) -> list[Due]:
    """For each hold that stands or begins, and whose incident knows of no snapshot, if its policy wants one."""
    known = current.known
    journalled = {h.incident_uid for h in known.containment.spec.holds} if known.containment else set()
    found = []
    for incident in known.open_incidents:
        verdict = current.triage.verdicts[incident.metadata.uid]
        rule = verdict.choice.policy.spec.evidence if verdict.choice.policy else _DEFAULT_EVIDENCE
        hold = verdict.hold
        stands = verdict.step in (Step.CONTAIN, Step.KEEP) and hold is not None
        if hold is None or not stands or not rule.snapshot or incident.status.evidence is not None:
            continue
        uids, refs = {w.uid for w in hold.compromised}, {w.ref for w in hold.compromised}
        held = [w for w in current.live.workloads if w.uid in uids or w.ref in refs]
        late = hold.incident_uid in journalled
        found.append(Due(incident, known.name, hold, held, rule, late))
    return found
