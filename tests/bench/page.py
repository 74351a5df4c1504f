"""The page that shows what runs have found: text for people, from the JSON that each benchmark leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.svg import bars
from tests.bench.tables import (
    Figures,
    alike,
    faults,
    last_contained,
    not_as_it_should,
    singles,
    stored,
    storm_name,
    storms,
    table,
)

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
- What becomes of a storm in which processes are killed is told in [faults.md](faults.md).
- Growth is gated in `make test` by counted bytecodes (`tests/unit/test_work_growth.py`), calls per incident by the
  audit log (`tests/e2e/test_calls.py`).
"""


_CAUSES = """## Where the time goes

- A single incident at the median: after the receiver's write, which is half of the floor, come the watch event, a
  round of five reads, the journal, and three writes at once. That is one round trip more than the floor has, and ten
  milliseconds of processor time of both sides on the same two cores.
- A hundred models at once: each takes a dozen requests until it is contained, and its controllers ask for as many at
  the same time, to stop its pods. All of them wait for two cores; each request takes about fifty milliseconds then.
  The operator itself takes 4 to 5 s of processor time for the hundred, of the 16 that two cores have meanwhile.
- A critical incident in the midst of that goes first, but what was asked before is answered before, the receiver's
  write is one of many, and controllers wait for nobody: it makes five requests one after the other. With 8 places for
  requests in the place of 32 it was not much faster (0.6 to 1.2 s), and all hundred took 11 s in the place of 8.
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
    dates = ", ".join(f"{name} {found['measured']}" for name, found in sorted(results.items())) or "never"
    parts = [_METHOD, f"Measured on: {shown}. When: {dates}.\n", _bars(targets(results))]
    sections = {"single-incident": singles, "fault-latency": faults, "storm": storms, "stored": stored}
    parts += [section(results[name]) for name, section in sections.items() if name in results]
    return "\n".join([*parts, _CAUSES])


def figure(results: Mapping[str, Figures]) -> str:
    """The chart beside the page."""
    rows: dict[str, float] = {}
    if "single-incident" in results:
        rows |= {f"{name}, p50": row["p50"] for name, row in results["single-incident"]["figures"].items()}
    for runs in alike(results.get("storm", {}).get("cells", ())):
        rows[f"last of: {storm_name(runs[0]['cell'])}"] = last_contained(runs) * 1000
    return bars("Time to containment", rows, unit="ms")


def targets(results: Mapping[str, Figures]) -> list[Bar]:
    """What was aimed at, and whether it was met."""
    single = results.get("single-incident", {}).get("figures", {})
    past = results.get("stored")
    floor, idle = single.get("floor"), single.get("idle")
    found = [
        _ratio("single incident, p50", idle, floor, share="p50", most=2.2),
        _ratio("single incident, p99", idle, floor, share="p99", most=4.0),
        _at_most("200 writes/s beside, p99.9", "1 s", _value(single.get("writes beside"), "p99.9"), 1000.0, "ms"),
    ]
    found += _storm_targets(results.get("storm", {}))
    name = f"{past['stored'] if past else 10_000} stored incidents, idle operator"
    cores = past["many"]["operator"]["cores"] * 100 if past else None
    return [*found, _at_most(name, "1 % of a core", cores, 1.0, " %")]


def _storm_targets(storm: Figures) -> list[Bar]:
    """Each by the worst of its storms."""
    cells = storm.get("cells", ())
    lost = sum(map(not_as_it_should, cells)) if cells else None
    most = max((sum(c["writes"].values()) / (c["cell"]["models"] + len(c["critical"])) for c in cells), default=None)
    size = max(((c["cell"]["alerts"], c["cell"]["models"]) for c in cells), default=(10_000, 100))
    largest = [c for c in cells if (c["cell"]["alerts"], c["cell"]["models"]) == size]
    worst = max((seconds for cell in largest for seconds in cell["critical"]), default=None)
    inversion = worst * 1000 / storm["idle"]["p99"] if worst is not None else None
    said = f"critical incident amid {size[0]} alerts for {size[1]} models, the worst of all shapes, to its idle p99"
    return [
        _at_most("alerts lost, listed wrongly, or answered before they were stored", "0", lost, 0, ""),
        _at_most("writes per model, in the storm with the most of them", "100", most, 100, ""),
        _at_most(said, "2x", inversion, 2.0, "x"),
    ]


def read(folder: Path) -> dict[str, Figures]:
    """All results of a folder, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def kept(results: Mapping[str, Figures]) -> str:
    """The results as they are kept beside the page: a line for each, and no digits that mean nothing."""
    lines = [f'"{name}": {json.dumps(_short(found), separators=(",", ":"))}' for name, found in sorted(results.items())]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _short(each) for key, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, list) else value


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


def _bars(found: list[Bar]) -> str:
    said = {True: "met", False: "**missed**", None: "not measured"}
    rows = [[bar.name, f"at most {bar.target}", bar.figure, said[bar.met]] for bar in found]
    return "## Targets\n\n" + table(["Target", "Bar", "Measured", ""], rows) + "\n![times](performance.svg)\n"
