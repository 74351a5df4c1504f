"""`ProtectedModel`: a team opts a model in, and says what it is made of."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lazaretto.api.meta import ApiModel, Condition, LabelMap, ModelName, Name, Resource, ShortText, Text, Timestamp
from lazaretto.api.modelrevision import DigestConfidence
from lazaretto.api.references import RouteReference, ServiceReference, WorkloadIdentity, WorkloadSelector
from lazaretto.api.schema import Atomic, Column, KindFacts, ListMap, ListSet, Rule
from lazaretto.api.taxonomy import Impact


class AlertSelector(ApiModel):
    """Which alerts belong to the model.

    The alert's namespace label must equal this object's namespace in every case; these
    labels are matched in addition.
    """

    rules = (
        Rule("size(self.matchLabels) > 0", "matchLabels must not be empty: every alert of the namespace would match"),
    )

    match_labels: LabelMap
    """Labels that an alert must carry, with these values."""


class ProtectedModelSpec(ApiModel):
    """What serves the model, who owns it, and what may be done when it goes wrong."""

    rules = (
        Rule(
            "!has(self.exempt) || !self.exempt || has(self.exemptReason)",
            "an exempt model must say why in exemptReason",
        ),
        Rule(
            "!has(self.trafficQuery) || self.trafficQuery.contains('$workload')",
            "trafficQuery must name $workload: one revision's traffic would count for all",
        ),
    )

    owner: ShortText = ""
    """Team or person that answers for the model; shown on incidents."""
    tier: Literal["Critical", "High", "Standard", "Experimental"] = "Standard"
    """How much depends on the model."""
    data_classes: Annotated[list[ShortText], Field(max_length=16), ListSet()] = []
    """Kinds of data that the model has seen or may answer with, such as `personal` or `health`."""
    workloads: Annotated[list[WorkloadSelector], Field(min_length=1, max_length=16), Atomic()]
    """Every workload that serves any revision of the model, good and bad alike."""
    routes: Annotated[list[RouteReference], Field(max_length=16), ListMap(("kind", "name"))] = []
    """Routes that ought to exist; the model is Degraded while one does not. Any other route of the
    namespace that sends to a compromised revision is moved as well."""
    alerts: AlertSelector | None = None
    """Which alerts belong to the model. Default: label `ai_model` equals the model's name."""
    known_good: Name | None = None
    """The ModelRevision to fall back to before any other, if it is healthy and not revoked."""
    traffic_query: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """PromQL that has a result above zero while one workload carries traffic, as in
    `rate(http_requests_total{namespace="$namespace",deployment="$workload"}[5m])`. Where the operator has a Prometheus to
    ask, a revision's soak counts only meanwhile. `$namespace`, `$model` and `$workload` stand for names, within quotes;
    a name that is no DNS label is not asked about. Without it, availability alone counts."""
    fallback: ServiceReference | None = None
    """A Service that answers while no revision is known to be good, such as a maintenance page."""
    impact_floor: Impact | None = None
    """Impact of any incident of this model is at least this. An alert can raise it, never lower it."""
    exempt: bool = False
    """True: never contained without a person's ApproveContainment, whatever the policy says."""
    exempt_reason: ShortText | None = None
    """Why the model is exempt."""


class ObservedWorkload(WorkloadIdentity):
    """A workload of the model as it was last seen."""

    revision: Annotated[str, Field(max_length=253)] = ""
    """ModelRevision that it runs."""
    replicas: Annotated[int, Field(ge=0)] = 0
    """Replicas asked for."""
    ready: Annotated[int, Field(ge=0)] = 0
    """Replicas ready."""
    digest_confidence: DigestConfidence = ""
    """Pinned, Resolved or Mutable: how well it is known what its template loads."""
    takes_over: Text = ""
    """Whether it could take over from another revision now, and why: `yes: ...` or `no: ...`."""


class ObservedRecord(ApiModel):
    """A revision that no workload runs any more, and whose recorded pod template a copy could be made of."""

    revision: Name
    copy_name: Annotated[str, Field(max_length=63)]
    """Name that the copy would have."""
    digest_confidence: DigestConfidence = ""
    takes_over: Text = ""
    """Whether it could take over from another revision now, and why: `yes: ...` or `no: ...`."""


class ProtectedModelStatus(ApiModel):
    """Whether Lazaretto could contain the model right now, and what it would fall back to."""

    observed_generation: int = 0
    state: Annotated[str, Field(max_length=32)] = ""
    """For display only: Armed, Degraded, Disarmed, or Contained."""
    conditions: Annotated[list[Condition], Field(max_length=16), ListMap(("type",))] = []
    workloads: Annotated[list[ObservedWorkload], Field(max_length=64), Atomic()] = []
    records: Annotated[list[ObservedRecord], Field(max_length=16), Atomic()] = []
    """Revisions of the model that no workload runs."""
    may_copy: bool = False
    """Whether the operator may make copies in this namespace: the ClusterRole `lazaretto-copies` is bound there."""
    may_roll_back: bool = False
    """Whether the operator may roll templates back in this namespace: the ClusterRole `lazaretto-rollback` is bound there."""
    known_good: Annotated[str, Field(max_length=253)] = ""
    """ModelRevision that an incident of the most severe kind would fall back to now."""
    policy: Annotated[str, Field(max_length=253)] = ""
    """ResponsePolicy of the highest priority that names this model."""
    open_incidents: Annotated[int, Field(ge=0)] = 0
    checked_at: Timestamp | None = None
    """When the standing self-test last changed anything here."""


class ProtectedModel(Resource):
    """Opts a model in to containment: which workloads serve it, which routes lead to it, who owns it."""

    facts: ClassVar[KindFacts] = KindFacts(
        kind="ProtectedModel",
        plural="protectedmodels",
        singular="protectedmodel",
        short_names=("pm",),
        name_type=ModelName,
        columns=(
            Column("State", ".status.state"),
            Column("Known-good", ".status.knownGood"),
            Column("Policy", ".status.policy"),
            Column("Open", ".status.openIncidents", "integer"),
            Column("Owner", ".spec.owner", priority=1),
            Column("Tier", ".spec.tier", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    spec: ProtectedModelSpec
    status: ProtectedModelStatus = ProtectedModelStatus()
