"""Which revision may serve instead: known to be good, not revoked, and running now, or to be had.

A chain of pure checks; the first that fails gives the reason. Every candidate that is refused
keeps its reason, because "nothing was good" is not an answer at 3 a.m.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lazaretto.api.modelrevision import ModelRevision
from lazaretto.api.protectedmodel import ProtectedModel
from lazaretto.api.reach import ReachRule
from lazaretto.api.responsepolicy import KnownGoodRule
from lazaretto.api.taxonomy import Category
from lazaretto.domain.copy_of_record import ROLE, lacking_text
from lazaretto.domain.digests import moved_text
from lazaretto.domain.durations import parse_duration
from lazaretto.domain.scene import Workload

_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


NO_CURE: frozenset[Category] = frozenset(
    {
        "AdversarialInput",
        "ContextPoisoning",
        "CostHarvesting",
        "CredentialCompromise",
        "IndirectPromptInjection",
        "ModelTheft",
        "PrivacyInference",
        "PromptInjection",
        "SystemPromptLeak",
    }
)
"""What attacks the input, the data beside the model, or its keys: another revision suffers it just as well."""


@dataclass(frozen=True, slots=True)
class KnownGoodCriteria:
    """What the policy, the model and the incident ask for."""

    require_attested: bool
    soak: timedelta
    preferred: str = ""
    """Revision that the model's owner named."""
    require_pinned: bool = False
    running_only: bool = True
    """Whether nothing is scaled up to take over."""
    uncured: str = ""
    """The incident's category, if no revision is a cure for it."""
    began: datetime | None = None
    """When the compromise is said to have begun."""
    may_copy: bool = False
    """Whether a copy may be made of what no workload runs any more."""
    rolls_back: bool = False
    """Whether the compromised workload may be given the template of what no workload runs any more."""


def criteria_of(
    rule: KnownGoodRule,
    *,
    model: ProtectedModel,
    category: Category = "Unknown",
    began: datetime | None = None,
    reach: ReachRule | None = None,
    rolls_back: bool = False,
) -> KnownGoodCriteria:
    """What the policy's rules, the model's owner and an incident of `category` ask for together."""
    return KnownGoodCriteria(
        require_attested=rule.require_attested,
        soak=parse_duration(rule.soak, field="spec.knownGood.soak"),
        preferred=model.spec.known_good or "",
        require_pinned=rule.require_pinned,
        running_only=reach is None or reach.plan == "RunningOnly",
        uncured=category if category in NO_CURE and not rule.any_category else "",
        began=began,
        may_copy=model.status.may_copy,
        rolls_back=rolls_back,
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A workload of the model, the revision it runs, and why it may or may not serve."""

    workload: Workload
    revision: ModelRevision | None
    refused: str
    """Empty if it may serve."""
    reason: str
    """Why it counts as good."""


@dataclass(frozen=True, slots=True)
class _Candidacy:
    """What the checks look at."""

    workload: Workload
    records: Sequence[ModelRevision]
    """Of what it runs, those first that somebody vouches for; not empty."""
    revoked: Collection[str]
    criteria: KnownGoodCriteria


def judge(
    workload: Workload,
    *,
    revisions: Sequence[ModelRevision],
    revoked: Collection[str],
    criteria: KnownGoodCriteria,
) -> Candidate:
    """One workload's candidacy. `revoked` names revisions that an open incident names."""
    records = of_identity(revisions, workload.identity)
    if not records:
        return Candidate(workload, None, "its revision was never recorded", "")
    candidacy = _Candidacy(workload, records, revoked, criteria)
    refused = next(filter(None, (check(candidacy) for check in _CHECKS)), "")
    return Candidate(workload, records[0], refused, "" if refused else _evidence(records[0]))


def _cured(candidacy: _Candidacy) -> str:
    uncured = candidacy.criteria.uncured
    return f"no revision is a cure for {uncured}, unless the policy's knownGood.anyCategory says so" if uncured else ""


def _named_by_nobody(candidacy: _Candidacy) -> str:
    for record in candidacy.records:
        if record.metadata.name in candidacy.revoked or record.status.revoked_by:
            return f"revision {record.metadata.name} is named by an open incident"
    return ""


def _in_service(candidacy: _Candidacy) -> str:
    workload = candidacy.workload
    if not workload.exists:
        return _copied(candidacy)
    if workload.serves or not candidacy.criteria.running_only:
        return ""
    return f"{workload.ref} has no ready replica"


def _provided_for(candidacy: _Candidacy) -> str:
    """What would keep its pods from starting, as far as it was looked for; what serves has all that it needs."""
    lacking = candidacy.records[0].status.lacks
    return lacking_text(lacking) if lacking and not candidacy.workload.serves else ""


def _copied(candidacy: _Candidacy) -> str:
    """Why what no workload runs is not brought back: its pods would be new, and load what is named by then."""
    if not (candidacy.criteria.may_copy or candidacy.criteria.rolls_back):
        return f"no workload runs it, and no copy may be made: {ROLE}"
    if candidacy.criteria.running_only:
        return "no workload runs it, and the policy's reach.plan is RunningOnly"
    unpinned = candidacy.workload.unpinned
    return (
        f"no workload runs it, and {unpinned[0]} names no digest or commit: its pods may load another"
        if unpinned
        else ""
    )


def _pinned(candidacy: _Candidacy) -> str:
    if not candidacy.criteria.require_pinned or not candidacy.workload.unpinned:
        return ""
    return f"{candidacy.workload.unpinned[0]} names no digest or commit, and the policy asks for it (requirePinned)"


def _older_than_the_compromise(candidacy: _Candidacy) -> str:
    began, seen = candidacy.criteria.began, [r.metadata.creation_timestamp for r in candidacy.records]
    named = any(r.metadata.name == candidacy.criteria.preferred for r in candidacy.records)
    first = min((moment for moment in seen if moment is not None), default=None)
    if began is None or first is None or first < began or named:
        return ""
    return f"first seen {first:{_MOMENT}}, after the compromise is said to have begun ({began:{_MOMENT}})"


def _proved(candidacy: _Candidacy) -> str:
    """Attested, or earned by soak."""
    revision, criteria = candidacy.records[0], candidacy.criteria
    if vouched(revision):
        return ""
    lacks = _lacks(revision, criteria=criteria)
    moved = next((m for record in candidacy.records for m in record.status.moved_tags), None)
    # What ran before the move may have been attested, or soaked for long. That says nothing about what runs now.
    return f"{moved_text(moved)}; {lacks}" if lacks and moved else lacks


def _lacks(revision: ModelRevision, *, criteria: KnownGoodCriteria) -> str:
    """What one that nobody vouches for lacks to have proved itself."""
    unattested = "attested before that" if revision.spec.attestation is not None else "not attested"
    if criteria.require_attested:
        return f"{unattested}, and the policy asks for it"
    since = good_since(revision)
    if since is None:
        return f"{unattested}, and not seen available"
    status = revision.status
    earned = max(record.earned_seconds if record else 0 for record in (status.soak, status.served))
    if timedelta(seconds=earned) < criteria.soak:
        # No elapsed time here: the text goes into a status, which must not change by itself.
        return f"available since {since:{_MOMENT}}, short of the soak time of {_short(criteria.soak)}"
    return ""


_CHECKS: tuple[Callable[[_Candidacy], str], ...] = (
    _named_by_nobody,
    _cured,
    _in_service,
    _provided_for,
    _pinned,
    _older_than_the_compromise,
    _proved,
)
"""In the order in which they are asked: what a person can do least about comes first."""


def vouched(revision: ModelRevision) -> bool:
    """Whether an attestation speaks for what the revision's tags stand for now."""
    return revision.spec.attestation is not None and not revision.status.moved_tags


def _evidence(revision: ModelRevision) -> str:
    if revision.spec.attestation is not None and vouched(revision):
        return f"attested by {revision.spec.attestation.by}"
    if (served := revision.status.served) is not None and revision.status.available_since is None:
        return f"served without an incident from {served.since:{_MOMENT}} to {served.until:{_MOMENT}}"
    return f"available without an incident since {revision.status.available_since:{_MOMENT}}"


def good_since(revision: ModelRevision) -> datetime | None:
    """Since when it serves without trouble, or did when it left service."""
    served = revision.status.served
    return revision.status.available_since or (served.since if served else None)


def of_identity(revisions: Sequence[ModelRevision], identity: str) -> list[ModelRevision]:
    """Records of one identity, vouched ones first: the operator and a pipeline may each have made one."""
    found = [r for r in revisions if r.spec.identity == identity]
    return sorted(found, key=lambda r: (not vouched(r), r.metadata.name))


def rank(candidates: Sequence[Candidate], *, criteria: KnownGoodCriteria) -> list[Candidate]:
    """Those that may serve, best first: ready, named by the owner, attested, available for longest, by name.

    One that is ready comes before all that would have to be brought up: those may yet not come.
    """

    def key(candidate: Candidate) -> tuple[bool, bool, bool, float, str]:
        revision = candidate.revision
        assert revision is not None  # noqa: S101  # a candidate that may serve has one
        since = good_since(revision)
        return (
            not candidate.workload.serves,
            revision.metadata.name != criteria.preferred,
            not vouched(revision),
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
