"""The tables of the page, one for each benchmark, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from tests.bench.figures import percentile

Figures = Mapping[str, Any]
_MIB = 1024 * 1024
_STORM = """A critical incident with nothing beside it: p50 {p50:.0f} ms, p99 {p99:.0f} ms.

- The floor is what a bare client takes on 32 connections to store one incident and scale one Deployment for each of as
  many models, just before and with the operator stopped: the median over the storms of as many.
- An incident lists 64 alerts and says by a flag that there were more. Lost is what is neither listed nor stands behind
  the flag of a full list; if all came in one request, the list must have the first 64. Of those behind the flag nothing
  tells which they were, nor how many for each model: the receiver's own counter says how many came in all, and is
  compared with what was sent.
- Critical incidents come one at a time while the storm is worked off, each 0.3 s after the one before is contained.
- Of several runs, times are medians, and everything else is the most of any.
- Lag is the longest that the operator's event loop was late, RSS the most that operator and receiver ever had.
"""
_FAULTS = """The operator is behind a proxy that lets chosen requests fail. Counted is from the end of the fault, when
the next request of the kind would go well, until the observer sees the compromised Deployment's scale at zero. A killed
process is started at once, and its start is part of it, as is a 429's Retry-After. A restarted API server counts from
the start of its process. What is said to count from the receiver's answer has a fault that goes on meanwhile, or none.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(["| " + " | ".join(each) + " |" for each in [head, ["---"] * len(head), *rows]]) + "\n"


def singles(found: Figures) -> str:
    """Single incidents beside their floor."""
    rows, floor = found["figures"], found["figures"]["floor"]
    columns = ("p50", "p90", "p99", "p99.9", "max")
    lines = [
        [name, f"{row['n']:.0f}", *(f"{row[p]:.1f}" for p in columns), f"{row['p50'] / floor['p50']:.2f}"]
        for name, row in rows.items()
    ]
    return "## Single incidents (ms)\n\n" + table(["", "n", *columns, "p50 to floor"], lines)


def storms(found: Figures) -> str:
    """Storms, from few alerts to many."""
    times = ("first", "median", "last contained", "last to floor", "answered")
    counts = ("lost", "behind the flag", "writes", "429s")
    cells = found["cells"]
    lines = [_storm(runs, floor=_floor(runs[0], cells)) for runs in alike(cells)]
    return f"## Storms\n\n{_STORM.format(**found['idle'])}\n" + table(
        ["Storm", "runs", *times, *counts, "critical, p50", "worst", "lag", "RSS"], lines
    )


def alike(cells: Sequence[Figures]) -> list[list[Figures]]:
    """The runs of each storm, from few alerts to many."""

    def kind(cell: Figures) -> tuple[str, int, int]:
        about = cell["cell"]
        return about["shape"], about["alerts"], about["models"]

    return [list(runs) for _, runs in groupby(sorted(cells, key=kind), key=kind)]


def last_contained(runs: Sequence[Figures]) -> float:
    """Seconds to the last containment of a storm, the median of its runs."""
    return percentile([max(run["contained"]) for run in runs], 0.5)


def storm_name(cell: Figures) -> str:
    """A storm in words."""
    return f"{cell['alerts']} alerts, {cell['models']} models, {cell['shape']}"


def not_as_it_should(cell: Figures) -> int:
    """Alerts of a storm that are lost, listed wrongly, not counted, or were answered before they were stored."""
    return sum(int(cell[key]) for key in ("lost", "wrong", "uncounted", "early"))


def _floor(cell: Figures, cells: Sequence[Figures]) -> float:
    return percentile([each["floor"] for each in cells if each["cell"]["models"] == cell["cell"]["models"]], 0.5)


def _storm(runs: Sequence[Figures], *, floor: float) -> list[str]:
    """Of several runs the median of each time, and the most of everything else."""
    first, middle = ([sorted(r["contained"])[int(len(r["contained"]) * at)] for r in runs] for at in (0.0, 0.5))
    last, answered = last_contained(runs), [r["answered"] for r in runs]
    times = [f"{percentile(first, 0.5):.2f} s", f"{percentile(middle, 0.5):.2f} s", f"{last:.2f} s"]
    times += [f"{last / floor:.1f}x", f"{percentile(answered, 0.5):.2f} s"]
    counts = [
        max(map(not_as_it_should, runs)),
        max(r["flagged"] for r in runs),
        max(sum(r["writes"].values()) for r in runs),
        max(r["refused"] for r in runs),
    ]
    critical = [seconds * 1000 for r in runs for seconds in r["critical"]]
    shown = [f"{percentile(critical, 0.5):.0f} ms", f"{max(critical):.0f} ms"] if critical else ["-", "-"]
    shown += [f"{max(r['lag'] for r in runs) * 1000:.0f} ms"]
    peak = " / ".join(f"{max(r['peak'][name] for r in runs) / _MIB:.0f}" for name in runs[0]["peak"]) + " MiB"
    return [storm_name(runs[0]["cell"]), str(len(runs)), *times, *map(str, counts), *shown, peak]


def stored(found: Figures) -> str:
    """What a long past costs."""
    states = {"none": found["none"], f"{found['stored']}": found["many"]}
    head = ["Stored", "Process", "of a core, idle", "RSS", "peak RSS", "restart to ready", "restart to containment"]
    lines = [_process(name, process, state) for name, state in states.items() for process in ("operator", "receiver")]
    told = (
        f"A list of all {found['stored']} is {found['listBytes'] / _MIB:.1f} MiB. Idle is {found['idleSeconds']} s.\n"
    )
    more = table(
        ["Stored", "single incident, p50", "max", "n", "floor, p50", "p50 to floor"],
        [_beside(name, state) for name, state in states.items()],
    )
    read = table(
        ["Stored", "lists of incidents at a start", "pages", "incidents a page", "MiB in all", "largest page"],
        [_read(name, state["restart"]["read"]) for name, state in states.items()],
    )
    return f"## Stored incidents\n\n{told}\n{table(head, lines)}\n{more}\n{read}"


def _process(name: str, process: str, state: Figures) -> list[str]:
    row = state[process]
    restart = state["restart"] if process == "operator" else {"ready": [], "contained": []}
    shown = [f"{min(s):.1f} to {max(s):.1f} s" if s else "-" for s in (restart["ready"], restart["contained"])]
    sizes = [f"{row[key] / _MIB:.0f} MiB" for key in ("resident", "peak")]
    return [name, process, f"{row['cores'] * 100:.2f} %", *sizes, *shown]


def _beside(name: str, state: Figures) -> list[str]:
    single, floor = percentile(state["single"], 0.5) * 1000, percentile(state["floor"], 0.5) * 1000
    most = f"{max(state['single']) * 1000:.0f} ms"
    return [name, f"{single:.0f} ms", most, f"{len(state['single'])}", f"{floor:.1f} ms", f"{single / floor:.2f}"]


def _read(name: str, read: Figures) -> list[str]:
    limits = ", ".join(str(limit) if limit else "all" for limit in read["limits"])
    size, largest = read["bytes"] / _MIB, read["largest"] / _MIB
    return [name, str(read["lists"]), str(read["pages"]), limits, f"{size:.1f}", f"{largest:.2f} MiB"]


def faults(found: Figures) -> str:
    """How soon after a fault."""
    lines = [
        [name, f"{row['n']:.0f}", *(f"{row[share]:.0f}" for share in ("p50", "p90", "max"))]
        for name, row in found["figures"].items()
    ]
    return f"## After a fault (ms)\n\n{_FAULTS}\n" + table(["Fault", "n", "p50", "p90", "max"], lines)
