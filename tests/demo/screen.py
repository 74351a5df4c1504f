"""What the audience reads: headings with times, commands as a person would type them, and what they answered.

Lines fit into 100 columns; text is wrapped, tables of other programs are shown as they come. There are no
control codes unless the output is a terminal. Times count from `Clock.start`, on the monotonic clock.
"""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

WIDTH = 100
_INDENT = "  "
_ANSWER = "    "
_LABEL = 26


class Clock:
    """Counts from the moment in which the metric went bad."""

    def __init__(self) -> None:
        self._start: float | None = None
        self.wall = datetime.now(UTC)

    def start(self) -> None:
        """The metric has gone bad, now."""
        self._start, self.wall = time.monotonic(), datetime.now(UTC)

    def of(self, moment: float) -> str:
        """A moment of the monotonic clock, as the audience reads it."""
        return f"{moment - (self._start or moment):+8.3f} s"

    def since_wall(self, moment: datetime) -> str:
        """A moment of the wall clock, which others wrote down; their clock is this machine's."""
        return f"{(moment - self.wall).total_seconds():+8.3f} s"


class Screen:
    """Standard output."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._after_command = False

    def heading(self, text: str) -> None:
        """A part of the demo begins."""
        self._after_command = False
        self._print("")
        for line in _wrapped(text, WIDTH):
            self._print(f"\x1b[1m{line}\x1b[0m" if self._bold else line)

    def moment(self, at: float, text: str) -> None:
        """Something that happened: since the metric went bad, by the wall clock (UTC), and what."""
        wall = datetime.fromtimestamp(time.time() - (time.monotonic() - at), UTC)
        self._rows(f"{self._clock.of(at)}  {stamp(wall)}  ", text)

    def say(self, text: str) -> None:
        """A paragraph."""
        self._rows("", text)

    def fact(self, label: str, text: str) -> None:
        """One line of a list: what, and how it is."""
        self._rows(f"{label:<{_LABEL}}", text)

    def command(self, who: str, words: Sequence[str], *, input: str = "") -> None:
        """What somebody types: words as a shell wants them, and a document for standard input."""
        lines = [f"{who}$"]
        for word in words:
            if len(lines[-1]) + len(word) + 3 > WIDTH - len(_INDENT):
                lines[-1] += " \\"
                lines.append("   ")
            lines[-1] += f" {word}"
        document = input.splitlines()
        if document:
            lines[-1] += " <<'END'"
        self._print("")
        for line in [*lines, *(f"  {each}" for each in document), *(["  END"] if document else [])]:
            self._print(_INDENT + line)
        self._after_command = True

    def answer(self, text: str) -> None:
        """What it answered; lines that are too long are wrapped."""
        for line in text.rstrip().splitlines():
            for piece in _wrapped(line, WIDTH - len(_ANSWER)):
                self._print(_ANSWER + piece)

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """An answer in rows: the last column is wrapped, the others are as wide as they need to be."""
        kept = list(rows)
        widths = [max(map(len, column)) for column in list(zip(*kept, strict=True))[:-1]]
        for row in kept:
            before = _ANSWER + "".join(f"{cell:<{width}}  " for cell, width in zip(row[:-1], widths, strict=True))
            self._hang(before, row[-1])

    def _rows(self, before: str, text: str) -> None:
        if self._after_command:
            self._print("")
            self._after_command = False
        self._hang(_INDENT + before, text)

    def _hang(self, before: str, text: str) -> None:
        for number, row in enumerate(_wrapped(text, WIDTH - len(before))):
            self._print((before if number == 0 else " " * len(before)) + row)

    def _print(self, line: str) -> None:
        print(line.rstrip(), flush=True)


def stamp(moment: datetime) -> str:
    """A moment of the wall clock, to the precision that it has."""
    return f"{moment:%H:%M:%S}Z" if not moment.microsecond else f"{moment:%H:%M:%S.%f}"[:-3] + "Z"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False, replace_whitespace=False, drop_whitespace=True) or [""]
