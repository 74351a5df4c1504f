"""`IncidentDecision`: one immutable statement of one person about one incident."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from lazaretto.api.meta import ApiModel, Name, Resource, Text, Uid, UserName
from lazaretto.api.schema import Column, KindFacts, Rule

Verb = Literal[
    "Acknowledge",
    "TakeCommand",
    "ApproveContainment",
    "ApproveRelease",
    "FalsePositive",
    "Note",
    "Close",
    "ResetLimits",
]
Backlog = Literal["Contain", "Leave"]

RBAC_VERBS: dict[Verb, str] = {
    "Acknowledge": "command",
    "TakeCommand": "command",
    "Note": "command",
    "ApproveContainment": "contain",
    "ApproveRelease": "release",
    "FalsePositive": "release",
    "Close": "close",
    "ResetLimits": "reset",
}
"""The custom verb on `aiincidents` that each decision needs; admission checks it."""


class IncidentDecisionSpec(ApiModel):
    """Who decides what about which incident."""

    rules = (
        Rule("self == oldSelf", "a decision never changes; create another one"),
        Rule(
            "(self.verb == 'ResetLimits') == has(self.backlog)",
            "ResetLimits needs a backlog, Contain or Leave, and no other decision has one",
        ),
    )

    incident_name: Name
    """The AIIncident in this namespace."""
    incident_uid: Uid = Field(alias="incidentUID")
    """Its uid. A decision about an earlier incident of the same name counts for nothing."""
    verb: Verb
    """What is decided."""
    decided_by: UserName
    """Your own user name as the API server knows it; admission refuses any other."""
    reason: Text
    """Why. Kept with the incident."""
    backlog: Backlog | None = None
    """With ResetLimits, which resets every tripped limit of the namespace: what becomes of the incidents that a limit
    has stopped. Contain: they are decided again. Leave: each waits for an ApproveContainment of its own."""


class IncidentDecision(Resource):
    """One person's decision about one incident. It can be created, and never changed."""

    facts: ClassVar[KindFacts] = KindFacts(
        kind="IncidentDecision",
        plural="incidentdecisions",
        singular="incidentdecision",
        short_names=("idec",),
        columns=(
            Column("Incident", ".spec.incidentName"),
            Column("Decision", ".spec.verb"),
            Column("By", ".spec.decidedBy"),
            Column("Reason", ".spec.reason", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
        status_subresource=False,
    )

    spec: IncidentDecisionSpec
