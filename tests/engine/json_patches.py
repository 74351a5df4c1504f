"""JSON patch (RFC 6902) and merge patch (RFC 7386), as far as requests of this project use them. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any


class PatchRefusedError(Exception):
    """An operation does not fit the document, or a `test` does not hold."""


def json_patched(document: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """The document after all operations; the given one stays as it was."""
    patched = copy.deepcopy(document)
    for operation in operations:
        *parents, last = [step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]]
        place = patched
        for step in parents:
            place = _at(place, step)
        _operate(place, last, operation["op"], copy.deepcopy(operation.get("value")))
    return patched


def merge_patched(document: Any, patch: Any) -> Any:
    """The document with the patch merged in; the given one stays as it was."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(document) if isinstance(document, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patched(merged.get(key), value)
    return copy.deepcopy(merged)


def _operate(place: Any, last: str, kind: str, value: Any) -> None:
    if kind == "test":
        if _at(place, last) != value:
            raise PatchRefusedError(f"test of {last} failed")
    elif kind == "add" and isinstance(place, list):
        place.insert(len(place) if last == "-" else _index(place, last, end=len(place)), value)
    elif kind == "add":
        place[last] = value
    else:
        _at(place, last)
        key: Any = int(last) if isinstance(place, list) else last
        if kind == "remove":
            del place[key]
        else:
            place[key] = value


def _at(place: Any, step: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, step, end=len(place) - 1)]
    if not isinstance(place, dict) or step not in place:
        raise PatchRefusedError(f"{step} does not exist")
    return place[step]


def _index(place: Sequence[Any], step: str, *, end: int) -> int:
    if not step.isdecimal() or int(step) > end:
        raise PatchRefusedError(f"no index {step} in a list of {len(place)}")
    return int(step)
