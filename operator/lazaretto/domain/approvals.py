"""Which decisions of people count, and whether they suffice.

A decision counts if it names this incident's uid, and once per person. Two approvals of the
same person are one, and whoever did not say who they are is none. Who the person is was checked
by the API server when the decision was created (`manifests/policies`); a decision never changes
afterwards.

An approval of a release counts if besides it was given while the present hold stood, is not
older than the terms allow, and does not come from somebody who asked for the containment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lazaretto.api.aiincident import AIIncident, CountedApproval
from lazaretto.api.containment import Hold
from lazaretto.api.incidentdecision import IncidentDecision, Verb
from lazaretto.api.responsepolicy import ReleaseRule
from lazaretto.api.taxonomy import Severity
from lazaretto.domain.durations import parse_duration

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RELEASING: tuple[Verb, ...] = ("ApproveRelease", "FalsePositive")
MOST_NAMED = 4
"""People whose approvals do not count and who are named in a message."""
NOBODY = frozenset({"", "system:anonymous"})
"""What an API server calls whoever did not say who they are. However many of them there are, none is a person."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How many people must approve a release, and what counts as an approval: fields of a hold."""

    approvals: int
    requester_may_approve: bool
    approvals_expire: str
    """A duration, such as `24h`."""


@dataclass(frozen=True, slots=True)
class Discounted:
    """Somebody whose approvals do not count, and why the newest of them does not."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class ReleaseVerdict:
    """Who approved, how many are needed, and whether that is enough."""

    counted: tuple[CountedApproval, ...]
    terms: Terms
    false_positive: bool
    """The majority of those who count says that nothing was wrong."""
    discounted: tuple[Discounted, ...] = ()

    @property
    def required(self) -> int:
        """Different people who must approve."""
        return self.terms.approvals

    @property
    def granted(self) -> bool:
        """Whether the release may begin."""
        return len(self.counted) >= self.required

    @property
    def reservations(self) -> str:
        """Whose approvals do not count and why, for people; empty if all do."""
        named = [f"{d.by[:64]} ({d.why})" for d in self.discounted[:MOST_NAMED]]
        more = len(self.discounted) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


def relevant(decisions: Iterable[IncidentDecision], *, incident: AIIncident) -> list[IncidentDecision]:
    """Decisions about this very incident, oldest first."""
    mine = [
        d
        for d in decisions
        if d.spec.incident_name == incident.metadata.name and d.spec.incident_uid == incident.metadata.uid
    ]
    return sorted(mine, key=lambda d: (_made_at(d), d.metadata.name))


def is_somebody(decision: IncidentDecision) -> bool:
    """Whether a person, or an account, made the decision."""
    return decision.spec.decided_by.strip() not in NOBODY


def count(decisions: Iterable[IncidentDecision], verbs: tuple[Verb, ...]) -> tuple[CountedApproval, ...]:
    """One entry per person who decided so, the first of each."""
    found: dict[str, CountedApproval] = {}
    for decision in decisions:
        person = decision.spec.decided_by
        if decision.spec.verb in verbs and person not in found and is_somebody(decision):
            found[person] = CountedApproval(decision=decision.metadata.name, by=person, at=_made_at(decision))
    return tuple(found.values())


def terms_of(rule: ReleaseRule, *, severity: Severity, hold: Hold | None = None) -> Terms:
    """What a release needs: what the policy says, and never less than the hold has recorded.

    The hold has the strictest terms since it began: no edit of the incident or of a policy makes
    a release cheaper. Where the policy is silent, SEV1 and SEV2 take two people, neither of whom
    asked for the containment.
    """
    grave = severity in ("SEV1", "SEV2")
    required = rule.approvals or (2 if grave else 1)
    may_approve = rule.requester_may_approve if rule.requester_may_approve is not None else not grave
    if hold is None:
        return Terms(required, may_approve, rule.approvals_expire)
    return Terms(
        max(required, hold.approvals),
        may_approve and hold.requester_may_approve,
        min(hold.approvals_expire, rule.approvals_expire, key=_lifetime),
    )


def release_verdict(
    decisions: list[IncidentDecision], *, terms: Terms, hold: Hold | None = None, now: datetime
) -> ReleaseVerdict:
    """Whether people have approved the release of `hold`, or the end of an incident that has none.

    `decisions` are those that are `relevant`. What has expired counts on for a release that has
    begun: it is told whose it was.
    """
    valid, discounted = [], {}
    requesters = () if terms.requester_may_approve else {a.by for a in count(decisions, ("ApproveContainment",))}
    for decision in decisions:
        if decision.spec.verb not in RELEASING:
            continue
        why = _objection(decision, requesters=requesters, terms=terms, hold=hold, now=now)
        if why:
            discounted[decision.spec.decided_by] = why
        else:
            valid.append(decision)
    counted = count(valid, RELEASING)
    dismissals = count(valid, ("FalsePositive",))
    counting = {approval.by for approval in counted}
    told = tuple(Discounted(by, why) for by, why in discounted.items() if by not in counting)
    return ReleaseVerdict(counted, terms, 2 * len(dismissals) > len(counted), told)


def _objection(
    decision: IncidentDecision, *, requesters: Collection[str], terms: Terms, hold: Hold | None, now: datetime
) -> str:
    """Why an approval does not count; empty if it does."""
    if not is_somebody(decision):
        return "nobody who said who they are"
    if decision.spec.decided_by in requesters:
        return "approved the containment"
    made = _made_at(decision)
    # The API server cuts the time of creation down to its second. Within the second in which the hold began it
    # cannot be told which came first, so that does not count; an approval can be given again.
    if hold is not None and made < hold.since:
        return "before the containment began, or in the same second"
    begun = hold is not None and hold.releasing
    if not begun and now - made > _lifetime(terms.approvals_expire):
        return f"expired: older than {terms.approvals_expire}"
    return ""


def _made_at(decision: IncidentDecision) -> datetime:
    return decision.metadata.creation_timestamp or _EPOCH


def _lifetime(text: str) -> timedelta:
    return parse_duration(text, field="approvalsExpire")
