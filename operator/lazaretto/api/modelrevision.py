"""`ModelRevision`: one identity of one model, where it runs, and whether it is known to be good."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lazaretto.api.meta import (
    ApiModel,
    Condition,
    Digest,
    ModelName,
    Name,
    Resource,
    ShortText,
    Text,
    Timestamp,
    Uid,
    UserName,
)
from lazaretto.api.references import WorkloadIdentity, WorkloadKind
from lazaretto.api.schema import Atomic, Column, KindFacts, ListMap, Rule

MOST_DIGESTS = 32
"""Containers of one template whose digests are kept."""
LONGEST_TEMPLATE = 32_768
"""Characters of a pod template's JSON; no template is kept that is longer."""

DigestConfidence = Literal["", "Pinned", "Resolved", "Mutable"]
"""How well it is known what a template loads; empty until it was looked at.

Pinned: every image is named by digest, and every `hf://` reference by commit. Resolved: what is a tag was read from the
running pods, which agree. Mutable: neither.
"""

ImageDigest = Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
ContainerName = Annotated[str, Field(min_length=1, max_length=63)]


class Signature(ApiModel):
    """A signature that the attestation rests on. Nothing is fetched or verified: whoever attests has done that."""

    type: Literal["ModelSigning", "Cosign"]
    """ModelSigning: a bundle of OpenSSF model signing. Cosign: a signature of an image or another artefact."""
    digest: ImageDigest
    """SHA-256 of the bundle, or digest of what Cosign signed."""
    reference: ShortText = ""
    """Where it can be found, for people."""


class Attestation(ApiModel):
    """Somebody's word that the revision is good, such as a CI pipeline's after its evaluation passed."""

    by: UserName
    """Who attests."""
    evidence: Text = ""
    """Where the evidence is: a build, an evaluation report, a signature digest."""
    signatures: Annotated[list[Signature], Field(max_length=8), Atomic()] = []
    """Signatures of the model or its images that were verified."""


class ModelRevisionSpec(ApiModel):
    """What the revision is."""

    rules = (
        Rule("self.model == oldSelf.model && self.identity == oldSelf.identity", "model and identity never change"),
        Rule(
            "!has(oldSelf.attestation) || (has(self.attestation) && self.attestation == oldSelf.attestation)",
            "an attestation is given once; revoke a revision by an incident that names it",
        ),
    )

    model: ModelName
    """The ProtectedModel in this namespace."""
    identity: Digest
    """SHA-256 over what the workload's pods load and run; `lazaretto identity` prints it for a manifest."""
    images: Annotated[list[Annotated[str, Field(max_length=512)]], Field(max_length=16), Atomic()] = []
    """Container images, for people."""
    attestation: Attestation | None = None


class Revocation(ApiModel):
    """An incident that names the revision. While it stands, the revision is not known to be good."""

    incident: Name
    incident_uid: Uid = Field(alias="incidentUID")
    category: ShortText = ""


class ContainerDigest(ApiModel):
    """What the tag of one container's image stands for: as all running pods told last, or else as the oldest did."""

    container: ContainerName
    digest: ImageDigest


class MovedTag(ApiModel):
    """A tag that stands for something else than when the revision was recorded."""

    container: ContainerName
    before: ImageDigest
    """What it stood for at first. An attestation of the revision is about this."""
    after: ImageDigest
    """What pods run now."""
    at: Timestamp
    """When that was seen."""


class SoakRecord(ApiModel):
    """How long the revision has proved itself."""

    earned_seconds: Annotated[int, Field(ge=0)] = 0
    """Seconds for which it was seen to serve with traffic, since `availableSince`. Stored in coarse steps."""
    seen_at: Timestamp
    """When that was stored."""


class ServiceRecord(ApiModel):
    """What the revision had earned when it left service in an orderly way: scaled to zero or replaced while it served."""

    earned_seconds: Annotated[int, Field(ge=0)] = 0
    """Seconds that count against a policy's soak time, as in `soak`."""
    since: Timestamp
    """Start of that unbroken availability."""
    until: Timestamp
    """When it was first seen out of service."""


class RecordedTemplate(ApiModel):
    """What a workload ran while the revision served."""

    kind: WorkloadKind
    name: Name
    """The workload."""
    template: Annotated[str, Field(max_length=LONGEST_TEMPLATE)]
    """Its pod template as JSON, without annotations that only restart pods. Copies are made of it."""


class ModelRevisionStatus(ApiModel):
    """Where it runs and since when without trouble. Written by the operator alone."""

    observed_generation: int = 0
    state: Annotated[str, Field(max_length=32)] = ""
    """For display only: Attested, Soaking, TagMoved, Retired, Unavailable, or Revoked."""
    workloads: Annotated[list[WorkloadIdentity], Field(max_length=16), Atomic()] = []
    available_since: Timestamp | None = None
    """Start of the present unbroken availability as the operator saw it."""
    soak: SoakRecord | None = None
    """What counts against a policy's soak time. Gone when the revision is unavailable, named by an incident, or moved."""
    served: ServiceRecord | None = None
    """What it had earned when it left service. Gone when it fails, is named by an incident, or has moved."""
    recorded: RecordedTemplate | None = None
    """The pod template as it was last seen to serve."""
    unrecorded: Text = ""
    """Why no template is kept, where none is."""
    lacks: Annotated[list[Text], Field(max_length=16), Atomic()] = []
    """While it does not serve: ConfigMaps, claims and ServiceAccounts that its pods need and that do not exist, as Kind/name."""
    digest_confidence: DigestConfidence = ""
    """Pinned, Resolved or Mutable: how well it is known what the template loads."""
    digests: Annotated[list[ContainerDigest], Field(max_length=MOST_DIGESTS), Atomic()] = []
    """What those images stand for that the template names by tag, as read from the running pods."""
    moved_tags: Annotated[list[MovedTag], Field(max_length=MOST_DIGESTS), Atomic()] = []
    """Tags that have moved since the revision was recorded: what runs is another revision of the same template. Its soak
    has begun anew, and an attestation counts again only when the tags stand for what they stood for."""
    revoked_by: Annotated[list[Revocation], Field(max_length=16), Atomic()] = []
    conditions: Annotated[list[Condition], Field(max_length=8), ListMap(("type",))] = []


class ModelRevision(Resource):
    """One revision of a model: the evidence that it may serve when another must not."""

    facts: ClassVar[KindFacts] = KindFacts(
        kind="ModelRevision",
        plural="modelrevisions",
        singular="modelrevision",
        short_names=("mrev",),
        columns=(
            Column("Model", ".spec.model"),
            Column("State", ".status.state"),
            Column("Available-since", ".status.availableSince", "date"),
            Column("Digests", ".status.digestConfidence"),
            Column("Workloads", ".status.workloads[*].name"),
            Column("Identity", ".spec.identity", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    spec: ModelRevisionSpec
    status: ModelRevisionStatus = ModelRevisionStatus()
