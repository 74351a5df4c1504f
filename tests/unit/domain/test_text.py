"""Hostile text, and text of real languages, through `domain.text`."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.domain.text import LABEL_BYTES, LABEL_NAME, LABELS, LONG, SHORT, clean, clean_labels

ANYTHING = st.text(st.characters(), max_size=3000)


@pytest.mark.parametrize(
    ("hostile", "expected"),
    [
        ("plain text", "plain text"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07x", "]0;titlex"),
        ("a\r\nINFO forged log line", "a INFO forged log line"),
        ("a\x0b\x0c\x85\u2028\u2029b", "a b"),
        ("\ttab", "tab"),
        ("safe\u202egnp.exe", "safegnp.exe"),
        ("\u2066x\u2069\u200e\u200f\u061c", "x"),
        ("in\u200bvis\ufeffible\u00ad", "invisible"),
        ("tags\U000e0041\U000e0042", "tags"),
        ("null\x00byte\x7f", "nullbyte"),
        ("half\ud800pair\udfff", "halfpair"),
        ("not\ufffea\ufdd0char\U0001ffff", "notachar"),
        ("<script>alert(1)</script> <!channel> =cmd()", "<script>alert(1)</script> <!channel> =cmd()"),
        ("  spaces  kept inside  ", "spaces  kept inside"),
        ("z" + "\u0301" * 50, "z" + "\u0301" * 6),
        ("", ""),
    ],
)
def test_hostile_text(hostile: str, expected: str) -> None:
    assert clean(hostile, bound=SHORT) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Das Modell ist überfordert",
        "モデルが漏洩しています",
        "النموذج يسرّب البيانات",
        "क्षत्रिय",
        "می‌خواهم",
        "👩‍🚀 leaks 🏳️‍🌈",
        "Ố ộ ẩ",
        "ก็ได้",
    ],
)
def test_real_writing_is_kept(text: str) -> None:
    assert clean(text, bound=SHORT) == text


@pytest.mark.parametrize("tail", ["", "b", "e\u0301", "👩\u200d🚀"])
@pytest.mark.parametrize("bound", range(5, 12))
def test_a_cut_leaves_whole_characters(tail: str, bound: int) -> None:
    cut = clean("aaaa" + tail * 20 + "z" * 20, bound=bound)
    assert len(cut.encode()) <= bound
    assert cut.endswith("\u2026")
    assert "aaaae\u0301\u2026" not in cut or cut.count("e") == cut.count("\u0301")
    assert not cut.endswith("\u200d\u2026")


def test_a_cut_does_not_part_letter_and_mark() -> None:
    assert clean("abe\u0301xyz", bound=6) == "ab\u2026"


@given(ANYTHING, st.integers(min_value=5, max_value=LONG))
def test_properties(text: str, bound: int) -> None:
    cleaned = clean(text, bound=bound)
    assert len(cleaned.encode()) <= bound
    assert clean(cleaned, bound=bound) == cleaned
    assert cleaned == cleaned.strip()
    cleaned.encode()
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in cleaned)
    assert "\n" not in cleaned
    assert "\x1b" not in cleaned


@given(st.dictionaries(st.text(max_size=200), ANYTHING, max_size=60))
def test_labels_are_bounded(labels: dict[str, str]) -> None:
    kept = clean_labels(labels)
    assert len(kept) <= LABELS
    assert all(0 < len(k.encode()) <= LABEL_NAME and len(v.encode()) <= SHORT for k, v in kept.items())
    assert sum(len(k.encode()) + len(v.encode()) for k, v in kept.items()) <= LABEL_BYTES


def test_labels_that_matter_are_kept_first() -> None:
    labels = {f"a{n:03}": "x" for n in range(100)} | {"namespace": "shop", "ai_model": "chat", "alertname": "Leak"}
    kept = clean_labels(labels)
    assert list(kept)[:3] == ["alertname", "namespace", "ai_model"]
    assert len(kept) == LABELS


def test_a_label_too_large_for_the_rest_leaves_room_for_smaller_ones() -> None:
    labels = {f"a{n}": "x" * 256 for n in range(9)} | {"team": "red", "ai_model": "chat"}
    kept = clean_labels(labels)
    assert kept["ai_model"] == "chat"
    assert kept["team"] == "red"
    assert len(kept) == 9


def test_work_is_bounded_by_the_bound() -> None:
    assert len(clean("\u0301" * 10_000_000, bound=LONG)) <= LONG
