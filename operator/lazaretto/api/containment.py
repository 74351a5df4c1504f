"""`Containment`: the journal of one model's containment, and what holds it.

Written by the operator alone, before it touches anything. `targets[].fields[].base` is what
a field was before the first touch: written once, never changed, because a base taken again
after a crash would record the contained state as the one to restore.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from lazaretto.api.meta import (
    ApiModel,
    Condition,
    Digest,
    Duration,
    LabelMap,
    ModelName,
    Name,
    Resource,
    Text,
    Timestamp,
    Uid,
)
from lazaretto.api.reach import MOST_REPLICAS, Reach
from lazaretto.api.references import ServiceReference, WorkloadIdentity
from lazaretto.api.schema import Atomic, Column, KindFacts, ListMap, ListSet, Rule

JsonText = Annotated[str, Field(max_length=8192)]

ImageDigest = Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]

FieldPath = Annotated[str, Field(min_length=1, max_length=320)]

MOST_WORKLOADS = 16
"""Compromised workloads that one incident can hold."""
# The API server refuses a CRD whose rules could cost too much; it multiplies these bounds.
MOST_TARGETS = 40
"""Objects that the containment of one model can touch."""
MOST_FIELDS = 32
"""Fields of one object that can be held."""
MOST_LET_GO = 16
"""Fields of one object that are let go at a time while others of it stay held."""
MOST_SUPERSEDED = 4
MOST_IMAGES = 32
MOST_CUT_OFF = 64
"""Services that admission keeps routes away from."""
MOST_EVIDENCE_PODS = 3
MOST_QUARANTINES = 32
"""NetworkPolicies for one model."""
MOST_COPIES = 8
"""Workloads that are made for one model."""

CopyName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]


class CompromisedWorkload(WorkloadIdentity):
    """A workload that must not serve, and how admission policies recognise its pods."""

    selector: LabelMap = {}
    """Labels by which it owns its pods. Empty when the known-good revision's pods carry all of them as well."""
    pod_labels: LabelMap = {}
    """Labels of its pods when the hold began: a Service that selects some of them, and nothing else, leads there."""
    rolled_back: bool = False
    """Whether its template was rolled back and is still that of a known-good revision: then all that is held of it is
    its template."""


class EvidencePod(ApiModel):
    """A pod that is kept from being stopped, with no label left by which anything would find it."""

    name: Name
    uid: Uid


class KnownGood(ApiModel):
    """The revision that serves instead, and the workload that runs it."""

    revision: Name
    workload: WorkloadIdentity


class PlannedCopy(ApiModel):
    """A workload that the operator makes of a recorded pod template, beside what is compromised."""

    name: CopyName
    """Its name, and the value of the label by which it owns its pods."""
    revision: Name
    """The ModelRevision whose template it runs."""
    identity: Digest
    """What its pods must load and run."""
    replicas: Annotated[int, Field(ge=1, le=MOST_REPLICAS)]
    """To how many it is scaled up."""


class WorkloadCopy(PlannedCopy):
    """The same once it is in the journal, which is before it exists: what it was before is nothing."""

    uid: Uid | None = None
    """Absent until it was made."""


class Rollback(ApiModel):
    """The compromised Deployment that gets the template of a known-good revision, in the place of its own."""

    rules = (
        Rule(
            "self.workload == oldSelf.workload && self.revision == oldSelf.revision && self.identity == oldSelf.identity",
            "what is rolled back, and to what, never changes",
        ),
        Rule("!has(oldSelf.doneAt) || has(self.doneAt)", "a template is rolled back once, and that is not forgotten"),
    )

    workload: WorkloadIdentity
    revision: Name
    """The ModelRevision whose recorded template it gets."""
    identity: Digest
    """What its pods must load and run."""
    done_at: Timestamp | None = None
    """When the API server was seen to have stored the template. It is written once: whoever changes it after that has the
    workload held again, and nothing more is done without a person."""
    deadline: Duration = "10m"
    """Time that it has from then on to be in service."""


class Hold(ApiModel):
    """One open incident's constraint on the model."""

    rules = (
        Rule("self.approvals >= oldSelf.approvals", "the approvals that a release needs only grow"),
        Rule(
            "oldSelf.requesterMayApprove || !self.requesterMayApprove",
            "who asked for the containment never gets to approve its release later",
        ),
        Rule(
            "duration(self.approvalsExpire) <= duration(oldSelf.approvalsExpire)",
            "the time for which an approval counts only gets shorter",
        ),
        Rule("!has(oldSelf.reach) || has(self.reach)", "what is known of a cut is not forgotten while the hold stands"),
        Rule("!has(oldSelf.rollback) || has(self.rollback)", "a rollback is not forgotten while the hold stands"),
    )

    incident: Name
    incident_uid: Uid = Field(alias="incidentUID")
    compromised: Annotated[list[CompromisedWorkload], Field(min_length=1, max_length=MOST_WORKLOADS), Atomic()]
    """Workloads that must not serve."""
    revisions: Annotated[list[Name], Field(max_length=16), Atomic()] = []
    """ModelRevisions that these workloads ran when the hold began."""
    known_good: KnownGood | None = None
    """Where traffic goes."""
    awaits: PlannedCopy | None = None
    """The copy that traffic goes to as soon as it is ready, for lack of a workload that runs a known-good revision."""
    rollback: Rollback | None = None
    """The rollback in place by which the model comes to serve again, for lack of a workload that runs a known-good revision."""
    reach: Reach | None = None
    """How the known-good workload is brought up, if it was not ready when the hold began."""
    fallback: ServiceReference | None = None
    """Where traffic goes if no revision is known to be good, and until one that is brought up is ready."""
    blocked_images: Annotated[list[ImageDigest], Field(max_length=MOST_IMAGES), Atomic()] = []
    """Digests of images with which no pod is started in the namespace."""
    shift_traffic: bool = True
    scale_to_zero: bool = True
    pause_gitops: bool = Field(default=False, alias="pauseGitOps")
    """Whether Flux and Argo CD are kept from syncing what is held."""
    isolate: bool = False
    """Whether a NetworkPolicy denies all traffic of the compromised pods."""
    keep_pods: Annotated[int, Field(ge=0, le=MOST_EVIDENCE_PODS)] = 0
    """Ready pods to be kept as evidence when the workloads are scaled to zero."""
    evidence_pods: Annotated[list[EvidencePod], Field(max_length=MOST_EVIDENCE_PODS), Atomic()] = []
    """Those that are: nobody gets into them, changes or deletes them."""
    since: Timestamp
    approvals: Annotated[int, Field(ge=1, le=5)] = 1
    """Different people who must approve the release: the most that was ever asked for while the hold stood."""
    requester_may_approve: bool = True
    """Whether who decided ApproveContainment counts as an approver; false once that was asked for."""
    approvals_expire: Duration = "24h"
    """For how long an approval counts: the shortest that was ever asked for."""
    releasing: bool = False
    """True once the release was approved: it constrains nothing any more, and goes when all is restored."""

    @property
    def condemned(self) -> list[CompromisedWorkload]:
        """Compromised workloads that still run what is compromised, or would."""
        return [w for w in self.compromised if not w.rolled_back]


class JournalField(ApiModel):
    """One field of one object: what it was, and what it is held at. Values are JSON texts; absent means the field was absent."""

    rules = (
        Rule(
            "has(self.base) == has(oldSelf.base) && (!has(self.base) || self.base == oldSelf.base)",
            "a base never changes: it is what release restores",
        ),
    )
    written_whole = True

    path: FieldPath
    """Names the field within the object."""
    base: JsonText | None = None
    """Value before the first touch."""
    held: JsonText | None = None
    """Value under the present holds."""
    superseded: Annotated[list[JsonText], Field(max_length=MOST_SUPERSEDED), Atomic()] = []
    """What it was held at before, newest last; an empty text stands for absent. One of these may still be live."""


class JournalTarget(ApiModel):
    """One object that the containment touches, identified by its uid."""

    rules = (
        Rule(
            "self.group == oldSelf.group && self.kind == oldSelf.kind && self.name == oldSelf.name",
            "a journalled object's group, kind and name never change",
        ),
        Rule(
            "sets.contains(self.fields.map(n, n.path) + oldSelf.restored, oldSelf.fields.map(o, o.path))",
            "a journalled field is removed only after its restore was verified (its path is in restored)",
        ),
    )

    group: Annotated[str, Field(max_length=253)] = ""
    kind: Annotated[str, Field(min_length=1, max_length=63)]
    name: Name
    uid: Uid
    fields: Annotated[list[JournalField], Field(min_length=1, max_length=MOST_FIELDS), ListMap(("path",))]
    restored: Annotated[list[FieldPath], Field(max_length=MOST_LET_GO), ListSet()] = []
    """Paths of fields that nothing holds any more and whose restore was verified; they may be removed."""


class ContainmentSpec(ApiModel):
    """Who holds the model, and what every touched object was before."""

    rules = (
        Rule("self.model == oldSelf.model", "the model never changes"),
        Rule(
            "sets.contains(self.targets.map(n, n.uid) + oldSelf.restored, oldSelf.targets.map(o, o.uid))",
            "a journalled object is removed only after its restore was verified (its uid is in restored)",
        ),
    )

    model: ModelName
    """The ProtectedModel; equals this object's name."""
    holds: Annotated[list[Hold], Field(max_length=32), ListMap(("incidentUID",))] = []
    """Open incidents that hold the model. Empty: being released."""
    targets: Annotated[list[JournalTarget], Field(max_length=MOST_TARGETS), ListMap(("uid",))] = []
    """Objects touched, with their bases."""
    restored: Annotated[list[Uid], Field(max_length=MOST_TARGETS), ListSet()] = []
    """Uids of objects whose restore was verified."""
    cut_off: Annotated[list[Name], Field(max_length=MOST_CUT_OFF), ListSet()] = []
    """Services that lead to compromised workloads alone: no route may send to them."""
    copies: Annotated[list[WorkloadCopy], Field(max_length=MOST_COPIES), ListMap(("name",))] = []
    """Workloads that the operator makes for the model, recorded before it makes them, and removes at the release."""
    quarantine: Annotated[list[Name], Field(max_length=MOST_QUARANTINES), ListSet()] = []
    """NetworkPolicies that the operator makes for the model, recorded before it makes them."""


class TargetProof(ApiModel):
    """What was last observed of one held object."""

    object: Annotated[str, Field(max_length=320)]
    """As Kind/name."""
    level: Annotated[str, Field(max_length=2)] = ""
    message: Text = ""


class ContainmentStatus(ApiModel):
    """How far the containment was proved."""

    observed_generation: int = 0
    state: Annotated[str, Field(max_length=32)] = ""
    """For display only: Containing, Contained, Releasing, Degraded."""
    proof: Annotated[str, Field(max_length=2)] = ""
    """The lowest level over all objects: L0 accepted, L1 observed, L2 no pod is left and admission holds it."""
    known_good: Annotated[str, Field(max_length=253)] = ""
    conditions: Annotated[list[Condition], Field(max_length=16), ListMap(("type",))] = []
    objects: Annotated[list[TargetProof], Field(max_length=MOST_TARGETS), Atomic()] = []


class Containment(Resource):
    """The journal of one model's containment: what was touched, what it was before, and what holds it."""

    facts: ClassVar[KindFacts] = KindFacts(
        kind="Containment",
        plural="containments",
        singular="containment",
        short_names=("ctm",),
        name_type=ModelName,
        columns=(
            Column("Model", ".spec.model"),
            Column("State", ".status.state"),
            Column("Proof", ".status.proof"),
            Column("Known-good", ".status.knownGood"),
            Column("Held-by", ".spec.holds[*].incident"),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    spec: ContainmentSpec
    status: ContainmentStatus = ContainmentStatus()
