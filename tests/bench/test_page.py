"""The page, and the JSON beside it, from results as a run leaves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.bench.__main__ import write
from tests.bench.page import kept, page, targets
from tests.bench.storms import Cell, Result

MACHINE = {"architecture": "x86_64", "cores": 2, "kernel": "6.1", "python": "3.11"}
ROW = {"n": 10.0, "p50": 10.123456, "p90": 20.0, "p99": 30.0, "p99.9": 30.0, "max": 30.0}


def result(day: str, **figures: Any) -> dict[str, Any]:
    return {"machine": MACHINE, "measured": day, **figures}


def storm(*results: Result) -> dict[str, Any]:
    return result("2026-01-01", idle=ROW, cells=[each.dump() for each in results])


def cell(shape: Any, *, alerts: int = 1000, critical: float, floor: float = 0.5, **more: Any) -> Result:
    return Result(Cell(alerts, 10, shape), contained=[1.0, 2.0], critical=[0.01, critical], floor=floor, **more)


def row(text: str, start: str) -> str:
    (found,) = (line for line in text.splitlines() if line.startswith(f"| {start}"))
    return found


def test_what_was_not_measured_is_said_to_be_so() -> None:
    assert {bar.met for bar in targets({})} == {None}
    assert page({}).count("not measured") >= len(targets({}))


def test_the_headline_of_a_storm_is_the_worst_of_the_largest() -> None:
    """A smaller one may be worse, and an arbitrary one of the largest may be better."""
    found = storm(cell("fat", critical=0.03), cell("small", critical=0.06), cell("fat", alerts=100, critical=9.0))
    shown = row(page({"storm": found}), "critical incident amid 1000 alerts for 10 models")
    assert "| 2x |" in shown
    assert "met" in shown


def test_a_storm_is_shown_beside_the_median_of_the_floors_of_as_many_models() -> None:
    results = [cell(shape, critical=0.03, floor=floor) for shape, floor in (("fat", 0.1), ("small", 0.5), ("twins", 9))]
    assert "| 4.0x |" in row(page({"storm": storm(*results)}), "1000 alerts, 10 models, twins")


def test_the_runs_of_a_storm_are_one_row() -> None:
    """With the median of the times, and the worst of the critical incidents."""
    results = [cell("fat", critical=critical) for critical in (0.03, 0.05, 0.09)]
    results[0].contained = [3.0, 4.0]
    shown = row(page({"storm": storm(*results)}), "1000 alerts, 10 models, fat")
    assert shown.startswith("| 1000 alerts, 10 models, fat | 3 | 1.00 s | 2.00 s | 2.00 s | 4.0x |")
    assert "| 30 ms | 90 ms |" in shown


def test_an_alert_that_the_receiver_never_counted_misses_the_target() -> None:
    found = targets({"storm": storm(cell("fat", critical=0.02, uncounted=1))})
    (lost,) = (bar for bar in found if bar.name.startswith("alerts lost"))
    assert lost.met is False


def test_an_earlier_result_stays_until_there_is_a_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    new = folder / "fault-latency.json"
    new.write_text(json.dumps(result("2026-01-02", figures={"a fault": ROW})))
    earlier = {
        "storm": storm(cell("fat", critical=0.02)),
        "fault-latency": result("2026-01-01", figures={"another": ROW}),
    }
    (tmp_path / "performance.json").write_text(kept(earlier))
    write(folder, to=tmp_path)
    text = (tmp_path / "performance.md").read_text()
    assert "When: fault-latency 2026-01-02, storm 2026-01-01." in text
    assert row(text, "a fault") == "| a fault | 10 | 10 | 20 | 30 |"
    assert "| another |" not in text
    found = json.loads((tmp_path / "performance.json").read_text())
    assert found["fault-latency"] == result("2026-01-02", figures={"a fault": ROW | {"p50": 10.12}})
    assert found["storm"]["cells"] == earlier["storm"]["cells"]


def test_a_long_past_is_shown_beside_none_and_by_the_pages_of_a_start() -> None:
    process = {"cores": 0.005, "resident": 2**20, "peak": 2**21}
    read = {"pages": 101, "lists": 2, "limits": [100], "bytes": 200 * 2**20, "largest": 2**20}
    state = {
        "operator": process,
        "receiver": process,
        "single": [0.04, 0.05, 0.06],
        "floor": [0.02] * 3,
        "restart": {"ready": [1.0, 1.2], "contained": [0.9], "read": read},
    }
    found = result("2026-01-01", stored=500, listBytes=2**22, idleSeconds=9, none=state, many=state)
    text = page({"stored": found})
    assert "| 500 | 50 ms | 60 ms | 3 | 20.0 ms | 2.50 |" in text
    assert "| 500 | 2 | 101 | 100 | 200.0 | 1.00 MiB |" in text
    assert "| 500 stored incidents, idle operator | at most 1 % of a core | 0.5 % | met |" in text


def test_single_incidents_are_measured_by_their_floor() -> None:
    single = result("2026-01-01", figures={"floor": ROW, "idle": ROW | {"p50": 25.0}, "writes beside": ROW})
    text = page({"single-incident": single})
    assert "| idle | 10 | 25.0 | 20.0 | 30.0 | 30.0 | 30.0 | 2.47 |" in text
    assert "| at most 2.2x the floor | 2.47x | **missed** |" in row(text, "single incident, p50")[22:]
