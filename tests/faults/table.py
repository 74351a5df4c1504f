"""The table of what every fault does to every property, for `docs/reference/faults.md`."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.faults.clock import STEPS
from tests.faults.oracle import PROPERTIES, Outcome
from tests.faults.outages import OUTAGES
from tests.faults.plans import FAILURES, KILLS, STREAMS, Plan

HELD, BROKEN, NOT_ASKED = "holds", "**broken**", "-"
RECEIVED = "receiver"
"""The group of what befalls the receiver, of which only some properties are asked."""
_OF_THE_RECEIVER = "LXIB"


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one plan."""

    group: str
    fault: str
    where: str
    broken: dict[str, str]
    after: float
    contained_after: float | None = None
    ready_after: float | None = None

    @classmethod
    def of(cls, plan: Plan, outcome: Outcome) -> Line:
        """The line of a plan."""
        where, took = plan.where, (outcome.after, outcome.contained_after, outcome.ready_after)
        if isinstance(where, str):
            return cls("watches", plan.fault, where, outcome.broken, *took)
        group = "process" if plan.kills else "requests"
        return cls(group, plan.fault, f"{where.phase}: {where.said}", outcome.broken, *took)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def accept(line: Line, lines: list[Line]) -> None:
    """Notes a line, and fails if a property was broken."""
    lines.append(line)
    assert not line.broken, {PROPERTIES[key]: what for key, what in line.broken.items()}


def table(lines: Sequence[Line]) -> str:
    """One row for each fault, over every place where it struck."""
    return "\n".join(_rows(lines)) + "\n"


def _rows(lines: Sequence[Line]) -> Iterator[str]:
    times = ("Over after", "Contained after", "Contained after ready")
    yield f"| Fault | Plans | {' | '.join(PROPERTIES)} | {': median, most | '.join(times)}: median, most |"
    yield f"|---|---|{'---|' * len(PROPERTIES)}{'---|' * len(times)}"
    of_the_operator = [line for line in lines if line.group != RECEIVED]
    of_the_receiver = [line for line in lines if line.group == RECEIVED]
    for fault in (*FAILURES, *KILLS, *STREAMS, *STEPS, *OUTAGES):
        yield from _row(fault, [line for line in of_the_operator if line.fault == fault])
    for fault in (*FAILURES, *KILLS):
        yield from _row(f"{RECEIVED}: {fault}", [line for line in of_the_receiver if line.fault == fault])


def _row(name: str, lines: Sequence[Line]) -> Iterator[str]:
    if lines:
        cells = [_cell(lines, key) for key in PROPERTIES]
        written = [(line.contained_after, line.ready_after) for line in lines if line.contained_after is not None]
        took = (
            [line.after for line in lines],
            [after for after, _ in written],
            [max(0.0, after - ready) for after, ready in written if ready is not None],
        )
        yield f"| {name} | {len(lines)} | {' | '.join(cells)} | {' | '.join(map(_times, took))} |"


def _times(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.1f} s, {max(seconds):.1f} s" if seconds else NOT_ASKED


def _cell(lines: Sequence[Line], key: str) -> str:
    if key == "I" and lines[0].fault not in (*FAILURES, *STREAMS):
        return NOT_ASKED
    if lines[0].group == RECEIVED and key not in _OF_THE_RECEIVER:
        return NOT_ASKED
    broken = sum(key in line.broken for line in lines)
    return f"{BROKEN} ({broken})" if broken else HELD
