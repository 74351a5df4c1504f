"""What the operator records about a model's revisions, from what it sees running. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from lazaretto.api import AIIncident, Containment, ModelRevision, reasons
from lazaretto.api.meta import API_VERSION, LABEL_MODEL
from lazaretto.api.modelrevision import ModelRevisionStatus, Revocation
from lazaretto.domain.conditions import set_condition
from lazaretto.domain.digests import Resolution, Stamp, moved_text, stamp
from lazaretto.domain.identity import revision_name
from lazaretto.domain.scene import Workload

_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


def unrecorded(
    model: str, workloads: Iterable[Workload], revisions: Sequence[ModelRevision]
) -> list[dict[str, object]]:
    """Bodies of the ModelRevisions that are missing for what runs."""
    known = {r.spec.identity for r in revisions}
    missing = {w.identity: w for w in workloads if w.identity not in known}
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "ModelRevision",
            "metadata": {"name": revision_name(model, identity), "labels": {LABEL_MODEL: model}},
            "spec": {"model": model, "identity": identity, "images": list(workload.images)},
        }
        for identity, workload in missing.items()
    ]


def revocations(
    revision: ModelRevision,
    *,
    incidents: Iterable[AIIncident],
    containment: Containment | None,
    workloads: Iterable[Workload],
) -> list[Revocation]:
    """Open incidents that name the revision or a workload that runs it, by their target or by their hold."""
    name = revision.metadata.name
    names = {name, *(w.name for w in workloads if w.identity == revision.spec.identity)}
    held = {h.incident_uid for h in (containment.spec.holds if containment else ()) if name in h.revisions}
    found = [
        Revocation(incident=i.metadata.name, incident_uid=i.metadata.uid, category=i.spec.category)
        for i in incidents
        if i.status.times.closed_at is None
        and (i.metadata.uid in held or (i.spec.target is not None and i.spec.target.revision in names))
    ]
    return sorted(found, key=lambda r: r.incident)[:16]


def revision_status(
    revision: ModelRevision,
    *,
    workloads: Sequence[Workload],
    revoked_by: list[Revocation],
    resolution: Resolution,
    now: datetime,
) -> ModelRevisionStatus:
    """The new status. Availability counts from when the operator saw it, and only while nothing names the revision."""
    running = [w for w in workloads if w.identity == revision.spec.identity]
    available = [w for w in running if w.available and w.ready > 0]
    digests = stamp(revision.status, resolution, now=now)
    since = revision.status.available_since
    if revoked_by or not available or not digests.agreed:
        since = None
    elif digests.anew:
        since = now
    else:
        # A workload that was down since we last looked starts anew, even if it is up again.
        risen = max(w.available_since or now for w in available) if len(available) == 1 else None
        since = max(since, risen) if since and risen else since or now
    state, reason, message = _standing(revision, revoked_by, bool(available), since, digests)
    good = "True" if reason == "Attested" else "False" if revoked_by else "Unknown"
    return ModelRevisionStatus(
        observed_generation=revision.metadata.generation,
        state=state,
        workloads=[w.identified for w in running][:16],
        available_since=since,
        digest_confidence=digests.confidence,
        digests=digests.digests,
        moved_tags=digests.moved,
        revoked_by=revoked_by,
        conditions=set_condition(
            revision.status.conditions,
            "KnownGood",
            good,  # type: ignore[arg-type]  # one of the three
            reason,
            message,
            generation=revision.metadata.generation,
            now=now,
        ),
    )


def _standing(
    revision: ModelRevision, revoked_by: list[Revocation], available: bool, since: datetime | None, digests: Stamp
) -> tuple[str, str, str]:
    if revoked_by:
        return "Revoked", "Revoked", f"named by {', '.join(r.incident for r in revoked_by)}"
    if not available:
        return "Unavailable", reasons.NOT_PROVED, "no available workload runs it"
    if revision.spec.attestation is not None and not digests.moved:
        return "Attested", "Attested", f"attested by {revision.spec.attestation.by}"
    soaking = f"available since {since:{_MOMENT}}; the policy's soak time decides" if since else "its pods do not agree"
    if digests.moved:
        return reasons.TAG_MOVED, reasons.TAG_MOVED, f"{moved_text(digests.moved[0])}; {soaking}"
    return "Soaking", "Soaking", soaking
