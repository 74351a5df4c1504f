"""`ResponsePolicy`: the platform team decides what may happen, before anything does."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lazaretto.api.containment import MOST_EVIDENCE_PODS
from lazaretto.api.meta import ApiModel, Condition, Duration, LabelMap, Name, Resource, ShortText, Timestamp
from lazaretto.api.reach import ReachRule
from lazaretto.api.schema import Atomic, Column, KindFacts, ListMap, ListSet, Rule
from lazaretto.api.taxonomy import Category, Impact, Mode, Severity


class PolicyMatch(ApiModel):
    """Which incidents the policy answers. Every stated criterion must hold; an absent one always does."""

    models: Annotated[list[Name], Field(max_length=64), ListSet()] = []
    """Names of ProtectedModels."""
    model_labels: LabelMap | None = None
    """Labels that the ProtectedModel must carry."""
    categories: Annotated[list[Category], Field(max_length=32), ListSet()] = []
    severities: Annotated[list[Severity], Field(max_length=5), ListSet()] = []
    alert_labels: LabelMap | None = None
    """Labels that at least one alert of the incident must carry."""


class Actions(ApiModel):
    """Which parts of a containment this policy performs."""

    shift_traffic: bool = True
    """Move routes and Services to the known-good revision, or to the fallback."""
    scale_to_zero: bool = True
    """Scale compromised workloads to zero, and hold their autoscalers."""
    block_images: bool = False
    """Have the API server refuse every pod of the namespace with an image of a compromised workload, if its template
    names that by digest and the known-good revision does not run it as well. Other models that share the image cannot
    start pods either."""
    pause_gitops: bool = Field(default=False, alias="pauseGitOps")
    """Have Flux leave each held object alone, and Argo CD every Application of this namespace that owns one: with it,
    all that the Application syncs. Needs the ClusterRole `lazaretto-gitops` bound in the namespace."""
    isolate: bool = False
    """Deny all traffic of the compromised pods by a NetworkPolicy. Needs the ClusterRole `lazaretto-isolation` bound in
    the namespace, and a network that enforces NetworkPolicies, which no API tells."""


class EvidenceRule(ApiModel):
    """What is kept of a compromised model before containment destroys it."""

    snapshot: bool = True
    """Store the compromised workloads, their pods and Events, and the alerts, without secrets, when a containment begins."""
    budget: Annotated[str, Field(max_length=3, pattern=r"^([1-9]|[1-5][0-9]|60)s$")] = "10s"
    """How long that may take, `1s` to `60s`. What is not read by then is left out, and said to be missing."""
    pods: Annotated[int, Field(ge=0, le=MOST_EVIDENCE_PODS)] = 0
    """So many ready pods of the compromised workloads are kept until the release instead of being stopped: isolated, found
    by no Service, entered by nobody. They keep their accelerators. Needs the ClusterRole `lazaretto-isolation`."""
    configuration: bool = False
    """Keep SHA-256 digests of the ConfigMaps that the compromised workloads name, value by value. Needs the ClusterRole
    `lazaretto-configuration` bound in the namespace."""
    secrets: bool = False
    """Keep one salted scrypt digest of each Secret that the compromised workloads name, which tells later whether it was
    changed. Who reads the evidence may guess at a Secret that holds nothing but a few characters. Needs the right to `get` these
    Secrets, which no role of ours has: grant it by name."""
    log_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    """So many of the last lines of each container's log go into the snapshot, without what reads like a credential. None by
    default: a model's logs may hold what its users said. Needs the ClusterRole `lazaretto-isolation`."""


class KnownGoodRule(ApiModel):
    """What counts as a known-good revision."""

    require_attested: bool = False
    """True: only a revision that somebody attested. False: one that was earned by soak will do."""
    soak: Duration = "24h"
    """How long a revision must have served without an incident to count as good, as in `24h` or `90m`. Time counts that
    the operator has watched; with a `trafficQuery` in the ProtectedModel, only while the revision carries traffic."""
    require_pinned: bool = False
    """True: only a revision whose images are named by digest, and whose `hf://` references by commit. What a tag
    stands for can change after it was found good."""
    any_category: bool = False
    """True: a known-good revision takes over whatever the incident's category. False: not for categories that
    another revision does not cure, such as PromptInjection; docs/reference/categories.md lists them."""


class ReleaseRule(ApiModel):
    """What a release needs."""

    rules = (
        Rule(
            "!has(self.approvalsExpire) || duration(self.approvalsExpire) >= duration('5m')",
            "approvalsExpire must be at least 5m: people have to come together within it",
        ),
    )

    approvals: Annotated[int, Field(ge=1, le=5)] | None = None
    """Different people who must approve. Default: 2 for SEV1 and SEV2, else 1."""
    requester_may_approve: bool | None = None
    """Whether somebody who decided ApproveContainment counts as an approver of the release as well.
    Default: false for SEV1 and SEV2, else true."""
    approvals_expire: Duration = "24h"
    """An approval older than this counts for nothing; a release that has begun is not stopped by it."""


class Limits(ApiModel):
    """How far containment goes without asking a person. An absent limit does not limit.

    A limit counts what is done in the namespace by whatever policy or person. It keeps a policy from holding a
    further model by itself: one that is held already may be held further, people may always approve, and no release
    waits for it. Once a limit has tripped, no policy of the namespace that has limits holds a further model by itself
    until a person decides ResetLimits.
    """

    concurrent_models: Annotated[int, Field(ge=1, le=10000)] | None = None
    """Models that may be held at the same time."""
    percent_of_models: Annotated[int, Field(ge=1, le=100)] | None = None
    """The same as a share of the namespace's ProtectedModels, rounded down, but never less than one model."""
    per_hour: Annotated[int, Field(ge=1, le=10000)] | None = None
    """Incidents whose containment may begin within an hour."""
    per_sender_per_hour: Annotated[int, Field(ge=1, le=10000)] | None = None
    """The same for the incidents of one sender, as the receiver authenticated it; incidents that did not come through
    the receiver count as one sender. When it trips, it stops that sender's incidents alone."""
    cool_down: Duration | None = None
    """A model that was released less than this ago is not held again by itself, as in `30m`. Stops nothing else."""
    sev1_passes: bool = False
    """True: an incident of SEV1 is contained whatever the limits say."""


class ResponsePolicySpec(ApiModel):
    """When it applies, how far it goes, and what a release needs."""

    rules = (
        Rule(
            "!has(self.actions) || self.actions.shiftTraffic || self.actions.scaleToZero",
            "at least one of shiftTraffic and scaleToZero must stay true; use mode Observe to do nothing",
        ),
    )

    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """The highest priority wins; among equals the name that sorts first."""
    match: PolicyMatch = PolicyMatch()
    mode: Mode = "Observe"
    """Observe says what it would do; Approve waits for a person; Automatic acts at once."""
    actions: Actions = Actions()
    on_no_known_good: Literal["Fallback", "Zero", "Hold"] = "Hold"
    """With no known-good revision: send traffic to the model's fallback Service, take the model
    out of service altogether, or touch nothing and page a person."""
    known_good: KnownGoodRule = KnownGoodRule()
    reach: ReachRule = ReachRule()
    impact_floor: Impact | None = None
    """Impact of a matching incident is at least this."""
    release: ReleaseRule = ReleaseRule()
    evidence: EvidenceRule = EvidenceRule()
    limits: Limits = Limits()


class TrippedLimit(ApiModel):
    """A limit that was reached, and that nobody has reset."""

    limit: ShortText
    """Its field in `spec.limits`."""
    sender: ShortText = ""
    """Whose incidents it stops; empty: everybody's."""
    at: Timestamp


class ResponsePolicyStatus(ApiModel):
    """Whether the policy is understood."""

    observed_generation: int = 0
    state: Annotated[str, Field(max_length=32)] = ""
    """For display only: Ready, LimitReached, or Degraded when the condition Accepted is False."""
    conditions: Annotated[list[Condition], Field(max_length=8), ListMap(("type",))] = []
    tripped: Annotated[list[TrippedLimit], Field(max_length=32), Atomic()] = []
    """Limits that stop automatic containment until somebody decides ResetLimits."""


class ResponsePolicy(Resource):
    """Says which incidents are answered how: observe, wait for a person, or act at once."""

    facts: ClassVar[KindFacts] = KindFacts(
        kind="ResponsePolicy",
        plural="responsepolicies",
        singular="responsepolicy",
        short_names=("rp",),
        columns=(
            Column("Mode", ".spec.mode"),
            Column("Priority", ".spec.priority", "integer"),
            Column("No-known-good", ".spec.onNoKnownGood"),
            Column("State", ".status.state"),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    spec: ResponsePolicySpec
    status: ResponsePolicyStatus = ResponsePolicyStatus()
