"""Whether a pod template has a secret written down in it, where a reference to a Secret ought to be. Pure.

What tells is the name beside a value, a flag before it, or the value's own shape. A model's own words - tokenizers, and
counts of tokens - are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lazaretto.domain.redaction import CREDENTIAL_WORDS, PLACE_WORDS, free_text, redacted

_NAMED = re.compile(rf"(?i)token(?!i[sz])|bearer|{CREDENTIAL_WORDS}")
_NAMES_ONLY = re.compile(rf"(?i)({PLACE_WORDS}|file|dir|url|mode|enabled)$")
_COUNT = re.compile(r"[0-9]{1,9}|true|false", re.IGNORECASE)
_FLAG = re.compile(r"-{1,2}([\w.\-]+)(?:=(.*))?", re.DOTALL)


def literal_secret(template: Mapping[str, Any]) -> str:
    """Where the template shows what may be a secret, for people; empty if nowhere."""
    return next(_found(template), "")


def _found(template: Mapping[str, Any]) -> Iterator[str]:
    spec = template.get("spec") or {}
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        place = f"container {container.get('name')}"
        pairs = [("variable", each) for each in container.get("env") or ()]
        pairs += [("header", each) for each in _headers(container)]
        for what, each in pairs:
            if _tells(str(each.get("name")), str(each.get("value") or "")):
                yield f"{what} {each.get('name')} in {place}"
        for part in ("command", "args"):
            if _announced([str(item) for item in container.get(part) or ()]):
                yield f"{part} in {place}"
    for key, value in ((template.get("metadata") or {}).get("annotations") or {}).items():
        if _tells(str(key), str(value)):
            yield f"annotation {key}"
    if any(_shows(text) for text in _texts(spec)):
        yield "the pod's spec"


def _tells(name: str, value: str) -> bool:
    if not value or _COUNT.fullmatch(value):
        return False
    return _shows(value) or (bool(_NAMED.search(name)) and not _NAMES_ONLY.search(name))


def _shows(text: str) -> bool:
    """Whether it has the shape of a credential: one that its issuer marks, or a user's in a URL."""
    return bool(redacted(text) != text)


def _announced(arguments: Sequence[str]) -> bool:
    """Whether a flag announces a secret, in its own item or in the next one; a line of shell is free text."""
    flag = ""
    for each in arguments:
        found = _FLAG.fullmatch(each)
        if found is None:
            if _tells(flag, each) or (any(map(str.isspace, each)) and free_text(each) != each):
                return True
            flag = ""
        elif found[2] is not None:
            if _tells(found[1], found[2]):
                return True
            flag = ""
        else:
            flag = found[1]
    return False


def _headers(container: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        yield from ((container.get(probe) or {}).get("httpGet") or {}).get("httpHeaders") or ()
    for hook in (container.get("lifecycle") or {}).values():
        yield from ((hook or {}).get("httpGet") or {}).get("httpHeaders") or ()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from _texts(each)
