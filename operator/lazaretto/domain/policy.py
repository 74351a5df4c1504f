"""Which ResponsePolicy answers an incident, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lazaretto.api import reasons
from lazaretto.api.aiincident import AIIncident
from lazaretto.api.protectedmodel import ProtectedModel
from lazaretto.api.responsepolicy import PolicyMatch, ResponsePolicy, ResponsePolicyStatus, TrippedLimit
from lazaretto.api.taxonomy import Severity
from lazaretto.domain.conditions import Status, set_condition
from lazaretto.domain.evidence import Finding, with_abnormal
from lazaretto.domain.limits import limited

MOST_TRIPPED = 32


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """The policy that decides; None when none matches."""

    policy: ResponsePolicy | None
    reason: str


def choose_policy(
    policies: Iterable[ResponsePolicy], *, incident: AIIncident, model: ProtectedModel, severity: Severity
) -> PolicyChoice:
    """The matching policy of the highest priority; among equals the name that sorts first."""
    matching = sorted(
        (p for p in policies if matches(p.spec.match, incident=incident, model=model, severity=severity)),
        key=lambda p: (-p.spec.priority, p.metadata.name),
    )
    if not matching:
        return PolicyChoice(None, "no ResponsePolicy of this namespace matches; nothing is done without one")
    first, *others = matching
    reason = f"priority {first.spec.priority}"
    if others:
        names = ", ".join(f"{p.metadata.name} ({p.spec.priority})" for p in others[:5])
        reason += f"; also matching, and behind it: {names}"
    else:
        reason += "; the only one that matches"
    return PolicyChoice(first, reason[:512])


def matches(match: PolicyMatch, *, incident: AIIncident, model: ProtectedModel, severity: Severity) -> bool:
    """Whether every stated criterion holds."""
    return (
        (not match.models or model.metadata.name in match.models)
        and includes(model.metadata.labels, match.model_labels)
        and (not match.categories or incident.spec.category in match.categories)
        and (not match.severities or severity in match.severities)
        and _any_alert(incident, match.alert_labels)
    )


def includes(labels: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    """Whether `labels` has every wanted label with its value."""
    return all(labels.get(key) == value for key, value in (wanted or {}).items())


def _any_alert(incident: AIIncident, wanted: Mapping[str, str] | None) -> bool:
    return not wanted or any(includes(alert.labels, wanted) for alert in incident.spec.alerts)


def review(
    policy: ResponsePolicy, *, models: Collection[str], tripped: Iterable[TrippedLimit], now: datetime
) -> ResponsePolicyStatus:
    """The standing of a policy in its namespace, whose ProtectedModels are `models`.

    `tripped` are limits that nobody has reset, as this and other objects say it.
    """
    unknown = sorted(set(policy.spec.match.models) - set(models))
    accepted: tuple[Status, str, str] = ("True", reasons.READY, "every model that it names exists")
    if unknown:
        text = f"match.models names {', '.join(unknown)}, which is no ProtectedModel of this namespace"
        accepted = ("False", reasons.MODEL_NOT_FOUND, text)
    generation = policy.metadata.generation
    conditions = set_condition(policy.status.conditions, reasons.ACCEPTED, *accepted, generation=generation, now=now)
    standing = _standing(tripped) if limited(policy.spec.limits) else []
    conditions = with_abnormal(conditions, reasons.LIMIT_REACHED, _reached(standing), generation=generation, now=now)
    return ResponsePolicyStatus(
        observed_generation=generation,
        state="Degraded" if unknown else "LimitReached" if standing else "Ready",
        conditions=conditions,
        tripped=standing,
    )


def _standing(tripped: Iterable[TrippedLimit]) -> list[TrippedLimit]:
    """One entry for each limit and sender, the first; as many as a status can hold."""
    first: dict[tuple[str, str], TrippedLimit] = {}
    for each in sorted(tripped, key=lambda t: t.at):
        first.setdefault((each.limit, each.sender), each)
    return list(first.values())[:MOST_TRIPPED]


def _reached(standing: Sequence[TrippedLimit]) -> Finding | None:
    if not standing:
        return None
    named = [f"{t.limit} for {t.sender}" if t.sender else t.limit for t in standing]
    text = f"{', '.join(named)}: no further model is held automatically until somebody decides ResetLimits"
    return Finding("True", reasons.LIMIT_REACHED, text[:1024])


def leading_policy(policies: Sequence[ResponsePolicy], *, model: ProtectedModel) -> ResponsePolicy | None:
    """The policy of the highest priority that could concern the model at all, for display and self-test."""
    concerned = [
        p
        for p in policies
        if (not p.spec.match.models or model.metadata.name in p.spec.match.models)
        and includes(model.metadata.labels, p.spec.match.model_labels)
    ]
    return min(concerned, key=lambda p: (-p.spec.priority, p.metadata.name), default=None)
