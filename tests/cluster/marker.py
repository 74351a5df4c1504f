"""What a control plane writes about itself: that our code made it, who runs it, and where it listens.

Another process uses it to find a running control plane, and to end exactly the processes that are ours: each
is named by pid and start time, so a pid that was given to somebody else since is never signalled. A file that
our code did not write, or of another format, counts as no marker.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from tests.cluster.components import Layout, Ports, write_json
from tests.cluster.process import start_time

_CREATOR = "lazaretto tests.cluster, format 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One process, for good: a pid alone may be given away again."""

    name: str
    pid: int
    started: str | None

    @classmethod
    def of(cls, pid: int, *, name: str) -> Self:
        """Returns the identity of the process that has `pid` now."""
        return cls(name=name, pid=pid, started=start_time(pid))

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return self.started is not None and start_time(self.pid) == self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The content of the file."""

    owner: Identity
    children: tuple[Identity, ...]
    ports: Ports
    url: str

    @classmethod
    def read(cls, root: Path) -> Marker | None:
        """Returns what the control plane in `root` wrote, whether it still runs or not."""
        try:
            found = json.loads(Layout(root).marker.read_text())
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
            return None
        if not isinstance(found, dict) or found.get("creator") != _CREATOR:
            return None
        return cls(
            owner=Identity(**found["owner"]),
            children=tuple(Identity(**child) for child in found["children"]),
            ports=Ports(**found["ports"]),
            url=found["url"],
        )

    @classmethod
    def running(cls, root: Path) -> Marker | None:
        """Returns the same, but only while the process that wrote it runs."""
        marker = cls.read(root)
        return marker if marker is not None and marker.owner.alive else None

    @classmethod
    def write(cls, root: Path, *, pids: Mapping[str, int], ports: Ports, url: str) -> None:
        """Writes the marker of a control plane that this process runs."""
        marker = cls(
            owner=Identity.of(os.getpid(), name="owner"),
            children=tuple(Identity.of(pid, name=name) for name, pid in pids.items()),
            ports=ports,
            url=url,
        )
        write_json(Layout(root).marker, document={"creator": _CREATOR, **asdict(marker)})
