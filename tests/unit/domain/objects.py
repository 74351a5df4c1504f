"""Objects for the tests of the pure core: each builder gives a valid one, and takes what the test is about.

Times are hours of one day (`at(5)`), so a test reads as a sequence. Uids follow from names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from lazaretto.api import AIIncident, Containment, IncidentDecision, ModelRevision, ProtectedModel, ResponsePolicy
from lazaretto.api.aiincident import AIIncidentSpec, AIIncidentStatus, AlertEntry, IncidentSource, IncidentTarget
from lazaretto.api.containment import ContainmentSpec, Hold, KnownGood
from lazaretto.api.incidentdecision import IncidentDecisionSpec, Verb
from lazaretto.api.meta import ObjectMeta
from lazaretto.api.modelrevision import (
    Attestation,
    ContainerDigest,
    ModelRevisionSpec,
    ModelRevisionStatus,
    MovedTag,
    Revocation,
    SoakRecord,
)
from lazaretto.api.protectedmodel import ProtectedModelSpec
from lazaretto.api.references import WorkloadSelector
from lazaretto.api.responsepolicy import PolicyMatch, ResponsePolicySpec
from lazaretto.api.taxonomy import Category
from lazaretto.domain.scene import Scene, ServiceFacts, Workload

NAMESPACE, MODEL = "shop", "chat"
_MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


def at(hour: float) -> datetime:
    """A moment: so many hours after one midnight."""
    return _MIDNIGHT + timedelta(hours=hour)


def digest(text: str) -> str:
    """An identity, the same for the same text."""
    return sha256(text.encode()).hexdigest()


def metadata(name: str, *, uid: str = "", created: datetime | None = None, **more: Any) -> ObjectMeta:
    """Metadata in the tests' namespace; the uid follows from the name unless it is given."""
    return ObjectMeta(
        namespace=NAMESPACE, name=name, uid=uid or f"uid-of-{name}", creation_timestamp=created or at(0), **more
    )


def incident(
    name: str = "chat-1",
    *,
    uid: str = "",
    category: Category = "DataLeakage",
    model: str | None = MODEL,
    revision: str | None = None,
    alerts: Sequence[AlertEntry] = (),
    status: Mapping[str, Any] | None = None,
    created: datetime | None = None,
    **spec: Any,
) -> AIIncident:
    """An open incident; `model=None` leaves the target out, `status` is camelCase, `spec` goes into the spec."""
    return AIIncident(
        metadata=metadata(name, uid=uid, created=created),
        spec=AIIncidentSpec(
            source=IncidentSource(type="Alert", sender="alertmanager"),
            target=IncidentTarget(model=model, revision=revision) if model else None,
            category=category,
            alerts=list(alerts),
            **spec,
        ),
        status=AIIncidentStatus.model_validate(status or {}),
    )


def alert(fingerprint: str = "a" * 16, *, start: datetime | None = None, **fields: Any) -> AlertEntry:
    """An alert of an incident."""
    began = start or at(1)
    return AlertEntry(fingerprint=fingerprint, name="Leak", starts_at=began, received_at=began, **fields)


def policy(name: str = "default", *, match: PolicyMatch | None = None, **spec: Any) -> ResponsePolicy:
    """A policy that matches everything unless told otherwise."""
    return ResponsePolicy(metadata=metadata(name), spec=ResponsePolicySpec(match=match or PolicyMatch(), **spec))


def model(name: str = MODEL, *, labels: Mapping[str, str] | None = None, **spec: Any) -> ProtectedModel:
    """A protected model whose Deployments carry `app=<name>`."""
    selectors = [WorkloadSelector(kind="Deployment", match_labels={"app": name})]
    return ProtectedModel(
        metadata=metadata(name, labels=dict(labels or {})), spec=ProtectedModelSpec(workloads=selectors, **spec)
    )


def revision(
    name: str,
    *,
    runs: str = "",
    attested_by: str = "",
    since: datetime | None = None,
    earned: int | None = None,
    revoked_by: Sequence[Revocation] = (),
    moved: Sequence[MovedTag] = (),
    loads: str = "",
    **meta: Any,
) -> ModelRevision:
    """The record of what runs under the identity `digest(runs)`; `runs` is the record's name unless it is given.

    Available since a moment, it has earned all the time until `at(10)`, or so many seconds. `loads` is the letter of
    the digest that its tag was seen to stand for.
    """
    seconds = earned if earned is not None else int((at(10) - since).total_seconds()) if since else 0
    soak = SoakRecord(earned_seconds=max(0, seconds), seen_at=at(10)) if since else None
    digests = [ContainerDigest(container="server", digest=f"sha256:{loads * 64}")] if loads else []
    return ModelRevision(
        metadata=metadata(name, **meta),
        spec=ModelRevisionSpec(
            model=MODEL,
            identity=digest(runs or name),
            attestation=Attestation(by=attested_by) if attested_by else None,
        ),
        status=ModelRevisionStatus(
            available_since=since,
            soak=soak,
            revoked_by=list(revoked_by),
            moved_tags=list(moved),
            digests=digests,
        ),
    )


def moved_tag(before: str = "a", after: str = "b", *, hour: float = 1) -> MovedTag:
    """A tag that stood for one digest and stands for another; digests by their repeated letter."""
    was, now = f"sha256:{before * 64}", f"sha256:{after * 64}"
    return MovedTag(container="server", before=was, after=now, at=at(hour))


def revocation(name: str = "chat-1", *, uid: str = "") -> Revocation:
    """An incident's word against a revision."""
    return Revocation(incident=name, incident_uid=uid or f"uid-of-{name}", category="DataLeakage")


def workload(
    name: str,
    *,
    uid: str = "",
    runs: str = "",
    replicas: int = 2,
    ready: int | None = None,
    available: bool | None = None,
    since: datetime | None = None,
    pod_labels: Mapping[str, str] | None = None,
    unpinned: Sequence[str] = (),
    tagged: Sequence[str] = (),
    frame: str = "",
    resolvable: bool = True,
    rolled_out: bool = True,
) -> Workload:
    """A Deployment that runs the identity `digest(runs)`, ready as far as it has replicas unless told otherwise.

    `tagged` are containers whose image is a tag; what has the same `frame` differs by its images alone.
    """
    serving = replicas if ready is None else ready
    return Workload(
        kind="Deployment",
        name=name,
        uid=uid or f"uid-of-{name}",
        pod_labels=pod_labels if pod_labels is not None else {"app": MODEL, "track": name},
        selector={"track": name},
        replicas=replicas,
        ready=serving,
        available=serving > 0 if available is None else available,
        available_since=since,
        identity=digest(runs or name),
        images=(f"registry.example/{runs or name}:1",),
        unpinned=tuple(unpinned) or tuple(f"{each}:1" for each in tagged),
        tagged=tuple((each, f"{each}:1") for each in tagged),
        frame=digest(f"frame of {frame or runs or name}"),
        resolvable=resolvable,
        rolled_out=rolled_out,
    )


def service(name: str, *, ports: tuple[int, ...] = (80,), **selector: str) -> ServiceFacts:
    """A Service before the pods with these labels; without any it selects nothing."""
    return ServiceFacts(name, f"uid-of-{name}", selector, ports)


def scene(workloads: Sequence[Workload], services: Sequence[ServiceFacts] = (), *, routed: Sequence[str] = ()) -> Scene:
    """The model's surroundings."""
    return Scene(NAMESPACE, MODEL, tuple(workloads), tuple(services), frozenset(routed))


def hold(of: AIIncident, compromised: Sequence[Workload], *, known_good: Workload | None = None, **fields: Any) -> Hold:
    """What an incident holds; the known-good's record is named after its workload."""
    values: dict[str, Any] = {
        "compromised": [w.condemned() for w in compromised],
        "known_good": KnownGood(revision=known_good.name, workload=known_good.identified) if known_good else None,
        "since": at(2),
        **fields,
    }
    return Hold(incident=of.metadata.name, incident_uid=of.metadata.uid, **values)


def containment(*holds: Hold) -> Containment:
    """The journal of the tests' model, with these holds and nothing touched yet."""
    return Containment(metadata=metadata(MODEL), spec=ContainmentSpec(model=MODEL, holds=list(holds)))


def decision(
    verb: Verb,
    by: str,
    *,
    of: AIIncident | None = None,
    name: str = "",
    created: datetime | None = None,
    **spec: Any,
) -> IncidentDecision:
    """What a person decided about an incident (the default one unless told otherwise)."""
    about = (of or incident()).metadata
    fields = {"incident_name": about.name, "incident_uid": about.uid, "reason": "because", **spec}
    return IncidentDecision(
        metadata=metadata(name or f"{by}-{verb}".lower(), created=created or at(3)),
        spec=IncidentDecisionSpec(verb=verb, decided_by=by, **fields),
    )
