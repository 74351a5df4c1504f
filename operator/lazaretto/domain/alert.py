"""One alert as it was received, and what its labels propose.

Labels are the sender's words. They may propose a category, a severity, a revision of the
model that they matched, and that it is a drill; they never choose a namespace, a target or
an action. A proposal that is not one of the known words counts as not made: nothing here
raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lazaretto.api.taxonomy import CATEGORIES, SEVERITIES, Category, Severity

MODEL = "ai_model"
CATEGORY = "ai_category"
SEVERITY = "ai_severity"
REVISION = "ai_revision"
DRILL = "ai_drill"

_CATEGORIES: Mapping[str, Category] = {category: category for category in CATEGORIES}
_SEVERITIES: Mapping[str, Severity] = {
    **{severity.lower(): severity for severity in SEVERITIES},
    "critical": "SEV1",
    "high": "SEV2",
    "warning": "SEV3",
    "info": "SEV4",
}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert. Text in it is as it came: compare it, but store only what `text.clean` makes of it."""

    fingerprint: str
    labels: Mapping[str, str]
    summary: str
    firing: bool
    starts_at: datetime | None
    """When it began; None when the sender does not say."""
    ends_at: datetime | None = None
    """When it ended, if it did."""


def category_of(alert: Alert) -> Category:
    """The category that the alert proposes, else Unknown."""
    return _CATEGORIES.get(alert.labels.get(CATEGORY, ""), "Unknown")


def severity_of(alert: Alert) -> Severity | None:
    """The severity that the alert proposes, as a level or as one of the customary words."""
    return _SEVERITIES.get(alert.labels.get(SEVERITY, "").lower())


def revision_of(alert: Alert) -> str | None:
    """The revision that the alert names, if it could be the name of an object."""
    name = alert.labels.get(REVISION, "")
    return name if len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) else None


def drill_of(alert: Alert) -> bool:
    """Whether the alert says that it is an exercise."""
    return alert.labels.get(DRILL) == "true"
