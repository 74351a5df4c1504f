"""README.md and docs/ as the tests read them: commands, links, tables, and names in code type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
ARCHITECTURE = REPOSITORY / "docs" / "architecture.md"
DOCUMENTS = (README, *sorted((REPOSITORY / "docs").rglob("*.md")))

_FENCE = "```"
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a document: where it stands, and the language of its fenced block (None outside of one)."""

    document: Path
    number: int
    section: str
    language: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """One command that a reader is told to type."""

    document: Path
    number: int
    section: str
    text: str

    @property
    def name(self) -> str:
        """Where it stands, and how it begins."""
        return f"{self.document.name}:{self.number} {' '.join(self.words[:6])}"

    @property
    def words(self) -> list[str]:
        """What the shell gets to see of it, without the comment."""
        return self.text.partition(" #")[0].split()


def lines(document: Path) -> Iterator[Line]:
    """The lines of a document without those that open or close a fenced block."""
    section, language = "", None
    for number, text in enumerate(document.read_text().splitlines(), start=1):
        if text.startswith(_FENCE):
            language = text.removeprefix(_FENCE).strip() if language is None else None
            continue
        if language is None and text.startswith("#"):
            section = text.lstrip("# ")
        yield Line(document, number, section, language, text)


def languages(document: Path) -> set[str]:
    """The languages that fenced blocks state; "" for a block that states none."""
    return {line.language for line in lines(document) if line.language is not None}


def commands(document: Path) -> list[Command]:
    """Every command in the document's order: lines of `sh` blocks, and calls of kubectl and make within the text."""
    found = []
    for line in lines(document):
        if line.language == "sh":
            texts = [line.text]
        elif line.language is None:
            texts = [span for span in _SPAN.findall(line.text) if _is_call(span.split())]
        else:
            texts = []
        found += [Command(document, line.number, line.section, text.strip()) for text in texts if text.strip()]
    return found


def _is_call(words: list[str]) -> bool:
    # `kubectl scale` alone is the name of a command, not a call of it.
    return (words[0] == "make" and len(words) > 1) or (words[0] == "kubectl" and len(words) > 2)


def links(document: Path) -> list[str]:
    """The targets of all links."""
    return [target for line in lines(document) if line.language is None for target in _LINK.findall(line.text)]


def code_spans(document: Path) -> list[str]:
    """Everything in code type outside of fenced blocks."""
    return [span for line in lines(document) if line.language is None for span in _SPAN.findall(line.text)]


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives the document's headings."""
    titles = {line.section for line in lines(document) if line.section}
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def table(document: Path, *, first: str) -> list[list[str]]:
    """The cells of the table whose first column is headed `first`, without its head."""
    rows = [[cell.strip() for cell in line.text.strip("|").split("|")] for line in lines(document)]
    start = next(i for i, row in enumerate(rows) if row[0] == first and len(row) > 1) + 2
    return list(_while_wide(rows[start:]))


def _while_wide(rows: list[list[str]]) -> Iterator[list[str]]:
    for row in rows:
        if len(row) == 1:
            return
        yield row
