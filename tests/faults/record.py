"""What goes through a proxy: each request and what became of it, and each frame of a watch that was let through."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass

from tests.faults.faults import WATCH

MOST = 200_000
"""Entries that are kept; a whole run of all stories makes fewer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request, when it was over; or one frame."""

    at: float
    """By `time.monotonic`."""
    verb: str
    address: str
    """Path and query."""
    what: str
    """The status of the answer, by whom if not by the API server; how it was cut; or the frame's type and object."""

    def __str__(self) -> str:
        """For people."""
        return f"{self.at:.3f} {self.verb} {self.address}: {self.what}"


class Record:
    """Entries in the order in which they came; any thread may add to them."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self._entries: deque[Entry] = deque(maxlen=MOST)

    def note(self, verb: str, address: str, *, what: str) -> None:
        """Adds one."""
        self._entries.append(Entry(time.monotonic(), verb, address, what))

    def note_frame(self, address: str, *, frame: bytes) -> None:
        """Adds a frame, as it is told to the client."""
        self.note(WATCH, address, what=_said(frame))

    @property
    def entries(self) -> list[Entry]:
        """All of them, by now."""
        return list(self._entries)

    def about(self, namespace: str) -> list[Entry]:
        """What concerns a namespace, or all of them at once."""
        path, named = f"/namespaces/{namespace}/", f" {namespace}/"
        return [entry for entry in self.entries if path in entry.address or named in entry.what]


def _said(frame: bytes) -> str:
    try:
        told = json.loads(frame)
        metadata = told["object"].get("metadata", {})
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"no frame, {len(frame)} bytes"
    return f"{told.get('type')} {metadata.get('namespace', '')}/{metadata.get('name', '')}"
