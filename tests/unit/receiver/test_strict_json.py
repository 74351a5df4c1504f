"""Documents that two JSON parsers could read differently, or that exist to cost time."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import InvalidInput
from lazaretto.receiver.strict_json import DEEPEST, parse
from tests.unit.receiver.conftest import Running
from tests.unit.receiver.payloads import alert, webhook

REFUSED = [
    (b"", "JSON"),
    (b"   ", "JSON"),
    (b"{", "JSON"),
    (b'{"a": 1} x', "JSON"),
    (b'{"a": 1}{"a": 1}', "JSON"),
    (b"{'a': 1}", "JSON"),
    (b'{"a": 1,}', "JSON"),
    (b'{"a": "line\nbreak"}', "JSON"),
    (b'{"a": 1, "a": 2}', "each key once"),
    (b'{"a": {"b": 1, "b": 1}}', "each key once"),
    (b'{"a": 1, "\\u0061": 2}', "each key once"),
    (b"[NaN]", "no such number"),
    (b"[Infinity]", "no such number"),
    (b"[-Infinity]", "no such number"),
    (b"[1e999]", "double"),
    (b"[" + b"9" * 41 + b"]", "at most 40"),
    (b"[" + b"9" * 5000 + b"]", "at most 40"),
    (b"[0." + b"9" * 5000 + b"]", "at most 40"),
    (b'["\xff"]', "UTF-8"),
    (b'["\xed\xa0\x80"]', "UTF-8"),
    (b'["\xc0\xaf"]', "UTF-8"),
    ('["x"]'.encode("utf-16"), "UTF-8"),
    ('["x"]'.encode("utf-32"), "UTF-8"),
    (b'\xef\xbb\xbf["x"]', "without one"),
    (b'["\\ud800"]', "halves"),
    (b'["\\udfff\\ud800"]', "halves"),
    (b'{"\\ud800": 1}', "halves"),
    (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "structure"),
    (b"[" * 100_000, "structure"),
    (b'{"a":' * 100_000, "structure"),
    (b"[" * 900 + b"]" * 900, "structure"),
]


@pytest.mark.parametrize(("body", "remedy"), REFUSED)
def test_refused(body: bytes, remedy: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(body)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"[]", []),
        (b' {"a": [1, 2.5, null, true, "\\u00e9\\ud83d\\ude80"]} ', {"a": [1, 2.5, None, True, "é🚀"]}),
        (b"[" * DEEPEST + b"]" * DEEPEST, json.loads("[" * DEEPEST + "]" * DEEPEST)),
        (b'{"a": {"x": 1}, "b": {"x": 1}}', {"a": {"x": 1}, "b": {"x": 1}}),
    ],
)
def test_taken(body: bytes, value: object) -> None:
    assert parse(body) == value


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_value_or_invalid_input(body: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        parse(body)


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists))
def test_what_was_dumped_is_read_back(value: object) -> None:
    try:
        assert parse(json.dumps(value).encode("utf-8", "surrogatepass")) == value
    except InvalidInput as error:
        assert "halves" in error.remedy or "levels" in error.value  # noqa: PT017  # the only two that may be generated


@pytest.mark.timeout(60)
def test_duplicates_in_a_large_object_cost_little() -> None:
    """Comparing each name with each takes many minutes, so the test's own limit is the judge."""
    pairs = b",".join(b'"k%d":1' % (n % 50_000) for n in range(100_000))
    with pytest.raises(InvalidInput):
        parse(b"{" + pairs + b"}")


@pytest.mark.parametrize(("body", "remedy"), REFUSED[::4])
async def test_over_http_it_is_400_with_field_value_remedy(one: Running, body: bytes, remedy: str) -> None:
    for path in ("/api/v1/alertmanager", "/api/v2/alerts"):
        status, answer = await one.post(body, path=path)
        assert status == 400
        assert remedy in answer["remedy"]
        assert set(answer) == {"error", "field", "value", "remedy"}


async def test_hostile_text_is_stored_clean(one: Running) -> None:
    hostile = "\x1b[31mleak\u202e\r\nforged\ud83d\ude80" + "x" * 5000
    await one.post(webhook(alert("Na\x00me", summary=hostile, team="a\nb")))
    [incident] = one.incidents()
    text = json.dumps(incident, ensure_ascii=False)
    for bad in ("\x1b", "\\u001b", "\u202e", "\\n", "\\u0000"):
        assert bad not in text
    [entry] = incident["spec"]["alerts"]
    assert entry["name"] == "Name"
    assert entry["labels"]["team"] == "a b"
    assert entry["summary"].startswith("leak forged🚀x")
    assert len(entry["summary"].encode()) == 1024
