"""The whole way from bytes to what would be stored, for bytes that nobody thought of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.domain.intake import Create, Group, decide
from lazaretto.domain.text import LONG, clean
from lazaretto.errors import InvalidInput
from lazaretto.receiver.strict_json import parse
from lazaretto.signals.alertmanager import Batch, read_posted, read_webhook
from tests.unit.receiver.payloads import T1, T2, alert, webhook

NOW = datetime(2026, 1, 2, tzinfo=UTC)
GROUP = Group("shop", "chat", "DataLeakage")
VALID = json.dumps(webhook(alert(), alert("B", ends=T2), alert("C", ai_revision="r"))).encode()
LARGEST = 512 * 1024

_hostile = st.sampled_from(
    ["\x1b[2J", "\r\n{}", "\u202e", "\u2066", "\0", "\ud83d\ude80", "e" + "\u0301" * 50, "<script>", "{{ .X }}", "${x}"]
)
_texts = st.lists(_hostile | st.text(max_size=20), max_size=6).map("".join) | _hostile.map(lambda text: text * 500)
_names = st.sampled_from(["alertname", "namespace", "ai_model", "ai_severity", "ai_revision", "ai_drill"]) | _texts
_moments = st.sampled_from([T1, T2, "", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z"])
_alerts = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "firing", "resolved"]),
        "labels": st.dictionaries(_names, _texts, max_size=8),
        "annotations": st.dictionaries(st.just("summary") | _names, _texts, max_size=3),
        "startsAt": _moments,
        "endsAt": _moments,
        "fingerprint": _texts | st.just("0123456789abcdef"),
    }
)


def _read(body: bytes) -> Batch | None:
    """What the endpoints make of it, the first that takes it; refusals are short and printable."""
    for endpoint in ("webhook", "posted"):
        try:
            document = parse(body)
            return (
                read_webhook(document, most=100) if endpoint == "webhook" else read_posted(document, now=NOW, most=100)
            )
        except InvalidInput as error:
            told = f"{error.field} {error.value} {error.remedy}"
            assert len(told) < 1024
            assert told.isprintable()
    return None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for each in pair for text in _strings(each))
    elif isinstance(value, list):
        yield from (text for each in value for text in _strings(each))


@given(st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.binary(max_size=4), st.integers(0, 4)), max_size=8))
@settings(max_examples=300, deadline=None)
def test_a_valid_payload_with_bytes_changed_is_read_or_refused(changes: list[tuple[int, bytes, int]]) -> None:
    body = VALID
    for position, inserted, removed in changes:
        body = body[:position] + inserted + body[position + removed :]
    _stored(_read(body))


@given(st.lists(_alerts, max_size=8))
@settings(max_examples=100, deadline=None)
def test_whatever_alerts_say_what_is_stored_is_clean_and_bounded(alerts: list[dict[str, Any]]) -> None:
    body = json.dumps(webhook(*alerts)).encode("utf-8", "surrogatepass")
    _stored(_read(body))


def _stored(batch: Batch | None) -> None:
    if batch is None:
        return
    for write in decide(batch.alerts, group=GROUP, incidents=[], sender="alertmanager", now=NOW):
        assert isinstance(write, Create)
        spec = write.spec.dump()
        assert len(json.dumps(spec).encode()) < LARGEST
        assert [text for text in _strings(spec) if text != clean(text, bound=LONG)] == []
