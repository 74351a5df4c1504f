"""What no log line of our processes may ever hold: a token, or a header that carries one.

The logs of a whole run are read, whichever test started the process. A ServiceAccount's token is known by its form, a
sender's from the folder that the receiver beside the log reads it from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

LOGS = ("operator.log", "receiver.log")
_SHORTEST = 8
"""Shorter texts are words that a log may use."""
_FORMS = {
    "a ServiceAccount's token": r"\beyJ[\w-]{10,}\.[\w-]{10,}",
    "a header with credentials": r"(?i)\bauthorization\b(?!\.k8s\.io)|\b(bearer|basic)\s+[\w.~+/-]{8,}",
    "a private key": r"BEGIN [A-Z ]*PRIVATE KEY",
}


def shown_in_logs(root: Path) -> Mapping[str, int]:
    """In how many lines of which log beneath a folder a secret stands; the secret itself is not told."""
    found: Counter[str] = Counter()
    for log in _logs(root):
        patterns = {what: re.compile(form) for what, form in _FORMS.items()}
        if tokens := sorted(_tokens_beside(log)):
            patterns["a sender's token"] = re.compile("|".join(map(re.escape, tokens)))
        with log.open(errors="replace") as lines:
            found.update(f"{log.relative_to(root)}: {what}" for what in _shown(lines, patterns))
    return found


def _logs(root: Path) -> Iterator[Path]:
    # Not through the links that pytest sets to a folder's newest version: each log once.
    return (path for name in LOGS for path in sorted(root.rglob(name)) if path.is_file())


def _tokens_beside(log: Path) -> set[str]:
    folder = log.parent / "tokens"
    files = (path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else ()
    return {token for path in files if len(token := path.read_text(errors="replace").strip()) >= _SHORTEST}


def _shown(lines: Iterable[str], patterns: Mapping[str, re.Pattern[str]]) -> Iterator[str]:
    return (what for line in lines for what, pattern in patterns.items() if pattern.search(line))
