"""Percentiles and ratios, printed for people and kept as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / ".build" / "bench"


def percentile(samples: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of the samples."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def keep(name: str, figures: Mapping[str, Any]) -> Path:
    """Keep a run's figures as JSON, with the machine that they are from and the day."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"machine": machine(), "measured": f"{datetime.now(UTC):%Y-%m-%d}", **figures}, indent=2) + "\n"
    )
    return path


def machine() -> dict[str, Any]:
    """What figures depend on: nothing that tells whose machine it is."""
    return {
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def summary(samples: Sequence[float]) -> dict[str, float]:
    """Percentiles and the maximum, in milliseconds."""
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    found = {name: percentile(samples, share) * 1000 for name, share in shares.items()}
    return {"n": float(len(samples)), **found, "max": max(samples) * 1000}


def report(name: str, series: Mapping[str, Sequence[float]], *, floor: str) -> dict[str, dict[str, float]]:
    """Print a table with ratios to the floor, and keep it."""
    rows = {each: summary(samples) for each, samples in series.items()}
    columns = ("p50", "p90", "p99", "p99.9", "max")
    print(f"\n{name}, ms{'':20}{'n':>6}" + "".join(f"{p:>9}" for p in columns) + f"{'p50 ratio':>11}{'p99 ratio':>11}")
    for each, row in rows.items():
        ratios = [row[p] / rows[floor][p] for p in ("p50", "p99")]
        cells = "".join(f"{row[p]:>9.1f}" for p in columns)
        print(f"{each:38}{int(row['n']):>6}{cells}{ratios[0]:>10.2f}x{ratios[1]:>10.2f}x")
    keep(name, {"figures": rows})
    return rows
