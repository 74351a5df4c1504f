"""A wall clock that can be set while a process runs, and for that process alone.

It is libfaketime that stands between the process and the system. What counts seconds - timeouts, leases, the event
loop - goes by the monotonic clock, which no step of a wall clock moves: that one is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import libfaketime  # type: ignore[import-untyped]

AHEAD, BEHIND, FAST = "clock an hour ahead", "clock an hour behind", "clock at twice the speed"
STEPS = {AHEAD: "+3600", BEHIND: "-3600", FAST: "+0 x2"}
_LIBRARY = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


class WallClock:
    """Set by a file that the process reads again each time it wants to know the time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set("+0")

    def set(self, time: str) -> None:
        """An offset in seconds, `+3600`, and perhaps a rate, `+0 x2`."""
        # In one piece: the process may look at any moment.
        new = self._file.with_suffix(".new")
        new.write_text(time + "\n")
        new.replace(self._file)

    @property
    def environment(self) -> Mapping[str, str]:
        """For the process."""
        return {
            "LD_PRELOAD": str(_LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
