"""Which revision may serve instead: known to be good, not revoked, and running now.

A chain of pure checks; the first that fails gives the reason. Every candidate that is refused
keeps its reason, because "nothing was good" is not an answer at 3 a.m.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lazaretto.api.modelrevision import ModelRevision
from lazaretto.api.protectedmodel import ProtectedModel
from lazaretto.api.responsepolicy import KnownGoodRule
from lazaretto.domain.durations import parse_duration
from lazaretto.domain.scene import Workload


@dataclass(frozen=True, slots=True)
class KnownGoodCriteria:
    """What the policy and the model ask for."""

    require_attested: bool
    soak: timedelta
    preferred: str = ""
    """Revision that the model's owner named."""


def criteria_of(rule: KnownGoodRule, *, model: ProtectedModel) -> KnownGoodCriteria:
    """What the policy's rule and the model's owner ask for together."""
    soak = parse_duration(rule.soak, field="spec.knownGood.soak")
    return KnownGoodCriteria(rule.require_attested, soak, model.spec.known_good or "")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A workload of the model, the revision it runs, and why it may or may not serve."""

    workload: Workload
    revision: ModelRevision | None
    refused: str
    """Empty if it may serve."""
    reason: str
    """Why it counts as good."""


def judge(
    workload: Workload,
    *,
    revisions: Sequence[ModelRevision],
    revoked: Collection[str],
    criteria: KnownGoodCriteria,
    now: datetime,
) -> Candidate:
    """One workload's candidacy. `revoked` names revisions that an open incident names."""
    running = of_identity(revisions, workload.identity)
    if not running:
        return Candidate(workload, None, "its revision was never recorded", "")
    revision = running[0]
    for named in running:
        if named.metadata.name in revoked or named.status.revoked_by:
            return Candidate(workload, revision, f"revision {named.metadata.name} is named by an open incident", "")
    # Pods that are on their way out are ready to the last; a workload at zero replicas takes nothing over.
    if workload.replicas < 1 or workload.ready < 1 or not workload.available:
        return Candidate(workload, revision, f"{workload.ref} has no ready replica", "")
    refused, reason = _evidence(revision, criteria=criteria, now=now)
    return Candidate(workload, revision, refused, reason)


def of_identity(revisions: Sequence[ModelRevision], identity: str) -> list[ModelRevision]:
    """Records of one identity, attested ones first: the operator and a pipeline may each have made one."""
    found = [r for r in revisions if r.spec.identity == identity]
    return sorted(found, key=lambda r: (r.spec.attestation is None, r.metadata.name))


def _evidence(revision: ModelRevision, *, criteria: KnownGoodCriteria, now: datetime) -> tuple[str, str]:
    """(refused, reason) by attestation or by soak."""
    if revision.spec.attestation is not None:
        return "", f"attested by {revision.spec.attestation.by}"
    if criteria.require_attested:
        return "not attested, and the policy asks for it", ""
    since = revision.status.available_since
    if since is None:
        return "not attested, and not seen available", ""
    if now - since < criteria.soak:
        # No elapsed time here: the text goes into a status, which must not change by itself.
        return f"available since {since:%Y-%m-%dT%H:%M:%SZ}, short of the soak time of {_short(criteria.soak)}", ""
    return "", f"available without an incident since {since:%Y-%m-%dT%H:%M:%SZ}"


def rank(candidates: Sequence[Candidate], *, criteria: KnownGoodCriteria) -> list[Candidate]:
    """Those that may serve, best first: named by the owner, attested, longest soak, newest, by name."""

    def key(candidate: Candidate) -> tuple[bool, bool, float, str]:
        revision = candidate.revision
        assert revision is not None  # noqa: S101  # a candidate that may serve has one
        since = revision.status.available_since
        return (
            revision.metadata.name != criteria.preferred,
            revision.spec.attestation is None,
            since.timestamp() if since else float("inf"),
            candidate.workload.name,
        )

    return sorted((c for c in candidates if not c.refused), key=key)


def _short(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    return f"{minutes}m" if minutes else f"{seconds}s"
