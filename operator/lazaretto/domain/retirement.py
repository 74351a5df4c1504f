"""What a revision keeps of its soak when it leaves service, and which records are kept at all. Pure.

A revision that was scaled to zero or replaced while it served, and that nobody named, has not become worse by that. One
that failed has: what it earned is gone, as it is when an incident names it or its tag moved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from lazaretto.api.containment import Containment
from lazaretto.api.meta import LABEL_MODEL
from lazaretto.api.modelrevision import ModelRevision, ModelRevisionStatus, ServiceRecord
from lazaretto.domain.identity import revision_name
from lazaretto.domain.scene import Workload
from lazaretto.domain.soak import LONGEST_GAP, Soak

MOST_RECORDS = 10
"""Records of one model that the operator keeps, beside those that it must not remove."""


def served(
    status: ModelRevisionStatus,
    *,
    remembered: Soak | None,
    running: Sequence[Workload],
    serves: bool,
    spoiled: bool,
    now: datetime,
    steady: float,
) -> ServiceRecord | None:
    """What the revision has earned in service that is over.

    `remembered` is what this process knew at its last look, `running` are workloads with the revision's template,
    `spoiled` says that an incident names it, or that its pods are not what they were.
    """
    if spoiled:
        return None
    if serves:
        return status.served
    was_up = status.available_since is not None or (remembered is not None and remembered.since is not None)
    if not was_up:
        # It was out of service before, or has yet to start; both say nothing about what it was.
        return status.served
    if remembered is None or remembered.since is None or not _seen_lately(remembered, steady):
        return None
    if any(_ended_otherwise(w, since=remembered.since) for w in running):
        return None
    before = status.served.earned_seconds if status.served else 0
    stored = status.soak.earned_seconds if status.soak and status.available_since == remembered.since else 0
    earned = max(int(remembered.earned), stored, before)
    return ServiceRecord(earned_seconds=earned, since=remembered.since, until=now)


def _seen_lately(remembered: Soak, steady: float) -> bool:
    return remembered.looked is not None and 0 <= steady - remembered.looked <= LONGEST_GAP


def _ended_otherwise(workload: Workload, *, since: datetime) -> bool:
    """Whether it should run and does not, or had become unavailable before it was scaled to zero."""
    broke = workload.available_since is not None and workload.available_since > since
    return workload.replicas > 0 or not workload.available or broke


def surplus(
    revisions: Sequence[ModelRevision],
    *,
    workloads: Iterable[Workload],
    containment: Containment | None,
    keep: Collection[str],
) -> list[ModelRevision]:
    """Records that are not needed any more: the operator's own, those first that earned nothing, then the oldest.

    Never one that somebody attested, that a workload runs, that an incident or a containment names, or that is among
    `keep`; nor the one that has earned most.
    """
    run = {w.identity for w in workloads}
    needed = {*keep, *_named(containment)}
    best = max(revisions, key=_earned, default=None)
    spare = [
        r
        for r in revisions
        if r.metadata.name not in needed
        and r.spec.identity not in run
        and r.spec.attestation is None
        and not r.status.revoked_by
        and (r is not best or not _earned(r))
        and _is_ours(r)
    ]
    spare.sort(key=lambda r: (r.status.served is not None, _last_seen(r), r.metadata.name))
    return spare[: max(0, len(spare) - MOST_RECORDS)]


def _is_ours(revision: ModelRevision) -> bool:
    meta, spec = revision.metadata, revision.spec
    return meta.name == revision_name(spec.model, spec.identity) and meta.labels.get(LABEL_MODEL) == spec.model


def _named(containment: Containment | None) -> set[str]:
    if containment is None:
        return set()
    spec = containment.spec
    names = {name for hold in spec.holds for name in hold.revisions}
    names |= {hold.known_good.revision for hold in spec.holds if hold.known_good}
    names |= {hold.rollback.revision for hold in spec.holds if hold.rollback}
    return names | {hold.awaits.revision for hold in spec.holds if hold.awaits} | {c.revision for c in spec.copies}


def _earned(revision: ModelRevision) -> int:
    return revision.status.served.earned_seconds if revision.status.served else 0


def _last_seen(revision: ModelRevision) -> float:
    ended = revision.status.served.until if revision.status.served else None
    moment = ended or revision.metadata.creation_timestamp
    return moment.timestamp() if moment else 0.0
