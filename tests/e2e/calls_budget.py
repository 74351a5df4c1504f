"""What one incident may cost the API server, and how `docs/architecture.md` says so.

Counts are for a model with two Deployments, one HTTPRoute and one autoscaler. Writes to anything that is not
Lazaretto's own are exact. How many passes a containment takes depends on how fast the controllers are, so what each
pass reads, and the statuses on the way, have an upper bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
MARKER = "<!-- calls-table -->"


@dataclass(frozen=True, slots=True)
class Budget:
    """Least and most calls of one kind."""

    least: int
    most: int

    def __str__(self) -> str:
        """As the table shows it."""
        if self.least == self.most:
            return str(self.most) if self.most else "–"
        return f"≤ {self.most}"

    def allows(self, count: int) -> bool:
        """Whether that many are within it."""
        return self.least <= count <= self.most


def _exactly(count: int) -> Budget:
    return Budget(count, count)


def _at_most(count: int) -> Budget:
    return Budget(0, count)


NONE = _exactly(0)
STAGES = ("contain", "hold, each pass", "release")
_READS = (
    *("list services", "list httproutes", "list grpcroutes", "list horizontalpodautoscalers"),
    *("list pods", "list endpointslices"),
)
_NAMED = ("get httproutes", "get horizontalpodautoscalers")

CALLS: Mapping[str, tuple[Budget, Budget, Budget]] = {
    "receiver: create aiincidents": (_exactly(1), NONE, NONE),
    "create containments": (_exactly(1), NONE, NONE),
    "patch deployments/scale": (_exactly(1), NONE, _exactly(1)),
    "patch httproutes": (_exactly(1), NONE, _exactly(1)),
    "patch horizontalpodautoscalers": (_exactly(1), NONE, _exactly(1)),
    "patch containments": (NONE, NONE, _exactly(1)),
    "delete containments": (NONE, NONE, _exactly(1)),
    "patch aiincidents/status": (_at_most(5), NONE, _at_most(10)),
    "patch containments/status": (_at_most(5), NONE, _at_most(4)),
    "patch protectedmodels/status": (_at_most(4), NONE, _at_most(4)),
    "patch modelrevisions/status": (_at_most(2), NONE, _at_most(3)),
    "create configmaps": (_exactly(1), NONE, NONE),
    "create events": (_at_most(11), NONE, _at_most(10)),
    "patch deployments/scale (dry run)": (_at_most(6), _exactly(1), _at_most(4)),
    "patch httproutes (dry run)": (_at_most(6), _exactly(1), _at_most(4)),
    "get deployments": (_at_most(30), _exactly(2), _at_most(50)),
    "list events": (_exactly(1), NONE, NONE),
    **{name: (_at_most(15), _exactly(1), _at_most(25)) for name in _READS},
    **{name: (_at_most(15), _exactly(1), _at_most(25)) for name in _NAMED},
    # KEDA is not installed there; surveys look whether it is by now.
    "list scaledobjects": (_at_most(8), NONE, _at_most(12)),
    "watch deployments": (_at_most(1), NONE, _at_most(1)),
    "watch httproutes": (_at_most(1), NONE, _at_most(1)),
    "watch horizontalpodautoscalers": (_at_most(1), NONE, _at_most(1)),
}

STATUS_BYTES: Mapping[str, int] = {
    "aiincidents": 8192,
    "containments": 1536,
    "protectedmodels": 1536,
    "modelrevisions": 2048,
}
"""Most bytes of JSON that a status has when the model is contained."""


def table() -> str:
    """The table of the documentation."""
    rows = ["| Call | " + " | ".join(STAGES) + " |", "|---|" + "---|" * len(STAGES)]
    rows += [f"| {name} | " + " | ".join(map(str, budgets)) + " |" for name, budgets in CALLS.items()]
    return "\n".join(rows)


def sizes() -> str:
    """The sentence of the documentation about statuses."""
    shown = ", ".join(f"`{plural}` {most}" for plural, most in STATUS_BYTES.items())
    return f"Most bytes of status, as JSON, when that model is contained: {shown}."


def excess(stage: str, counted: Counter[str]) -> dict[str, str]:
    """Calls that are not within their budgets, with the budget and the count."""
    index = STAGES.index(stage)
    budgets = {name: each[index] for name, each in CALLS.items()}
    names = budgets | dict.fromkeys(counted, NONE)
    return {
        name: f"{counted[name]} instead of {budgets.get(name, NONE)}"
        for name in names
        if not budgets.get(name, NONE).allows(counted[name])
    }
