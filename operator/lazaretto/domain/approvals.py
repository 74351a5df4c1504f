"""Which decisions of people count, and whether they suffice.

A decision counts if it names this incident's uid, and once per person. Two approvals of the
same person are one. Who the person is was checked by the API server when the decision was
created (`manifests/policies`); a decision never changes afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from lazaretto.api.aiincident import AIIncident, CountedApproval
from lazaretto.api.incidentdecision import IncidentDecision, Verb
from lazaretto.api.responsepolicy import ReleaseRule
from lazaretto.api.taxonomy import Severity

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RELEASING: tuple[Verb, ...] = ("ApproveRelease", "FalsePositive")


@dataclass(frozen=True, slots=True)
class ReleaseVerdict:
    """Who approved, how many are needed, and whether that is enough."""

    counted: tuple[CountedApproval, ...]
    required: int
    false_positive: bool
    """The majority of those who count says that nothing was wrong."""

    @property
    def granted(self) -> bool:
        """Whether the release may begin."""
        return len(self.counted) >= self.required


def relevant(decisions: Iterable[IncidentDecision], *, incident: AIIncident) -> list[IncidentDecision]:
    """Decisions about this very incident, oldest first."""
    mine = [
        d
        for d in decisions
        if d.spec.incident_name == incident.metadata.name and d.spec.incident_uid == incident.metadata.uid
    ]
    return sorted(mine, key=lambda d: (d.metadata.creation_timestamp or _EPOCH, d.metadata.name))


def count(decisions: Iterable[IncidentDecision], verbs: tuple[Verb, ...]) -> tuple[CountedApproval, ...]:
    """One entry per person who decided so, the first of each."""
    found: dict[str, CountedApproval] = {}
    for decision in decisions:
        person = decision.spec.decided_by
        if decision.spec.verb in verbs and person not in found:
            at = decision.metadata.creation_timestamp or _EPOCH
            found[person] = CountedApproval(decision=decision.metadata.name, by=person, at=at)
    return tuple(found.values())


def release_verdict(
    decisions: list[IncidentDecision], *, severity: Severity, rule: ReleaseRule, floor: int = 1
) -> ReleaseVerdict:
    """Whether people have approved the release.

    Two different people for SEV1 and SEV2, one otherwise, unless the policy says how many; never
    fewer than `floor`, which is the most that was asked for since the hold began: no edit of the
    incident or of a policy makes a release cheaper.
    """
    required = max(floor, rule.approvals or (2 if severity in ("SEV1", "SEV2") else 1))
    counted = count(decisions, RELEASING)
    dismissals = count(decisions, ("FalsePositive",))
    return ReleaseVerdict(counted, required, 2 * len(dismissals) > len(counted))
