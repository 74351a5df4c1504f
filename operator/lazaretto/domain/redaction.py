"""Takes out of a live object what must not be copied: values that are, or may be, secrets.

Structure and names stay, so that it still shows what was set and where a value came from; the value itself is replaced
by `REDACTED`. Whatever has a name and a value - environment variables, HTTP headers - loses the value, whatever it is.
In free text, which is command lines, annotations and messages, everything that reads like a credential goes as well.
No input raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

REDACTED = "[redacted]"
LONGEST = 16_384
"""Free text that is longer is a document, and goes altogether."""

_DROPPED = frozenset({"managedFields", "kubectl.kubernetes.io/last-applied-configuration"})
_FREE = frozenset({"args", "command", "annotations", "message", "note", "volumeAttributes", "options", "parameters"})
"""Keys under which people and programs write whatever they like."""
CREDENTIAL_WORDS = r"passw|secret|credential|api[-_.]?key|access[-_.]?key|private[-_.]?key|auth(?!or(?!i[sz]))"
"""Pattern of what the names of secrets have in them, besides tokens."""
PLACE_WORDS = r"name|path|namespace|provider|class|type|port"
"""Pattern of what names end with that tell where a secret is, not what it is."""
_FLAG_SECRET = re.compile(rf"(?i)token|{CREDENTIAL_WORDS}")
_NAMES_ONLY = re.compile(rf"(?i)({PLACE_WORDS})$")

_KNOWN = re.compile(
    # Prefixes by which issuers mark credentials; where a name could begin so, only with a capital letter, which no name
    # has. A JSON web token. A private key.
    r"(?<![A-Za-z0-9])(?:(?:hf|gh[opsur]|github_pat|npm|dckr_pat|[sr]k_(?:live|test))_[A-Za-z0-9_\-]{12,}"
    r"|(?:glpat-|nvapi-|pypi-|sk-|xox[abeprs]-|ya29\.|AIza|AKIA|ASIA)(?=[a-z0-9_\-]{0,64}[A-Z])[A-Za-z0-9_\-]{12,})"
    r"|eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)*"
    r"|-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)"
)
_USER_INFO = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_ASSIGNED = re.compile(
    r"(?i)((?:token|passw|secret|credential|api[-_.]?key|access[-_.]?key|private[-_.]?key|auth|bearer)[\w.\-]{0,64}"
    r"[\"']?(?:\s{0,8}[=:]\s{0,8}|\s{1,8})(?:bearer\s{1,8}|basic\s{1,8})?)"
    r"(\"[^\"]{0,1024}\"|'[^']{0,1024}'|[^\s,;]+)"
)
# Whoever writes such text must not be able to keep us busy: no expression looks further than a bound from its start.
_RUN = re.compile(r"[A-Za-z0-9+_=]{24,}")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{32,}")
_MIXED = tuple(re.compile(each) for each in ("[a-z]", "[A-Z]", "[0-9]"))
_DIGEST = "sha256:"


def redacted(value: Any, *, free: bool = False) -> Any:
    """The JSON value without secrets. `free`: its texts are free text."""
    if isinstance(value, Mapping):
        return _object(value, free=free)
    if isinstance(value, str):
        return free_text(value) if free else _KNOWN.sub(REDACTED, _USER_INFO.sub(REDACTED, value))
    if isinstance(value, Sequence):
        return _items(value, free=free)
    return value


def free_text(text: str) -> str:
    """The text without what reads like a credential; a whole document goes altogether."""
    if len(text) > LONGEST or text.lstrip()[:1] in ("{", "["):
        return REDACTED
    text = _KNOWN.sub(REDACTED, _USER_INFO.sub(REDACTED, text))
    text = _ASSIGNED.sub(lambda found: found[1] + REDACTED, text)
    return _RUN.sub(_unless_harmless, text)


def log_lines(text: str) -> list[str]:
    """The lines of a log, each with its time in front, without secrets; what a line has of JSON keeps its shape."""
    return [_log_line(line) for line in _KNOWN.sub(REDACTED, text).splitlines()]


def _log_line(line: str) -> str:
    time, _, said = line.partition(" ")
    try:
        value = json.loads(said) if said.startswith("{") and len(said) <= LONGEST else None
        if isinstance(value, dict):
            return f"{time} {json.dumps(redacted(value, free=True))}"
    except (ValueError, RecursionError):
        # Not JSON, or nobody's honest JSON.
        pass
    return free_text(line)


def _unless_harmless(run: re.Match[str]) -> str:
    """A long run of letters and digits, unless it is a word or the digest of something."""
    text, start = run[0], run.start()
    if _HEXADECIMAL.fullmatch(text):
        return text if run.string.endswith(_DIGEST, 0, start) else REDACTED
    return REDACTED if all(kind.search(text) for kind in _MIXED) else text


def _object(value: Mapping[str, Any], *, free: bool) -> dict[str, Any]:
    named = "name" in value and "value" in value
    return {
        key: REDACTED if (named and key == "value") or _tells(key, each) else redacted(each, free=free or key in _FREE)
        for key, each in value.items()
        if key not in _DROPPED
    }


def _tells(key: str, value: Any) -> bool:
    """Whether the text under this key is a secret by the key's name."""
    return isinstance(value, str) and bool(_FLAG_SECRET.search(key)) and not _NAMES_ONLY.search(key)


def _items(values: Sequence[Any], *, free: bool) -> list[Any]:
    """The items; what follows a flag that announces a secret goes, however it looks."""
    found: list[Any] = []
    announced = False
    for each in values:
        if announced and isinstance(each, str) and not each.startswith("-"):
            found.append(REDACTED)
        else:
            found.append(redacted(each, free=free))
        announced = free and isinstance(each, str) and each.startswith("-") and "=" not in each and _announces(each)
    return found


def _announces(flag: str) -> bool:
    return bool(_FLAG_SECRET.search(flag)) and not _NAMES_ONLY.search(flag)
