"""Everything that the decision on one incident looks at. Pure values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lazaretto.api.aiincident import AIIncident
from lazaretto.api.containment import Hold, WorkloadCopy
from lazaretto.api.incidentdecision import IncidentDecision
from lazaretto.api.modelrevision import ModelRevision
from lazaretto.api.protectedmodel import ProtectedModel
from lazaretto.api.responsepolicy import ResponsePolicy
from lazaretto.domain.limits import NOTHING_USED, Usage
from lazaretto.domain.scene import Workload


@dataclass(frozen=True, slots=True)
class Case:
    """Everything one decision looks at."""

    incident: AIIncident
    model: ProtectedModel | None
    policies: Sequence[ResponsePolicy]
    decisions: Sequence[IncidentDecision]
    revisions: Sequence[ModelRevision]
    revoked: Collection[str]
    """Revisions that other open incidents name."""
    workloads: Sequence[Workload]
    held_workloads: Collection[str]
    """Uids that other incidents hold."""
    hold: Hold | None
    """The hold that this incident has."""
    now: datetime
    recurred: bool = False
    """Whether one of its alerts belonged to another incident of the model before."""
    denied: Sequence[str] = ()
    """What may not be read, one sentence each."""
    all_workloads_seen: bool = True
    """Whether no workload of the model is among that."""
    usage: Usage = NOTHING_USED
    """What limits are measured against."""
    released_at: datetime | None = None
    """When the model was released last."""
    copies: Sequence[WorkloadCopy] = ()
    """Workloads that were made for the model."""
    stands_in: Mapping[str, str] = field(default_factory=dict)
    """Uids of workloads that stand in for what is held elsewhere, each with what for."""
    protected: str = ""
    """Why nothing may be done in this namespace at all; empty where it may."""
    unreadable: str = ""
    """What the decision rests on, is stored, and cannot be read; empty if there is no such object."""
    switched_off: str = ""
    """Why nothing may be done without a person."""

    @property
    def model_name(self) -> str:
        """The model that the incident concerns; empty without one."""
        return self.model.metadata.name if self.model else ""
