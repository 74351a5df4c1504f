"""Log lines for people or for machines. Text from outside is defanged before it reaches a terminal."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime


class _Defanged(logging.Formatter):
    """One record, one line at the margin: what else it spans is indented, and control characters are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return self.line(moment, record, text)

    def line(self, moment: str, record: logging.LogRecord, text: str) -> str:
        """For people."""
        safe = "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)
        indented = safe.replace("\n", "\n    ")
        return f"{moment} {record.levelname:<7} {record.name}: {indented}"


class _JsonLines(_Defanged):
    def line(self, moment: str, record: logging.LogRecord, text: str) -> str:
        """For machines; JSON escapes by itself."""
        return json.dumps({"time": moment, "level": record.levelname, "logger": record.name, "message": text})


def configure(*, level: str, json_lines: bool) -> None:
    """Set up logging for the process: one handler, standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if json_lines else _Defanged())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Kopf tells about every object that it sees; our own lines say what was done about it.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
