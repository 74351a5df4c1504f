"""Severity and priority from the four impact dimensions.

The rule takes the maximum, never the mean: a mean would hide one lethal dimension. It is
monotone (raising any dimension never lowers the severity) and total (every input has an
answer); both are property-tested. The dimensions are those of OWASP AIMA, "Incident
Management" (prioritise by user safety, data integrity, model performance, compliance).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lazaretto.api.taxonomy import SEVERITIES, Category, Impact, Priority, Severity

DIMENSIONS = ("user_safety", "data_integrity", "model_performance", "compliance")
_WEIGHTS = {"user_safety": 40, "data_integrity": 25, "compliance": 20, "model_performance": 15}

Urgency = Literal["U1", "U2", "U3"]
"""U1 active and uncontained · U2 contained, service degraded · U3 historic."""

# (user safety, data integrity, model performance, compliance) while nobody knows better.
CATEGORY_DEFAULTS: dict[Category, tuple[int, int, int, int]] = {
    "AdversarialInput": (2, 1, 2, 1),
    "AgentMisuse": (3, 2, 2, 2),
    "ArtifactTampering": (2, 4, 4, 2),
    "AvailabilityLoss": (1, 0, 3, 2),
    "BiasEmergence": (3, 0, 2, 3),
    "ContextPoisoning": (2, 3, 3, 1),
    "CostHarvesting": (0, 0, 2, 1),
    "CredentialCompromise": (1, 3, 1, 2),
    "DataLeakage": (2, 3, 1, 3),
    "DataPoisoning": (2, 3, 3, 2),
    "GuardrailFailure": (3, 2, 2, 2),
    "Hallucination": (2, 0, 2, 1),
    "IndirectPromptInjection": (2, 2, 2, 1),
    "Jailbreak": (2, 1, 1, 2),
    "ModelDrift": (1, 0, 2, 1),
    "ModelPoisoning": (3, 3, 4, 2),
    "ModelTheft": (0, 4, 0, 2),
    "OperationalFailure": (1, 0, 3, 1),
    "OutputIntegrity": (2, 2, 3, 1),
    "PolicyViolation": (1, 0, 0, 2),
    "PrivacyInference": (2, 3, 0, 3),
    "PromptInjection": (2, 1, 1, 1),
    "SupplyChainCompromise": (2, 3, 3, 2),
    "SystemPromptLeak": (0, 2, 0, 1),
    "UnsafeOutput": (3, 0, 2, 2),
    "Unknown": (2, 1, 2, 1),
}


@dataclass(frozen=True, slots=True)
class Assessment:
    """What was concluded, from which numbers, and which of them nobody stated."""

    impact: Impact
    severity: Severity
    score: int
    """0 to 100; orders incidents of one priority."""
    assumed: tuple[str, ...]
    """Dimensions (camelCase) that took the category's default."""
    aggravated: tuple[str, ...] = ()
    """What raised the severity by a level, for people."""


def merge_floors(*floors: Impact | None) -> Impact:
    """The highest stated value of every dimension."""
    names = (*DIMENSIONS, "scope_percent")
    best = {name: [v for f in floors if f is not None and (v := getattr(f, name)) is not None] for name in names}
    return Impact(**{name: max(values) for name, values in best.items() if values})


def assess(
    *,
    category: Category,
    stated: Impact | None = None,
    floor: Impact | None = None,
    hints: tuple[Severity, ...] = (),
    recurred: bool = False,
) -> Assessment:
    """Severity of an incident.

    A stated dimension counts as stated, an unknown one as the category's default; neither falls
    below `floor`. `hints` (from alerts or the creator) can only raise the result.
    """
    stated = stated or Impact()
    floor = floor or Impact()
    defaults = dict(zip(DIMENSIONS, CATEGORY_DEFAULTS[category], strict=True))
    values = {name: _known(getattr(stated, name), defaults[name]) for name in DIMENSIONS}
    values = {name: max(value, getattr(floor, name) or 0) for name, value in values.items()}
    assumed = tuple(_camel(n) for n in DIMENSIONS if getattr(stated, n) is None and values[n] == defaults[n])
    scope = max(stated.scope_percent or 0, floor.scope_percent or 0)
    aggravated = tuple(_aggravations(values, scope=scope, recurred=recurred))
    level = max(0, 4 - max(values.values()) - bool(aggravated))
    severity = min((SEVERITIES[level], *hints))
    score = sum(_WEIGHTS[name] * value for name, value in values.items()) // 4
    known_scope = scope if (stated.scope_percent, floor.scope_percent) != (None, None) else None
    return Assessment(Impact(**values, scope_percent=known_scope), severity, score, assumed, aggravated)


def _known(value: int | None, default: int) -> int:
    return default if value is None else value


def _aggravations(values: dict[str, int], *, scope: int, recurred: bool) -> Iterator[str]:
    """Each of these alone raises the severity by one level, all together by no more."""
    if sum(value >= 3 for value in values.values()) >= 2:
        yield "two dimensions at 3 or more"
    if scope > 10:
        yield f"{scope} % of users touched"
    if recurred:
        yield "recurred"


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


_PRIORITIES: dict[Severity, tuple[Priority, Priority, Priority]] = {
    "SEV1": ("P1", "P1", "P2"),
    "SEV2": ("P1", "P2", "P3"),
    "SEV3": ("P2", "P3", "P4"),
    "SEV4": ("P3", "P4", "P4"),
    "SEV5": ("P3", "P4", "P4"),
}


def priority_of(severity: Severity, *, urgency: Urgency) -> Priority:
    """How soon a person should look."""
    return _PRIORITIES[severity][int(urgency[1]) - 1]
