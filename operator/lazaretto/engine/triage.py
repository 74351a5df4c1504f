"""Decides on all open incidents of one model at once. Pure.

Incidents are taken in the order in which they were stored, and each sees the holds of those
before it: two incidents of one model never count each other's compromised revision as good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lazaretto.api import AIIncident, Containment, IncidentDecision, ModelRevision, ProtectedModel, ResponsePolicy
from lazaretto.api.containment import Hold
from lazaretto.domain.case import Case
from lazaretto.domain.limits import NOTHING_USED, Usage
from lazaretto.domain.recurrence import recurred
from lazaretto.domain.response import Step, Verdict, respond
from lazaretto.domain.scene import Workload


@dataclass(frozen=True, slots=True)
class Known:
    """The stored objects that concern one model."""

    namespace: str
    name: str
    model: ProtectedModel | None
    incidents: Sequence[AIIncident]
    decisions: Sequence[IncidentDecision]
    policies: Sequence[ResponsePolicy]
    revisions: Sequence[ModelRevision]
    containment: Containment | None
    usage: Usage = NOTHING_USED
    """What limits are measured against, without this model among those that are held."""
    stands_in: Mapping[str, str] = field(default_factory=dict)
    """Uids of workloads that stand in for what another model holds, each with what for."""
    protected: str = ""
    """Why nothing may be done in the namespace."""
    unreadable: str = ""
    """The journal or the model that is stored and cannot be read."""
    switched_off: str = ""
    """Why nothing may be done without a person."""

    @property
    def holds(self) -> Sequence[Hold]:
        """Holds as they are journalled."""
        return self.containment.spec.holds if self.containment else ()

    def hold_of(self, incident: AIIncident) -> Hold | None:
        """The hold of one incident."""
        return next((h for h in self.holds if h.incident_uid == incident.metadata.uid), None)

    @property
    def open_incidents(self) -> list[AIIncident]:
        """Incidents that have not ended, oldest first; one that still has a hold has not ended."""
        found = [i for i in self.incidents if i.status.times.closed_at is None or self.hold_of(i) is not None]
        return sorted(found, key=lambda i: (str(i.metadata.creation_timestamp), i.metadata.name))


@dataclass(frozen=True, slots=True)
class Triage:
    """A verdict for each open incident, and the holds that follow."""

    verdicts: Mapping[str, Verdict]
    """By incident uid."""
    holds: tuple[Hold, ...]


def triage(
    known: Known,
    *,
    workloads: Sequence[Workload],
    denied: Sequence[str],
    now: datetime,
    all_workloads_seen: bool = True,
) -> Triage:
    """Verdicts and holds. A hold whose incident is gone stays: losing a record releases nothing."""
    holds = {h.incident_uid: h for h in known.holds}
    verdicts: dict[str, Verdict] = {}
    for incident in known.open_incidents:
        uid = incident.metadata.uid
        case = _case(known, incident, holds, workloads, now)
        verdict = respond(replace(case, denied=denied, all_workloads_seen=all_workloads_seen))
        verdicts[uid] = verdict
        if verdict.step in (Step.CONTAIN, Step.KEEP) and verdict.hold is not None:
            holds[uid] = verdict.hold
        elif verdict.step is Step.RELEASE and verdict.hold is not None:
            holds[uid] = verdict.hold.model_copy(update={"releasing": True})
    return Triage(verdicts, tuple(sorted(holds.values(), key=lambda h: (h.since, h.incident_uid))))


def _case(
    known: Known,
    incident: AIIncident,
    holds: Mapping[str, Hold],
    workloads: Sequence[Workload],
    now: datetime,
) -> Case:
    others = [h for uid, h in holds.items() if uid != incident.metadata.uid and not h.releasing]
    return Case(
        incident=incident,
        model=known.model,
        policies=known.policies,
        decisions=known.decisions,
        revisions=known.revisions,
        revoked=_revoked(known, incident, others),
        workloads=workloads,
        held_workloads={w.uid for h in others for w in h.condemned},
        hold=holds.get(incident.metadata.uid),
        now=now,
        recurred=recurred(incident, others=known.incidents),
        usage=replace(known.usage, held={*known.usage.held, *([known.name] if holds else [])}),
        released_at=max((t for i in known.incidents if (t := i.status.times.released_at)), default=None),
        copies=known.containment.spec.copies if known.containment else (),
        stands_in=known.stands_in,
        protected=known.protected,
        unreadable=known.unreadable,
        switched_off=known.switched_off,
    )


def _revoked(known: Known, incident: AIIncident, others: Sequence[Hold]) -> set[str]:
    """Revisions that other open incidents name, by their holds or by their targets."""
    named = {name for hold in others for name in hold.revisions}
    for other in known.open_incidents:
        target = other.spec.target
        if other.metadata.uid != incident.metadata.uid and target is not None and target.revision:
            named.add(target.revision)
    return named
