"""`AIIncident`: one thing that went wrong with one model, and everything that was done about it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lazaretto.api.meta import (
    ApiModel,
    Condition,
    LabelMap,
    ModelName,
    Name,
    Resource,
    ShortText,
    Text,
    Timestamp,
    UserName,
)
from lazaretto.api.schema import Atomic, Column, KindFacts, ListMap, ListSet, Rule
from lazaretto.api.taxonomy import Category, Impact, Mode, Priority, Severity


class IncidentSource(ApiModel):
    """Who reported the incident."""

    type: Literal["Alert", "Manual", "Tool"]
    """Alert: through the receiver. Manual: a person. Tool: another program."""
    sender: ShortText = ""
    """The sender's name as the receiver authenticated it, or as the creator states it."""


class IncidentTarget(ApiModel):
    """What is affected, in this namespace."""

    model: ModelName
    """Name of the ProtectedModel."""
    revision: Name | None = None
    """Which revision is compromised: a ModelRevision of the model, or one of its workloads.
    Absent: every revision in service except the known-good one."""


class Occurrence(ApiModel):
    """When the trouble began, as far as is known."""

    value: Timestamp
    fidelity: Literal["Exact", "Estimated"] = "Estimated"


class AlertEntry(ApiModel):
    """One alert that belongs to the incident, keyed by its fingerprint."""

    rules = (
        Rule(
            "self.name == oldSelf.name && self.startsAt == oldSelf.startsAt && self.receivedAt == oldSelf.receivedAt",
            "an alert's name, startsAt and receivedAt never change",
        ),
        Rule("self.firings >= oldSelf.firings", "firings only grows"),
    )
    # There may be 64 of them, of ten fields each: to know who owns which took as long as all the rest of a write.
    written_whole = True

    fingerprint: Annotated[str, Field(min_length=1, max_length=64, pattern="^[0-9a-f]+$")]
    """Alertmanager's fingerprint of the alert's labels."""
    name: ShortText
    """The alert's `alertname`."""
    labels: LabelMap = {}
    """The alert's labels, cleaned of control characters and cut to their bounds."""
    summary: Text = ""
    """The alert's `summary` annotation, cleaned."""
    severity_hint: Severity | None = None
    """What the alert proposes. It can raise the incident's severity, never lower it."""
    starts_at: Timestamp
    """When the alert first fired."""
    last_starts_at: Timestamp | None = None
    """When it fired last, if it resolved in between."""
    resolved_at: Timestamp | None = None
    """When it resolved, while it is. A resolved alert releases nothing."""
    firings: Annotated[int, Field(ge=1)] = 1
    """How often it fired anew."""
    received_at: Timestamp
    """When the receiver stored it."""


class AIIncidentSpec(ApiModel):
    """What was reported. Written by the receiver, people or tools; what follows from it is in the status."""

    rules = (
        Rule("has(self.target) == has(oldSelf.target)", "the target can be neither added nor removed later"),
        Rule("!has(self.target) || self.target == oldSelf.target", "the target never changes"),
        Rule("self.category == oldSelf.category", "the category never changes; a correction is an IncidentDecision"),
        Rule(
            # Compared as sets: an `exists` for each of 64 took tens of milliseconds, for each write of a status too.
            "!has(oldSelf.alerts) || (has(self.alerts)"
            " && sets.contains(self.alerts.map(n, n.fingerprint), oldSelf.alerts.map(o, o.fingerprint)))",
            "alerts are never removed",
        ),
        Rule("self.source == oldSelf.source", "the source never changes"),
        Rule(
            "!has(oldSelf.alertsTruncated) || !oldSelf.alertsTruncated || (has(self.alertsTruncated) && self.alertsTruncated)",
            "alertsTruncated stays true",
        ),
    )

    source: IncidentSource
    target: IncidentTarget | None = None
    """Absent: no ProtectedModel matched. Such an incident is recorded and nothing is done."""
    category: Category = "Unknown"
    """What kind of trouble this is thought to be."""
    summary: Text = ""
    """One line for people."""
    impact: Impact | None = None
    """Impact as stated by a person or tool. Unknown dimensions take the category's default."""
    severity_hint: Severity | None = None
    """A severity proposed by the creator; it can only raise."""
    occurred_at: Occurrence | None = None
    """When the trouble began, if somebody knows."""
    drill: bool = False
    """True: an exercise. Handled like any other incident and kept out of statistics."""
    alerts: Annotated[list[AlertEntry], Field(max_length=64), ListMap(("fingerprint",))] = []
    """Alerts that belong to the incident. Entries are added and updated, never removed."""
    alerts_truncated: bool = False
    """True: more distinct alerts arrived than are listed."""


class IncidentTimes(ApiModel):
    """The moments of an incident, kept apart because different clocks start at different ones."""

    occurred_at: Timestamp | None = None
    """The trouble began (stated, or the earliest of what follows)."""
    active_at: Timestamp | None = None
    """The alert's condition was first true, before its `for` duration had passed."""
    fired_at: Timestamp | None = None
    """The alert fired."""
    received_at: Timestamp | None = None
    """The receiver stored the incident."""
    acknowledged_at: Timestamp | None = None
    """A person acknowledged it."""
    containment_started_at: Timestamp | None = None
    """The containment was journalled."""
    contained_at: Timestamp | None = None
    """No compromised pod was left; `containment.proof` says how far that is held."""
    released_at: Timestamp | None = None
    """Everything was restored and verified."""
    closed_at: Timestamp | None = None
    """Nothing is left to do."""


class TimelineEntry(ApiModel):
    """One thing that happened. Entries form a hash chain: a changed or missing one shows."""

    seq: Annotated[int, Field(ge=1)]
    """Position in the whole history, from 1. The list keeps the newest; earlier ones were dropped."""
    at: Timestamp
    type: Annotated[str, Field(max_length=48)]
    """What happened, as one word such as Received, Decided, Journalled, Acted, Proved, Released."""
    message: Text
    """The same for people."""
    object: Annotated[str, Field(max_length=320)] = ""
    """The object concerned, as Kind/name."""
    field: Annotated[str, Field(max_length=512)] = ""
    """The field that was written."""
    before: Annotated[str, Field(max_length=512)] = ""
    after: Annotated[str, Field(max_length=512)] = ""
    by: Annotated[str, Field(max_length=256)] = ""
    """The person, or the field manager, that did it; empty for Lazaretto itself."""
    key: Annotated[str, Field(max_length=160)] = ""
    """Identity of the entry: the same fact is recorded once, however often it is seen."""
    hash: Annotated[str, Field(max_length=64)] = ""
    """SHA-256 over the previous hash and this entry."""


class CountedApproval(ApiModel):
    """One decision that counts."""

    decision: Name
    by: UserName
    at: Timestamp


class ContainmentReference(ApiModel):
    """The containment that this incident holds."""

    name: Name
    known_good: Annotated[str, Field(max_length=253)] = ""
    """ModelRevision that serves instead."""
    compromised: Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=16), ListSet()] = []
    """Workloads that are held, as Kind/name."""
    proof: Annotated[str, Field(max_length=2)] = ""
    """L0 accepted · L1 observed by the owning controller · L2 pods and endpoints agree, and admission holds it · L3 no traffic measured."""


class EvidenceReference(ApiModel):
    """The snapshot that was taken when the containment began."""

    config_map: Annotated[str, Field(max_length=253)] = ""
    """ConfigMap of the incident's namespace that holds it; empty if it could not be stored."""
    manifest: Annotated[str, Field(max_length=64)] = ""
    """SHA-256 of its `manifest.json`, which has that of every other part: what was changed since shows."""
    missing: Text = ""
    """What it lacks, and why."""


class LimitStop(ApiModel):
    """A limit kept the incident from being contained without a person."""

    limit: ShortText
    """Field of the policy's `spec.limits`; empty: none by itself, but one had tripped before and was not reset."""
    at: Timestamp
    """When it did so first."""


class AIIncidentStatus(ApiModel):
    """What Lazaretto made of the incident and did about it."""

    observed_generation: int = 0
    state: Annotated[str, Field(max_length=32)] = ""
    """For display only; conditions carry the meaning."""
    reason: Annotated[str, Field(max_length=1024)] = ""
    """Why it is in this state, and what is needed next."""
    severity: Severity | None = None
    priority: Priority | None = None
    impact: Impact | None = None
    """Impact that the severity was computed from."""
    assumed: Annotated[list[Annotated[str, Field(max_length=32)]], Field(max_length=4), ListSet()] = []
    """Dimensions nobody stated: the category's default was taken."""
    policy: Annotated[str, Field(max_length=253)] = ""
    """ResponsePolicy that decides."""
    policy_reason: Annotated[str, Field(max_length=512)] = ""
    """Why this one among those that match."""
    mode: Mode | None = None
    conditions: Annotated[list[Condition], Field(max_length=16), ListMap(("type",))] = []
    times: IncidentTimes = IncidentTimes()
    containment: ContainmentReference | None = None
    evidence: EvidenceReference | None = None
    limited: LimitStop | None = None
    """The limit that stopped it, as long as nobody has reset it, and afterwards as a record."""
    commander: Annotated[str, Field(max_length=256)] = ""
    """Who took command."""
    approvals: Annotated[list[CountedApproval], Field(max_length=16), Atomic()] = []
    """Release approvals that count."""
    approvals_required: Annotated[int, Field(ge=0)] = 0
    timeline: Annotated[list[TimelineEntry], Field(max_length=50), Atomic()] = []
    """The newest entries, oldest first."""
    timeline_count: Annotated[int, Field(ge=0)] = 0
    """Entries ever written."""
    head_hash: Annotated[str, Field(max_length=64)] = ""
    """Hash of the newest entry; write it down elsewhere to be able to prove the history later."""


class AIIncident(Resource):
    """One incident of one AI model: what was reported, what was decided, what was done, and by whom."""

    facts: ClassVar[KindFacts] = KindFacts(
        kind="AIIncident",
        plural="aiincidents",
        singular="aiincident",
        short_names=("aii",),
        selectable=(".status.state",),
        columns=(
            Column("Model", ".spec.target.model"),
            Column("Category", ".spec.category"),
            Column("Severity", ".status.severity"),
            Column("State", ".status.state"),
            Column("Known-good", ".status.containment.knownGood"),
            Column("Why", ".status.reason", priority=1),
            Column("Policy", ".status.policy", priority=1),
            Column("Contained-at", ".status.times.containedAt", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    spec: AIIncidentSpec
    status: AIIncidentStatus = AIIncidentStatus()
