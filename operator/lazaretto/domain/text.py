"""Makes foreign text fit to be stored, logged and shown.

Alert text is written by whoever can shape a metric or a rule. Stored as it came, it could
steer a terminal (escape sequences), lie about its own order (bidirectional controls), forge
log lines (line breaks), hide text from people that a program would still read (invisible
format characters), or break the object's bounds. What comes out of `clean` is one line of
at most `bound` bytes (so no more code points either: what counts in the end is the size of
the stored object) with none of these; visible text of any script is kept. Cleaning what is
already clean changes nothing. These functions accept any string and never raise.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

SHORT = 256
"""Bound of `ShortText` and of label values."""
LONG = 1024
"""Bound of `Text`."""
LABELS = 32
"""Most labels that an alert keeps."""
LABEL_NAME = 128
LABEL_BYTES = 2048
"""Most bytes of all of an alert's label names and values together: an incident holds 64 alerts."""

_FIRST = ("alertname", "namespace", "ai_model", "ai_category", "ai_severity", "ai_revision", "ai_drill", "ai_incident")
"""Labels that are kept before any other."""

_LONGEST_STACK = 6
_LONGEST_RETREAT = 16
_JOINER = "\u200d"
_CUT = "\u2026"

_TERMINAL = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]")
_BREAKS = re.compile(
    "[ \t-\r\x1c-\x1f\x85\u2028\u2029]*[\t-\r\x1c-\x1f\x85\u2028\u2029][ \t-\r\x1c-\x1f\x85\u2028\u2029]*"
)
# Zero-width joiner and non-joiner (U+200C, U+200D) stay: scripts and emoji need them.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    + "".join(chr((plane << 16) + last) for plane in range(1, 17) for last in (0xFFFE, 0xFFFF))
    + "]"
)


def clean(text: str, *, bound: int) -> str:
    """The text as one line of at most `bound` bytes without anything unseen."""
    # No more work than the bound is worth, however long the text is.
    text = text[: bound * 16]
    if not (text.isascii() and text.isprintable()):
        text = _BREAKS.sub(" ", text)
        text = _UNSEEN.sub("", _TERMINAL.sub("", text))
        if not text.isascii():
            text = _without_stacks(text)
    return _cut(text.strip(), bound=bound)


def clean_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """At most `LABELS` labels with clean names and values; those that Lazaretto reads come first."""
    kept: dict[str, str] = {}
    left = LABEL_BYTES
    for name in _in_order(labels):
        key, value = clean(name, bound=LABEL_NAME), clean(labels[name], bound=SHORT)
        size = len(key.encode()) + len(value.encode())
        if len(kept) < LABELS and key and key not in kept and size <= left:
            kept[key] = value
            left -= size
    return kept


def _in_order(labels: Mapping[str, str]) -> Iterable[str]:
    yield from (name for name in _FIRST if name in labels)
    yield from sorted(name for name in labels if name not in _FIRST)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _without_stacks(text: str) -> str:
    """No base character carries more marks than writing needs: towers of marks cover other lines."""
    kept: list[str] = []
    height = 0
    for character in text:
        height = height + 1 if _is_mark(character) else 0
        if height <= _LONGEST_STACK:
            kept.append(character)
    return "".join(kept)


def _cut(text: str, *, bound: int) -> str:
    whole = text.encode()
    if len(whole) <= bound:
        return text
    end = len(whole[: bound - len(_CUT.encode())].decode(errors="ignore"))
    for _ in range(_LONGEST_RETREAT):
        # Do not part a mark from its letter, nor the halves of a joined emoji.
        if end <= 1 or not (_is_mark(text[end]) or _JOINER in (text[end], text[end - 1])):
            break
        end -= 1
    return text[:end].rstrip() + _CUT
