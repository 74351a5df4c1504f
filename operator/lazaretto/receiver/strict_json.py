"""Parses JSON as RFC 8259 means it, with bounds.

Python's parser is lenient where two programs may read one text differently: duplicate keys,
NaN and infinities, lone surrogates, several encodings. What one of them checked another must
not see otherwise, so all that is refused, as are numbers and nestings that exist only to cost
time. `parse` raises `InvalidInput` and nothing else.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from lazaretto.errors import InvalidInput

DEEPEST = 32
_LONGEST_NUMBER = 40
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(body: bytes) -> Any:
    """The value that `body` stands for."""
    try:
        value = _DECODER.decode(_decoded(body))
    except json.JSONDecodeError as error:
        raise InvalidInput("body", f"{error.msg} at character {error.pos}", "send one JSON document") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise InvalidInput("body", str(error)[:100], "send one JSON document") from error
    _check(value, texts=_SURROGATE_ESCAPE.search(body) is not None)
    return value


def _decoded(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("body", f"byte {error.start} is not UTF-8", "send JSON in UTF-8") from error
    if text.startswith("\ufeff"):
        raise InvalidInput("body", "byte order mark", "send UTF-8 without one")
    return text


def _check(value: Any, *, texts: bool) -> None:
    """Depth, and where surrogates were escaped, that each has its other half. Iterative: depth is what it bounds."""
    level = [value]
    depth = 0
    while level:
        below: list[Any] = []
        nested = False
        for each in level:
            if isinstance(each, dict):
                nested = True
                below += each.values()
                if texts:
                    below += each.keys()
            elif isinstance(each, list):
                nested = True
                below += each
            elif texts and isinstance(each, str):
                _whole(each)
        depth += nested
        if depth > DEEPEST:
            raise _too_deep()
        level = below


def _whole(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("body", "half of a surrogate pair", "send characters, not halves of them") from error


def _too_deep() -> InvalidInput:
    return InvalidInput("body", f"nested more than {DEEPEST} levels", "send the alerts' own structure")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1) if len(names) <= 1000 else "in a large object"
        raise InvalidInput("body", f"key {twice[:80]!r} more than once", "send each key once")
    return found


def _integer(text: str) -> int:
    _bounded(text)
    return int(text)


def _float(text: str) -> float:
    _bounded(text)
    value = float(text)
    if not math.isfinite(value):
        raise InvalidInput("body", text, "send a number that a double can hold")
    return value


def _bounded(text: str) -> None:
    if len(text) > _LONGEST_NUMBER:
        raise InvalidInput("body", f"a number of {len(text)} digits", f"send at most {_LONGEST_NUMBER}")


def _constant(text: str) -> NoReturn:
    raise InvalidInput("body", text, "JSON has no such number; leave the field out")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
