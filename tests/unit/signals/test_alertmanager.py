"""Both shapes of posted alerts, right and wrong."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import InvalidInput
from lazaretto.receiver.strict_json import parse
from lazaretto.signals.alertmanager import fingerprint, read_posted, read_webhook

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def one_alert(**changed: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": "Leak"},
        "annotations": {"summary": "it leaks"},
        "startsAt": "2026-01-02T03:04:05.678Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://p/",
        "fingerprint": "0123456789abcdef",
        **changed,
    }


def payload(*alerts: Any, **changed: Any) -> dict[str, Any]:
    return {"version": "4", "alerts": list(alerts), **changed}


def test_the_fingerprint_is_alertmanagers() -> None:
    """Values that Alertmanager 0.34 itself gave (`tests/cluster/test_receiver.py` asks it again)."""
    assert fingerprint({}) == "cbf29ce484222325"
    assert fingerprint({"a": "b"}) != fingerprint({"ab": ""})
    assert len(fingerprint({"a": "é"})) == 16


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.678901234Z", datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)),
        ("2026-01-02T03:04:05.6+02:00", datetime(2026, 1, 2, 1, 4, 5, 600000, tzinfo=UTC)),
        ("2999-01-02T03:04:05Z", datetime(2999, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("9999-12-31T23:59:59-12:00", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("0000-01-01T00:00:00Z", None),
        ("1969-12-31T23:59:59Z", None),
        (None, None),
        ("", None),
    ],
)
def test_moments(text: str | None, expected: datetime | None) -> None:
    assert read_webhook(payload(one_alert(startsAt=text)), most=9).alerts[0].starts_at == expected


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01T00:00:00Z", "2026-01-02", "2026-01-02T03:04:05", 5, [], "٢٠٢٦-01-02T03:04:05Z"]
)
def test_moments_that_are_none(text: object) -> None:
    with pytest.raises(InvalidInput, match="startsAt"):
        read_webhook(payload(one_alert(startsAt=text)), most=9)


def test_a_webhook_alert_ends_when_its_status_says_so() -> None:
    past = "2026-01-02T04:00:00Z"
    firing, resolved = read_webhook(
        payload(one_alert(endsAt=past), one_alert(status="resolved", endsAt=past)), most=9
    ).alerts
    assert (firing.firing, firing.ends_at) == (True, None)
    assert (resolved.firing, resolved.ends_at) == (False, datetime(2026, 1, 2, 4, tzinfo=UTC))


def test_a_posted_alert_ends_when_its_end_has_passed() -> None:
    ends = ["2026-01-02T11:59:59Z", "2026-01-02T12:00:00Z", "2026-01-02T12:00:01Z", "0001-01-01T00:00:00Z", None]
    alerts = read_posted([one_alert(endsAt=end) for end in ends], now=NOW, most=9).alerts
    assert [alert.firing for alert in alerts] == [False, False, True, True, True]


def test_posted_alerts_are_identified_without_their_empty_labels() -> None:
    [full] = read_posted([one_alert(labels={"a": "b"})], now=NOW, most=9).alerts
    [empty] = read_posted([one_alert(labels={"a": "b", "c": ""})], now=NOW, most=9).alerts
    assert full.fingerprint == empty.fingerprint == fingerprint({"a": "b"})


@pytest.mark.parametrize("given_one", ["", "XYZ", "0123456789ABCDEF", "0123", "../../../etc/pass"])
def test_a_fingerprint_that_is_none_is_computed(given_one: str) -> None:
    [alert] = read_webhook(payload(one_alert(fingerprint=given_one)), most=9).alerts
    assert alert.fingerprint == fingerprint({"alertname": "Leak"})


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "body"),
        ("x", "body"),
        (None, "body"),
        ({}, "version"),
        (payload(version="3"), "version"),
        (payload(version=4), "version"),
        ({"version": "4"}, "alerts"),
        ({"version": "4", "alerts": {}}, "alerts"),
        (payload(1), "alerts[0]"),
        (payload(one_alert(), one_alert(status="pending")), "alerts[1].status"),
        (payload(one_alert(labels=[])), "alerts[0].labels"),
        (payload(one_alert(labels={"a": 1})), "alerts[0].labels.a"),
        (payload(one_alert(annotations={"summary": None})), "alerts[0].annotations.summary"),
        (payload(one_alert(fingerprint=7)), "alerts[0].fingerprint"),
        (payload(truncatedAlerts="1"), "truncatedAlerts"),
        (payload(truncatedAlerts=-1), "truncatedAlerts"),
        (payload(*[one_alert()] * 4), "alerts"),
    ],
)
def test_wrong_shapes_name_the_field(document: object, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_webhook(document, most=3)
    assert caught.value.field == field
    assert caught.value.remedy


def test_alerts_cut_off_by_the_sender_are_counted() -> None:
    assert read_webhook(payload(truncatedAlerts=7), most=3).missing == 7


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
ALMOST = st.fixed_dictionaries(
    {"version": st.just("4")},
    optional={
        "alerts": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "status": st.sampled_from(["firing", "resolved"]) | JSON,
                    "labels": st.dictionaries(st.text(), st.text(), max_size=3) | JSON,
                    "annotations": st.dictionaries(st.text(), st.text(), max_size=3) | JSON,
                    "startsAt": st.datetimes().map(lambda d: d.isoformat() + "Z") | st.text(max_size=30) | JSON,
                    "endsAt": st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z") | JSON,
                    "fingerprint": st.text(max_size=20) | JSON,
                },
            ),
            max_size=3,
        )
        | JSON,
        "truncatedAlerts": JSON,
    },
)


@given(JSON | ALMOST)
def test_any_document_is_read_or_invalid_input(document: Any) -> None:
    try:
        value = parse(json.dumps(document).encode())
    except InvalidInput:
        return
    with contextlib.suppress(InvalidInput):
        batch = read_webhook(value, most=5)
        assert all(alert.starts_at is None or alert.starts_at.year >= 1970 for alert in batch.alerts)
    with contextlib.suppress(InvalidInput):
        read_posted(value, now=NOW, most=5)


@given(ALMOST)
def test_posted_documents_too(document: Any) -> None:
    with contextlib.suppress(InvalidInput):
        read_posted(document.get("alerts", []), now=NOW, most=5)
