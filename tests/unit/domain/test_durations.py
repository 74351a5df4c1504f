"""Durations: what people may write, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lazaretto.api.meta import Duration
from lazaretto.api.responsepolicy import KnownGoodRule
from lazaretto.domain.durations import parse_duration
from lazaretto.errors import InvalidInput

FIELD = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", timedelta(hours=24)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("45s", timedelta(seconds=45)),
        ("2h5s", timedelta(hours=2, seconds=5)),
        ("90m", timedelta(minutes=90)),
        ("1h90m100s", timedelta(hours=2, minutes=31, seconds=40)),
        ("0s", timedelta(0)),
        ("007m", timedelta(minutes=7)),
        ("99999h99999m", timedelta(hours=99999, minutes=99999)),
        ("999999s", timedelta(seconds=999999)),
    ],
)
def test_hours_minutes_and_seconds(text: str, expected: timedelta) -> None:
    assert parse_duration(text, field="soak") == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "h", "24", "24 h", " 24h", "24h ", "24h\n", "24H", "1d", "1w", "1y", "100ms", "1.5h", "-1h", "+1h"),
        *("30m1h", "5s1m", "1h1h", "1h,30m", "1e3s", "100000h", "100000m", "1000000s", "0x1h", "PT1H", "forever"),
        *("１h", "٣h", "²h"),
    ],
)
def test_anything_else_is_refused_with_the_field_the_value_and_the_remedy(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_duration(text, field="spec.knownGood.soak")
    assert (refused.value.field, refused.value.value) == ("spec.knownGood.soak", repr(text))
    assert "24h or 1h30m" in str(refused.value)


def test_the_default_soak_time_can_be_read() -> None:
    assert parse_duration(KnownGoodRule().soak, field="soak") == timedelta(days=1)


PARTS = st.fixed_dictionaries(
    {}, optional={"h": st.integers(0, 99999), "m": st.integers(0, 99999), "s": st.integers(0, 999999)}
).filter(bool)


@given(PARTS)
def test_parts_add_up(parts: dict[str, int]) -> None:
    text = "".join(f"{parts[unit]}{unit}" for unit in "hms" if unit in parts)
    hours, minutes, seconds = (parts.get(unit, 0) for unit in "hms")
    assert parse_duration(text, field="soak") == timedelta(seconds=(hours * 60 + minutes) * 60 + seconds)


WRITTEN = st.text("0123456789hms -.\n", max_size=16) | st.from_regex(r"(\d{1,6}[hms]){1,3}", fullmatch=True)


@given(WRITTEN.filter(lambda text: len(text) <= 16))
def test_what_the_policy_may_hold_is_what_can_be_read(text: str) -> None:
    """The schema's pattern and the parser agree: no stored policy can stop a decision, and none means two things."""
    try:
        FIELD.validate_python(text)
    except ValidationError:
        with pytest.raises(InvalidInput):
            parse_duration(text, field="soak")
    else:
        assert parse_duration(text, field="soak") >= timedelta(0)
