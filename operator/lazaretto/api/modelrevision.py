"""`ModelRevision`: one identity of one model, where it runs, and whether it is known to be good."""

from __future__ import annotations

from typing import Annotated, ClassVar

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
from lazaretto.api.references import WorkloadIdentity
from lazaretto.api.schema import Atomic, Column, KindFacts, ListMap, Rule


class Attestation(ApiModel):
    """Somebody's word that the revision is good, such as a CI pipeline's after its evaluation passed."""

    by: UserName
    """Who attests."""
    evidence: Text = ""
    """Where the evidence is: a build, an evaluation report, a signature digest."""


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


class ModelRevisionStatus(ApiModel):
    """Where it runs and since when without trouble. Written by the operator alone."""

    observed_generation: int = 0
    state: Annotated[str, Field(max_length=32)] = ""
    """For display only: Attested, Soaking, Unavailable, or Revoked."""
    workloads: Annotated[list[WorkloadIdentity], Field(max_length=16), Atomic()] = []
    available_since: Timestamp | None = None
    """Start of the present unbroken availability as the operator saw it."""
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
            Column("Workloads", ".status.workloads[*].name"),
            Column("Identity", ".spec.identity", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    spec: ModelRevisionSpec
    status: ModelRevisionStatus = ModelRevisionStatus()
