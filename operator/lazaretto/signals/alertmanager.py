"""Reads alerts in the three shapes in which they come.

`read_webhook` takes what Alertmanager sends to a webhook (payload version 4), `read_posted`
what Prometheus sends to an Alertmanager (`POST /api/v2/alerts`), `read_listed` what an
Alertmanager answers when it is asked (`GET /api/v2/alerts`). All take the parsed JSON
and return alerts whose text is as it came: compared with, never stored before cleaning. A
document of another shape raises `InvalidInput` naming the first field that is wrong; odd
content in the right shape, such as a moment before the epoch, is taken as not stated,
because refusing a request loses every alert in it. Moments are cut to milliseconds, which is
what Alertmanager's API states: an alert must begin at the same moment whichever way it comes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lazaretto.domain.alert import Alert
from lazaretto.errors import InvalidInput

WEBHOOK_VERSION = "4"

_OFFSET_BASIS = 14695981039346656037
_PRIME = 1099511628211
_SIXTY_FOUR_BITS = (1 << 64) - 1
_SEPARATOR = b"\xff"  # never part of UTF-8, so names and values cannot run into each other

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Batch:
    """The alerts of one request. `missing` were cut off by the sender."""

    alerts: tuple[Alert, ...]
    missing: int = 0


def read_webhook(document: object, *, most: int) -> Batch:
    """The alerts of an Alertmanager webhook payload."""
    body = _mapping(document, field="body")
    version = body.get("version")
    if version != WEBHOOK_VERSION:
        raise InvalidInput("version", version, 'send Alertmanager\'s own payload, which has "version": "4"')
    missing = body.get("truncatedAlerts", 0)
    if not isinstance(missing, int) or isinstance(missing, bool) or missing < 0:
        raise InvalidInput("truncatedAlerts", missing, "send a count, 0 or more")
    items = _sequence(body.get("alerts"), field="alerts", most=most)
    return Batch(tuple(_webhook_alert(item, field=f"alerts[{i}]") for i, item in enumerate(items)), missing)


def read_posted(document: object, *, now: datetime, most: int) -> Batch:
    """The alerts of a `POST /api/v2/alerts`. One whose `endsAt` lies before `now` has resolved."""
    items = _sequence(document, field="body", most=most)
    return Batch(tuple(_posted_alert(item, field=f"body[{i}]", now=now) for i, item in enumerate(items)))


def read_listed(document: object, *, most: int) -> Batch:
    """The alerts that fire, of the answer to a `GET /api/v2/alerts`; silenced and inhibited ones are left out."""
    items = _sequence(document, field="answer", most=most)
    read = (_listed_alert(item, field=f"answer[{i}]") for i, item in enumerate(items))
    return Batch(tuple(alert for alert in read if alert.firing))


def fingerprint(labels: Mapping[str, str]) -> str:
    """Alertmanager's fingerprint of a label set: FNV-1a (64 bits) over sorted names and values, as 16 hex digits."""
    value = _OFFSET_BASIS
    for name in sorted(labels):
        for byte in b"".join((name.encode(), _SEPARATOR, labels[name].encode(), _SEPARATOR)):
            value = ((value ^ byte) * _PRIME) & _SIXTY_FOUR_BITS
    return f"{value:016x}"


def _webhook_alert(item: object, *, field: str) -> Alert:
    alert = _mapping(item, field=field)
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        raise InvalidInput(f"{field}.status", status, "send firing or resolved")
    labels = _texts(alert.get("labels"), field=f"{field}.labels")
    given = alert.get("fingerprint", "")
    if not isinstance(given, str):
        raise InvalidInput(f"{field}.fingerprint", given, "send a string, or leave it out")
    return Alert(
        fingerprint=given if _FINGERPRINT.fullmatch(given) else fingerprint(labels),
        labels=labels,
        summary=_summary(alert, field=field),
        firing=status == "firing",
        starts_at=_moment(alert.get("startsAt"), field=f"{field}.startsAt"),
        ends_at=_moment(alert.get("endsAt"), field=f"{field}.endsAt") if status == "resolved" else None,
    )


def _posted_alert(item: object, *, field: str, now: datetime) -> Alert:
    alert = _mapping(item, field=field)
    # Alertmanager drops empty labels before it identifies an alert.
    labels = {k: v for k, v in _texts(alert.get("labels"), field=f"{field}.labels").items() if v}
    ends_at = _moment(alert.get("endsAt"), field=f"{field}.endsAt")
    firing = ends_at is None or ends_at > now
    return Alert(
        fingerprint=fingerprint(labels),
        labels=labels,
        summary=_summary(alert, field=field),
        firing=firing,
        starts_at=_moment(alert.get("startsAt"), field=f"{field}.startsAt"),
        ends_at=None if firing else ends_at,
    )


def _listed_alert(item: object, *, field: str) -> Alert:
    alert = _mapping(item, field=field)
    labels = _texts(alert.get("labels"), field=f"{field}.labels")
    return Alert(
        fingerprint=fingerprint(labels),
        labels=labels,
        summary=_summary(alert, field=field),
        firing=_mapping(alert.get("status"), field=f"{field}.status").get("state") == "active",
        starts_at=_moment(alert.get("startsAt"), field=f"{field}.startsAt"),
        ends_at=None,
    )


def _summary(alert: Mapping[str, Any], *, field: str) -> str:
    return _texts(alert.get("annotations"), field=f"{field}.annotations").get("summary", "")


def _mapping(value: object, *, field: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(field, value, "send a JSON object")
    return value


def _sequence(value: object, *, field: str, most: int) -> Sequence[object]:
    if not isinstance(value, list):
        raise InvalidInput(field, value, "send a JSON list of alerts")
    if len(value) > most:
        raise InvalidInput(field, len(value), f"send at most {most} alerts at once")
    return value


def _texts(value: object, *, field: str) -> Mapping[str, str]:
    texts = {} if value is None else _mapping(value, field=field)
    for name, text in texts.items():
        if not isinstance(text, str):
            raise InvalidInput(f"{field}.{name}"[:200], text, "send a string")
    return texts


def _moment(value: object, *, field: str) -> datetime | None:
    """The moment in UTC, to the millisecond; None for an absent one and for one that means so (year 1)."""
    if value is None or value == "":
        return None
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidInput(field, value, "send a moment such as 2026-01-02T03:04:05.678Z")
    whole, fraction, zone = found.groups()
    if whole.startswith("0000"):
        return None  # a year that Go knows and Python does not
    try:
        moment = datetime.fromisoformat(f"{whole}.{(fraction or '')[:3]:0<3}{zone.upper()}")
        moment = moment.astimezone(UTC)
    except OverflowError:
        return None if whole.startswith("0001") else _LATEST
    except ValueError as error:
        raise InvalidInput(field, value, "send a moment that exists") from error
    return moment if moment >= _EPOCH else None
