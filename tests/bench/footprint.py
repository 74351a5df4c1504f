"""What a process has taken of the machine so far, as the kernel counts it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Footprint:
    """Processor time since its start, memory now, and the most memory it ever had."""

    cpu_seconds: float
    resident: int
    peak: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Read it; the process must live."""
        folder = Path("/proc") / str(pid)
        # The name in the second field may hold spaces; what follows it does not.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        lines = (line.partition(":") for line in (folder / "status").read_text().splitlines())
        sizes = {name: int(rest.split()[0]) * _KIB for name, _, rest in lines if name in ("VmRSS", "VmHWM")}
        return cls((int(fields[11]) + int(fields[12])) / _TICKS, sizes["VmRSS"], sizes["VmHWM"])
