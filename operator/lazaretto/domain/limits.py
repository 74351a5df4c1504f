"""Whether one more model may be held without asking a person. Pure.

A limit that has tripped stays so until a person resets it: whoever floods a namespace with alerts
must not gain by waiting. That it tripped is stored twice, with the policy and with each incident
that was stopped, so that deleting one of them does not undo it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lazaretto.api.aiincident import AIIncident, LimitStop
from lazaretto.api.incidentdecision import Backlog, IncidentDecision
from lazaretto.api.responsepolicy import Limits, TrippedLimit
from lazaretto.api.taxonomy import Severity
from lazaretto.domain.approvals import is_somebody
from lazaretto.domain.durations import parse_duration

HOUR = timedelta(hours=1)
OTHERS = "people and tools"
"""The sender of whatever did not come through the receiver, which alone authenticates senders."""
PER_SENDER = "perSenderPerHour"
COOL_DOWN = "coolDown"
_TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Beginning:
    """The containment of one incident, which began."""

    sender: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Reset:
    """A person's word that automatic containment may go on."""

    at: datetime
    by: str
    backlog: Backlog


@dataclass(frozen=True, slots=True)
class Usage:
    """What a namespace's limits are measured against."""

    held: Collection[str] = ()
    """Models that are held, or about to be."""
    models: int = 0
    """ProtectedModels."""
    begun: Sequence[Beginning] = ()
    """Containments that began within the last hour, one for each incident."""
    tripped: Sequence[TrippedLimit] = ()
    """Limits that tripped at any time."""
    reset: Reset | None = None
    """The newest."""

    def standing(self, sender: str) -> TrippedLimit | None:
        """The first tripped limit that stops incidents of `sender` and was not reset."""
        found = [t for t in unreset(self.tripped, reset=self.reset) if t.sender in ("", sender)]
        return min(found, key=lambda t: t.at, default=None)


NOTHING_USED = Usage()


@dataclass(frozen=True, slots=True)
class Question:
    """Which incident asks for a place."""

    incident: AIIncident
    model: str
    severity: Severity
    released_at: datetime | None
    """When the model was released last."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Stop:
    """Why an incident may not be contained without a person, and what to do about it."""

    text: str
    record: LimitStop | None
    """None: it concerns this incident alone, and trips nothing."""


def sender_of(incident: AIIncident) -> str:
    """Whom an incident counts for."""
    source = incident.spec.source
    return source.sender if source.type == "Alert" else OTHERS


def newest_reset(decisions: Iterable[IncidentDecision]) -> Reset | None:
    """The newest ResetLimits among the decisions of a namespace."""
    found = [
        Reset(d.metadata.creation_timestamp or _EPOCH, d.spec.decided_by, d.spec.backlog)
        for d in decisions
        if d.spec.verb == "ResetLimits" and d.spec.backlog is not None and is_somebody(d)
    ]
    return max(found, key=lambda r: r.at, default=None)


def unreset(tripped: Iterable[TrippedLimit], *, reset: Reset | None) -> list[TrippedLimit]:
    """Limits that tripped after the newest reset."""
    return [t for t in tripped if reset is None or t.at > reset.at]


def trip_of(incident: AIIncident) -> TrippedLimit | None:
    """The limit that an open incident says has tripped."""
    stop = incident.status.limited
    if stop is None or not stop.limit or incident.status.times.closed_at is not None:
        return None
    return TrippedLimit(limit=stop.limit, sender=sender_of(incident) if stop.limit == PER_SENDER else "", at=stop.at)


def limited(limits: Limits) -> bool:
    """Whether there is any limit."""
    return limits.model_copy(update={"sev1_passes": False}) != Limits()


def stop(limits: Limits, *, question: Question, usage: Usage) -> Stop | None:
    """What keeps the model from being held; None if nothing does."""
    passes = limits.sev1_passes and question.severity == "SEV1"
    if passes or question.model in usage.held or not limited(limits):
        return None
    reset, before = usage.reset, question.incident.status.limited
    kept = before
    if before is not None and reset is not None and before.at <= reset.at:
        if reset.backlog == "Leave":
            return Stop(f"{reset.by} left what limits had stopped to single approvals", before)
        kept = None
    for name, check in _LIMITS.items():
        if text := check(limits, question, usage):
            same = kept if kept is not None and kept.limit == name else None
            return Stop(f"limit {name}: {text}", same or LimitStop(limit=name, at=_now(question, reset)))
    standing = usage.standing(sender_of(question.incident))
    if standing is not None:
        text = f"limit {standing.limit} tripped at {standing.at:%Y-%m-%dT%H:%M:%SZ} and was not reset"
        return Stop(text, kept or LimitStop(limit="", at=_now(question, reset)))
    return _cooling(limits, question)


def _now(question: Question, reset: Reset | None) -> datetime:
    """After the reset that is known of, also where our clock is behind the API server's, which dated it."""
    return question.now if reset is None else max(question.now, reset.at + _TICK)


def _concurrent(limits: Limits, question: Question, usage: Usage) -> str:
    most = limits.concurrent_models
    return f"{len(usage.held)} of {most} models are held" if most is not None and len(usage.held) >= most else ""


def _percent(limits: Limits, question: Question, usage: Usage) -> str:
    if limits.percent_of_models is None:
        return ""
    most = max(1, usage.models * limits.percent_of_models // 100)
    if len(usage.held) < most:
        return ""
    return f"{len(usage.held)} of {usage.models} models are held, and {limits.percent_of_models} % may be"


def _hourly(limits: Limits, question: Question, usage: Usage) -> str:
    found, most = _recent(usage.begun, now=question.now), limits.per_hour
    if most is None or len(found) < most:
        return ""
    return f"{len(found)} containments of {most} began within an hour"


def _hourly_of_sender(limits: Limits, question: Question, usage: Usage) -> str:
    sender, most = sender_of(question.incident), limits.per_sender_per_hour
    found = [b for b in _recent(usage.begun, now=question.now) if b.sender == sender]
    if most is None or len(found) < most:
        return ""
    return f"{len(found)} containments of {most} began within an hour for incidents of {sender or 'an unnamed sender'}"


_LIMITS: dict[str, Callable[[Limits, Question, Usage], str]] = {
    "concurrentModels": _concurrent,
    "percentOfModels": _percent,
    "perHour": _hourly,
    PER_SENDER: _hourly_of_sender,
}
"""Each with what it has to say once it is reached; those that stop everybody come first."""


def _cooling(limits: Limits, question: Question) -> Stop | None:
    if limits.cool_down is None or question.released_at is None:
        return None
    until = question.released_at + parse_duration(limits.cool_down, field="spec.limits.coolDown")
    if question.now >= until:
        return None
    return Stop(f"limit {COOL_DOWN}: the model was released at {question.released_at:%Y-%m-%dT%H:%M:%SZ}", None)


def _recent(begun: Sequence[Beginning], *, now: datetime) -> list[Beginning]:
    return [b for b in begun if now - b.at < HOUR]
