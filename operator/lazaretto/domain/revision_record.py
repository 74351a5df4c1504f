"""What the operator records about a model's revisions, from what it sees running. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from lazaretto.api import AIIncident, Containment, ModelRevision, reasons
from lazaretto.api.meta import API_VERSION, LABEL_MODEL
from lazaretto.api.modelrevision import ModelRevisionStatus, Revocation, ServiceRecord
from lazaretto.domain.conditions import set_condition
from lazaretto.domain.digests import Resolution, Stamp, moved_text, stamp
from lazaretto.domain.identity import revision_name
from lazaretto.domain.recorded_template import Keeping
from lazaretto.domain.scene import Workload
from lazaretto.domain.soak import Sight, Soak, told
from lazaretto.domain.traffic import Traffic

LONGEST = 1024
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
    """Open incidents that name the revision or a workload that runs it, by their target or by their hold.

    The name of a workload that was rolled back stands for what it ran before.
    """
    name = revision.metadata.name
    holds = containment.spec.holds if containment else ()
    spared = {w.uid for hold in holds for w in hold.compromised if w.rolled_back}
    names = {name, *(w.name for w in workloads if w.identity == revision.spec.identity and w.uid not in spared)}
    held = {h.incident_uid for h in holds if name in h.revisions}
    found = [
        Revocation(incident=i.metadata.name, incident_uid=i.metadata.uid, category=i.spec.category)
        for i in incidents
        if i.status.times.closed_at is None
        and (i.metadata.uid in held or (i.spec.target is not None and i.spec.target.revision in names))
    ]
    return sorted(found, key=lambda r: r.incident)[:16]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a revision has shown."""

    workloads: Sequence[Workload]
    """Of the model, whatever they run."""
    revoked_by: list[Revocation]
    resolution: Resolution
    traffic: Traffic
    lacks: Sequence[str] = ()
    """What its pods need and what does not exist, if none of them runs."""

    def running(self, revision: ModelRevision) -> list[Workload]:
        """Those that run the revision."""
        return [w for w in self.workloads if w.identity == revision.spec.identity]

    def available(self, revision: ModelRevision) -> list[Workload]:
        """Those of them that serve."""
        return [w for w in self.running(revision) if w.available and w.ready > 0]

    def spoiled(self, revision: ModelRevision, *, now: datetime) -> bool:
        """Whether what it earned is about something else than what its pods run."""
        digests = stamp(revision.status, self.resolution, now=now)
        return digests.anew or bool(digests.moved) or not digests.agreed

    def sight(self, revision: ModelRevision, *, now: datetime) -> Sight:
        """What matters for the soak."""
        available, digests = self.available(revision), stamp(revision.status, self.resolution, now=now)
        return Sight(
            serves=bool(available) and not self.revoked_by and digests.agreed,
            carries=self.traffic.carries,
            # A workload that was down since we last looked starts anew, even if it is up again.
            risen=available[0].available_since or now if len(available) == 1 else None,
            anew=digests.anew,
        )


def revision_status(
    revision: ModelRevision, *, look: Look, soak: Soak, served: ServiceRecord | None, kept: Keeping, now: datetime
) -> ModelRevisionStatus:
    """The new status. What is earned counts from when it was seen, and only while nothing names the revision."""
    digests = stamp(revision.status, look.resolution, now=now)
    state, reason, message = _standing(revision, look, soak.since, digests, served)
    good = "True" if reason == "Attested" else "False" if look.revoked_by else "Unknown"
    return ModelRevisionStatus(
        observed_generation=revision.metadata.generation,
        state=state,
        workloads=[w.identified for w in look.running(revision)][:16],
        available_since=soak.since,
        soak=told(revision.status, soak, now=now),
        served=served,
        recorded=kept.recorded,
        unrecorded=kept.why_not,
        lacks=[text[:LONGEST] for text in look.lacks][:16],
        digest_confidence=digests.confidence,
        digests=digests.digests,
        moved_tags=digests.moved,
        revoked_by=look.revoked_by,
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
    revision: ModelRevision, look: Look, since: datetime | None, digests: Stamp, served: ServiceRecord | None
) -> tuple[str, str, str]:
    if look.revoked_by:
        return "Revoked", "Revoked", f"named by {', '.join(r.incident for r in look.revoked_by)}"
    if not look.available(revision) and served is not None and not any(w.replicas for w in look.running(revision)):
        text = f"out of service since {served.until:{_MOMENT}}, {served.earned_seconds} s earned before"
        return "Retired", reasons.RETIRED, text
    if not look.available(revision):
        return "Unavailable", reasons.NOT_PROVED, "no available workload runs it"
    if revision.spec.attestation is not None and not digests.moved:
        return "Attested", "Attested", f"attested by {revision.spec.attestation.by}"
    if since is None:
        soaking = "its pods do not agree"
    else:
        soaking = f"available since {since:{_MOMENT}}, {look.traffic.message}; the policy's soak time decides"
    if digests.moved:
        return reasons.TAG_MOVED, reasons.TAG_MOVED, f"{moved_text(digests.moved[0])}; {soaking}"
    return "Soaking", look.traffic.reason, soaking
