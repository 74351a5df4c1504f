"""The page that shows what runs have found: text for people, from the JSON that each benchmark leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.svg import bars

Figures = Mapping[str, Any]
MIB = 1024 * 1024
_METHOD = """# Performance

Written by `python -m tests.bench` from what `make bench` measures; nothing here is a promise, and the machine
decides about every absolute figure. What can be compared are ratios within one run.

## Method

- A real etcd with fsync on, a real API server with its audit log, a controller manager and fake nodes (KWOK), the
  operator and the receiver as processes under their own ServiceAccounts: all on the same machine, so that
  everything competes with everything.
- The floor is a bare client on one TLS connection that POSTs an incident and then PATCHes a scale. It is measured
  in turn with the rest.
- An independent observer decides when a containment is complete: it watches Deployments, routes and autoscalers by
  connections of its own.
- Percentiles are nearest-rank. With fewer than a thousand samples p99.9 is the maximum.
- Writes are counted from the API server's audit log, processor time and memory from the kernel.
- Growth is gated in `make test` by counted bytecodes (`tests/unit/test_work_growth.py`), calls per incident by the
  audit log (`tests/e2e/test_calls.py`).
"""


_CAUSES = """## What is missed, and why

The figures above are older than ADR 35 to 37. Since then, on the same machine on a slower day: the median of a single
incident was 2.15 times its floor, where it had been 2.61 times an hour before (48 incidents each); in the largest storm
the worst of ten critical incidents took 1.0 to 1.5 s instead of 13, and 660 to 780 writes were made instead of 993.

- A single incident at the median: after the receiver's write, which is half of the floor, come the watch event, a
  round of five reads, the journal, and three writes at once. That is one round trip more than the floor has, and ten
  milliseconds of processor time of both sides on the same two cores.
- A hundred models at once: each takes a dozen requests until it is contained, and its controllers ask for as many at
  the same time, to stop its pods. All of them wait for two cores; each request takes about fifty milliseconds then.
- A critical incident in the midst of that goes first, but what was asked before is answered before, and the receiver's
  write is one of many: it makes five requests one after the other.
- Many small notifications about the same models: each is a write of an incident that may have 64 alerts.
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One target and what was measured; `met` is None where nothing was."""

    name: str
    target: str
    figure: str = "not measured"
    met: bool | None = None


def page(results: Mapping[str, Figures]) -> str:
    """The whole page; what was not measured is said to be so."""
    machines = {json.dumps(found["machine"], sort_keys=True): found["machine"] for found in results.values()}
    shown = "; ".join(_machine(machine) for machine in machines.values()) or "nothing measured"
    parts = [_METHOD, f"Measured on: {shown}.\n", _bars(targets(results))]
    parts += [_single(results["single-incident"])] if "single-incident" in results else []
    parts += [_storm(results["storm"])] if "storm" in results else []
    parts += [_stored(results["stored"])] if "stored" in results else []
    return "\n".join([*parts, _CAUSES])


def figure(results: Mapping[str, Figures]) -> str:
    """The chart beside the page."""
    rows: dict[str, float] = {}
    if "single-incident" in results:
        rows |= {f"{name}, p50": row["p50"] for name, row in results["single-incident"]["figures"].items()}
    for cell in results.get("storm", {}).get("cells", ()):
        rows[f"last of: {_cell(cell['cell'])}"] = max(cell["contained"]) * 1000
    return bars("Time to containment", rows, unit="ms")


def targets(results: Mapping[str, Figures]) -> list[Bar]:
    """What was aimed at, and whether it was met."""
    single = results.get("single-incident", {}).get("figures", {})
    storm, stored = results.get("storm", {}), results.get("stored", {})
    floor, idle = single.get("floor"), single.get("idle")
    found = [
        _ratio("single incident, p50", idle, floor, share="p50", most=2.2),
        _ratio("single incident, p99", idle, floor, share="p99", most=4.0),
        _at_most("200 writes/s beside, p99.9", "1 s", _value(single.get("writes beside"), "p99.9"), 1000.0, "ms"),
    ]
    cells = storm.get("cells", ())
    lost = sum(cell["lost"] + cell["early"] for cell in cells) if cells else None
    found.append(_at_most("alerts lost, or answered before they were stored", "0", lost, 0, ""))
    most = max((sum(c["writes"].values()) / (c["cell"]["models"] + len(c["critical"])) for c in cells), default=None)
    found.append(_at_most("writes per model, whatever the number of alerts", "100", most, 100, ""))
    largest = max(cells, key=lambda c: (c["cell"]["alerts"], c["cell"]["models"]), default=None)
    inversion = max(largest["critical"]) * 1000 / storm["idle"]["p99"] if largest and largest["critical"] else None
    found.append(_at_most("critical incident mid-storm, to its idle p99", "2x", inversion, 2.0, "x"))
    name = f"{stored.get('stored', '10000')} stored incidents, idle operator"
    cores = stored["many"]["operator"]["cores"] * 100 if stored else None
    return [*found, _at_most(name, "1 % of a core", cores, 1.0, " %")]


def read(folder: Path) -> dict[str, Figures]:
    """All results of a folder, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def _ratio(name: str, row: Figures | None, floor: Figures | None, *, share: str, most: float) -> Bar:
    value = row[share] / floor[share] if row and floor else None
    return _at_most(name, f"{most:g}x the floor", value, most, "x")


def _at_most(name: str, target: str, value: float | None, most: float, unit: str) -> Bar:
    if value is None:
        return Bar(name, target)
    return Bar(name, target, f"{value:.3g}{' ' if unit == 'ms' else ''}{unit}", value <= most)


def _value(row: Figures | None, share: str) -> float | None:
    return row[share] if row else None


def _machine(machine: Figures) -> str:
    return f"{machine['cores']} cores, {machine['architecture']}, Linux {machine['kernel']}, Python {machine['python']}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(["| " + " | ".join(each) + " |" for each in [head, ["---"] * len(head), *rows]]) + "\n"


def _bars(found: list[Bar]) -> str:
    said = {True: "met", False: "**missed**", None: "not measured"}
    rows = [[bar.name, f"at most {bar.target}", bar.figure, said[bar.met]] for bar in found]
    return "## Targets\n\n" + _table(["Target", "Bar", "Measured", ""], rows) + "\n![times](performance.svg)\n"


def _single(found: Figures) -> str:
    rows, floor = found["figures"], found["figures"]["floor"]
    columns = ("p50", "p90", "p99", "p99.9", "max")
    lines = [
        [name, f"{row['n']:.0f}", *(f"{row[p]:.1f}" for p in columns), f"{row['p50'] / floor['p50']:.2f}"]
        for name, row in rows.items()
    ]
    return "## Single incidents (ms)\n\n" + _table(["", "n", *columns, "p50 to floor"], lines)


def _storm(found: Figures) -> str:
    head = [
        "Storm",
        "first",
        "median",
        "last contained",
        "answered",
        "lost",
        "writes",
        "429s",
        "critical, worst",
        "RSS",
    ]
    lines = []
    for cell in sorted(found["cells"], key=lambda c: (c["cell"]["shape"], c["cell"]["alerts"], c["cell"]["models"])):
        seen = sorted(cell["contained"])
        worst = f"{max(cell['critical']) * 1000:.0f} ms" if cell["critical"] else "-"
        peak = " / ".join(f"{size / MIB:.0f}" for size in cell["peak"].values()) + " MiB"
        times = [f"{seconds:.2f} s" for seconds in (seen[0], seen[len(seen) // 2], seen[-1], cell["answered"])]
        counts = [str(cell["lost"]), str(sum(cell["writes"].values())), str(cell["refused"])]
        lines.append([_cell(cell["cell"]), *times, *counts, worst, peak])
    idle = found["idle"]
    told = f"A critical incident with nothing beside it: p50 {idle['p50']:.0f} ms, p99 {idle['p99']:.0f} ms."
    more = "RSS is the most that operator and receiver ever had.\n"
    return f"## Storms\n\n{told} {more}\n" + _table(head, lines)


def _cell(cell: Figures) -> str:
    return f"{cell['alerts']} alerts, {cell['models']} models, {cell['shape']}"


def _stored(found: Figures) -> str:
    lines = []
    for name, state in (("none", found["none"]), (f"{found['stored']}", found["many"])):
        for process in ("operator", "receiver"):
            row = state[process]
            restart = state["restart"] if process == "operator" else {"ready": [], "contained": []}
            shown = [f"{min(s):.1f} to {max(s):.1f} s" if s else "-" for s in (restart["ready"], restart["contained"])]
            sizes = [f"{row[key] / MIB:.0f} MiB" for key in ("resident", "peak")]
            lines.append([name, process, f"{row['cores'] * 100:.2f} %", *sizes, *shown])
    head = ["Stored", "Process", "of a core, idle", "RSS", "peak RSS", "restart to ready", "restart to containment"]
    single = [sorted(found[name]["single"]) for name in ("none", "many")]
    medians = [f"{times[len(times) // 2] * 1000:.0f} ms" for times in single]
    told = f"A single incident is contained in {medians[0]} at the median with none stored, in {medians[1]} with all. "
    told += (
        f"A list of all {found['stored']} is {found['listBytes'] / MIB:.1f} MiB. Idle is {found['idleSeconds']} s.\n"
    )
    return f"## Stored incidents\n\n{told}\n" + _table(head, lines)
