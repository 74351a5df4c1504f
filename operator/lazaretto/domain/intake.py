"""Alerts in, writes out: what an alert means for the incidents that a model already has.

Senders repeat themselves, contradict each other, come late and come twice, so an alert is
known by its fingerprint and the moment it began, and only news is written. Callers may rely
on this: the same alerts in any order, any number of times, lead to one open incident per
model and category with one entry per fingerprint; an alert that was recorded once creates
nothing again, however the incident ended; `resolved` is noted and releases nothing; and
there is at most one write per incident, none when nothing is new. Everything is decided from
the arguments, and nothing raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from lazaretto.api.aiincident import AIIncidentSpec, AlertEntry, IncidentSource, IncidentTarget
from lazaretto.api.meta import LABEL_CATEGORY, LABEL_MODEL, rfc3339
from lazaretto.api.taxonomy import Category
from lazaretto.domain.alert import Alert, drill_of, revision_of, severity_of
from lazaretto.domain.text import LONG, SHORT, clean, clean_labels

MOST_ALERTS = 64
UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True)
class KnownEntry:
    """One entry of `spec.alerts` of a stored incident."""

    fingerprint: str
    starts_at: datetime
    last_starts_at: datetime | None = None
    resolved_at: datetime | None = None
    firings: int = 1

    @property
    def latest(self) -> datetime:
        """When the alert began to fire last."""
        return self.last_starts_at or self.starts_at


@dataclass(frozen=True, slots=True)
class KnownIncident:
    """A stored incident, as far as intake cares. `model` is empty for one without a target."""

    namespace: str
    name: str
    version: str
    model: str
    category: str
    open: bool
    ended_at: datetime | None = None
    drill: bool = False
    truncated: bool = False
    entries: tuple[KnownEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """What one incident stands for: a model of a namespace and a category. No model: unmatched."""

    namespace: str
    model: str
    category: Category

    @property
    def prefix(self) -> str:
        """First part of the incidents' names."""
        return self.model or UNMATCHED


@dataclass(frozen=True, slots=True)
class Create:
    """Store a new incident."""

    name: str
    number: int
    spec: AIIncidentSpec
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Append:
    """Patch a stored incident; the first operation tests that it is the one that was read."""

    name: str
    operations: tuple[Mapping[str, Any], ...]


Write: TypeAlias = Create | Append


def decide(
    alerts: Iterable[Alert],
    *,
    group: Group,
    incidents: Sequence[KnownIncident],
    sender: str,
    now: datetime,
    above: int = 0,
) -> tuple[Write, ...]:
    """The writes that make `alerts` part of the group's incidents; none when nothing is new.

    `incidents` are all of the model, whatever their category: their names share one sequence
    of numbers. `above` skips numbers that somebody else's incident has taken.
    """
    ordered = sorted(alerts, key=lambda a: (a.starts_at or now, not a.firing))
    drafts = _drafts(incidents, group=group, fingerprints={alert.fingerprint for alert in ordered})
    for alert in ordered:
        _fold(alert, drafts=drafts, now=now)
    number = 1 + max([above, *(_number(i.name, prefix=group.prefix) for i in incidents)])
    writes = (_write(draft, group=group, number=number, sender=sender, now=now) for draft in drafts)
    return tuple(write for write in writes if write is not None)


@dataclass(slots=True)
class _Row:
    """An entry while it is decided: `stored` as it was read, or `alert` for a new one."""

    starts_at: datetime
    stored: KnownEntry | None = None
    alert: Alert | None = None
    last_starts_at: datetime | None = None
    resolved_at: datetime | None = None
    firings: int = 1

    @property
    def latest(self) -> datetime:
        return self.last_starts_at or self.starts_at


@dataclass(slots=True)
class _Draft:
    """An incident while it is decided; `stored` is None for a new one."""

    stored: KnownIncident | None
    truncated: bool = False
    rows: dict[str, _Row] = field(default_factory=dict)
    real: bool = False

    @classmethod
    def of(cls, incident: KnownIncident) -> _Draft:
        rows = {
            e.fingerprint: _Row(e.starts_at, e, None, e.last_starts_at, e.resolved_at, e.firings)
            for e in incident.entries
        }
        return cls(incident, incident.truncated, rows)

    @property
    def open(self) -> bool:
        return self.stored is None or self.stored.open


def _drafts(incidents: Iterable[KnownIncident], *, group: Group, fingerprints: Set[str]) -> list[_Draft]:
    """The incidents that may have a say, open ones first: old ones that share no alert are many, and have none."""
    concerned = (
        incident
        for incident in incidents
        if incident.category == group.category
        and (incident.open or incident.truncated or any(e.fingerprint in fingerprints for e in incident.entries))
    )
    return [_Draft.of(incident) for incident in sorted(concerned, key=lambda i: (not i.open, i.name))]


def _fold(alert: Alert, *, drafts: list[_Draft], now: datetime) -> None:
    """Work one alert into the drafts, open ones first among them."""
    if _is_known(alert, drafts=drafts, now=now):
        return
    running = [draft for draft in drafts if draft.open]
    current = next((draft for draft in running if alert.fingerprint in draft.rows), running[0] if running else None)
    row = current.rows.get(alert.fingerprint) if current else None
    start = alert.starts_at or now
    if row is not None:
        row.last_starts_at, row.firings, row.resolved_at = start, row.firings + 1, _end(alert, start=start, now=now)
    elif not alert.firing:
        return
    elif current is None:
        fresh = _Draft(None)
        fresh.rows[alert.fingerprint] = _Row(start, alert=alert)
        drafts.insert(0, fresh)
    elif len(current.rows) < MOST_ALERTS:
        current.rows[alert.fingerprint] = _Row(start, alert=alert)
    else:
        current.truncated = True
    if current is not None and not drill_of(alert):
        current.real = True


def _is_known(alert: Alert, *, drafts: Sequence[_Draft], now: datetime) -> bool:
    """Whether the alert is recorded already; notes its resolve where that is news."""
    known = False
    for draft in drafts:
        row = draft.rows.get(alert.fingerprint)
        if row is None:
            known = known or _counted(alert, draft=draft)
        elif _covers(row, alert=alert, draft=draft, now=now):
            known = True
            if not alert.firing and row.resolved_at is None and alert.starts_at in (row.latest, None):
                row.resolved_at = _end(alert, start=row.latest, now=now)
    return known


def _covers(row: _Row, *, alert: Alert, draft: _Draft, now: datetime) -> bool:
    start = alert.starts_at
    if start is None:
        # Without a beginning there is no telling a repeat from news; the open incident's own entry decides.
        return draft.open and (row.resolved_at is None or not alert.firing)
    if start in (row.starts_at, row.latest):
        return True
    # A beginning in the future must not make every later alert of that fingerprint look old.
    return start <= row.latest and (draft.open or row.latest <= now)


def _counted(alert: Alert, *, draft: _Draft) -> bool:
    """Whether an ended incident whose list was full stands for the alert as well: it began before the end."""
    stored = draft.stored
    if stored is None or stored.open or not stored.truncated:
        return False
    return alert.starts_at is not None and stored.ended_at is not None and alert.starts_at <= stored.ended_at


def _end(alert: Alert, *, start: datetime, now: datetime) -> datetime | None:
    return None if alert.firing else max(alert.ends_at or now, start)


def _write(draft: _Draft, *, group: Group, number: int, sender: str, now: datetime) -> Write | None:
    if draft.stored is None:
        return _creation(draft, group=group, number=number, sender=sender, now=now)
    operations = [*_updates(draft), *_additions(draft, now=now), *_flags(draft, stored=draft.stored)]
    if not operations:
        return None
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": draft.stored.version}
    return Append(draft.stored.name, (guard, *operations))


def _creation(draft: _Draft, *, group: Group, number: int, sender: str, now: datetime) -> Create:
    alerts = [row.alert for row in draft.rows.values() if row.alert is not None]
    entries = [_entry(row, now=now) for row in draft.rows.values()]
    revisions = {revision_of(alert) for alert in alerts}
    target = None
    if group.model:
        # Alerts that disagree, one that names no revision included, mean the model as a whole.
        target = IncidentTarget(model=group.model, revision=revisions.pop() if len(revisions) == 1 else None)
    spec = AIIncidentSpec(
        source=IncidentSource(type="Alert", sender=clean(sender, bound=SHORT)),
        target=target,
        category=group.category,
        summary=entries[0].summary or entries[0].name,
        drill=all(drill_of(alert) for alert in alerts),
        alerts=entries,
        alerts_truncated=draft.truncated,
    )
    labels = {LABEL_CATEGORY: group.category, **({LABEL_MODEL: group.model} if group.model else {})}
    return Create(f"{group.prefix}-{number}", number, spec, labels)


def _entry(row: _Row, *, now: datetime) -> AlertEntry:
    alert = row.alert
    if alert is None:
        raise ValueError("only new rows become entries")
    return AlertEntry(
        fingerprint=alert.fingerprint,
        name=clean(alert.labels.get("alertname", ""), bound=SHORT),
        labels=clean_labels(alert.labels),
        summary=clean(alert.summary, bound=LONG),
        severity_hint=severity_of(alert),
        starts_at=row.starts_at,
        last_starts_at=row.last_starts_at,
        resolved_at=row.resolved_at,
        firings=row.firings,
        received_at=now,
    )


def _updates(draft: _Draft) -> Iterable[dict[str, Any]]:
    for index, row in enumerate(draft.rows.values()):
        stored, path = row.stored, f"/spec/alerts/{index}"
        if stored is None:
            continue
        if row.last_starts_at is not None and row.last_starts_at != stored.last_starts_at:
            yield {"op": "add", "path": f"{path}/lastStartsAt", "value": rfc3339(row.last_starts_at)}
        if row.firings != stored.firings:
            yield {"op": "add", "path": f"{path}/firings", "value": row.firings}
        if row.resolved_at == stored.resolved_at:
            continue
        if row.resolved_at is None:
            yield {"op": "remove", "path": f"{path}/resolvedAt"}
        else:
            yield {"op": "add", "path": f"{path}/resolvedAt", "value": rfc3339(row.resolved_at)}


def _additions(draft: _Draft, *, now: datetime) -> Iterable[dict[str, Any]]:
    fresh = [_entry(row, now=now).dump() for row in draft.rows.values() if row.stored is None]
    if fresh and len(fresh) == len(draft.rows):
        yield {"op": "add", "path": "/spec/alerts", "value": fresh}
    else:
        yield from ({"op": "add", "path": "/spec/alerts/-", "value": entry} for entry in fresh)


def _flags(draft: _Draft, *, stored: KnownIncident) -> Iterable[dict[str, Any]]:
    if draft.truncated and not stored.truncated:
        yield {"op": "add", "path": "/spec/alertsTruncated", "value": True}
    if draft.real and stored.drill:
        # A real alert has met an exercise: from here on it counts.
        yield {"op": "add", "path": "/spec/drill", "value": False}


def _number(name: str, *, prefix: str) -> int:
    digits = name.removeprefix(f"{prefix}-")
    return int(digits) if digits != name and digits.isascii() and digits.isdigit() and len(digits) < 10 else 0
