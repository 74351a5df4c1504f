"""Says of one story whether each property held, from what an independent witness saw and the API server's audit log.

The witness's versions are ordered by their resource versions, which come from one store and so tell what was before
what, whenever the witness heard of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from tests.e2e.ledger import Ledger
from tests.e2e.raw_api import Object
from tests.e2e.scene import OPERATOR
from tests.e2e.shapes import MODEL
from tests.e2e.test_alert_to_containment import HELD
from tests.e2e.watcher import Version, Watcher
from tests.faults.clean_run import FACTS, excess, facts

PROPERTIES: Mapping[str, str] = {
    "L": "nothing lost: the incident is stored, contained and released, each once in its timeline",
    "X": "each object is seen to change once when it is contained, and once when it is released",
    "C": "contained, with proof",
    "U": "never back in service before people approved",
    "R": "restored exactly: every spec that could be touched is as it was",
    "I": "another model is contained meanwhile, as if nothing were wrong",
    "H": "no status says Contained of anything that is not",
    "B": "no request that is not needed, and no more than four times as many as without a fault",
}
MOST_CALLS = 4 * 250
"""A clean containment with its release takes about 250 requests."""


@dataclass(slots=True)
class Outcome:
    """What became of one plan."""

    broken: dict[str, str] = field(default_factory=dict)
    """By property, what was wrong."""
    after: float = 0.0
    """Seconds from the end of the fault until the model was contained, or released."""
    contained_after: float | None = None
    """Seconds from the end of the fault until the workload and the route were written, if the fault came before."""
    ready_after: float | None = None
    """Of these, seconds until the operator that was killed was ready again."""


def judge(
    watcher: Watcher, ledger: Ledger, *, before: Mapping[str, Any], after: Mapping[str, Any], incident: Object
) -> dict[str, str]:
    """What was broken, by property; nothing if all is well."""
    found = dict(_visible(watcher))
    keys = [entry["key"] for entry in incident["status"]["timeline"]]
    if incident["status"]["state"] != "Released" or len(set(keys)) < len(keys):
        found["L"] = f"{incident['status']['state']}; told twice: {sorted({k for k in keys if keys.count(k) > 1})}"
    if changed := [name for name in before if before[name] != after.get(name)]:
        found["R"] = f"not as before: {', '.join(changed)}"
    excess, calls = ledger.excess(OPERATOR), ledger.counted(OPERATOR).total()
    if excess or calls > MOST_CALLS:
        found["B"] = f"{calls} requests; not needed: {sorted(excess)}"
    return found


def compare(found: Mapping[str, str], ledger: Ledger, incident: Object) -> dict[str, str]:
    """What was found, and with it what is not as in a story without a fault."""
    found = dict(found)
    missing = [("L", f"never told: {name}") for name in sorted(FACTS - facts(incident))]
    for key, what in (*missing, *excess(ledger)):
        found[key] = f"{found[key]}; {what}" if key in found else what
    return found


def _visible(watcher: Watcher) -> Iterator[tuple[str, str]]:
    held = {(plural, name): list(_states(watcher.seen(plural, name), holds)) for plural, name, holds in HELD}
    for (plural, name), states in held.items():
        changes = [state for state, _ in groupby(state for _, state in states)]
        if changes != [False, True, False]:
            yield "X", f"{plural}/{name} was held as {changes}"
    statuses = [(_number(v), v.body.get("status", {})) for v in watcher.seen("aiincidents", f"{MODEL}-1")]
    contained = [number for number, status in statuses if status.get("state") == "Contained"]
    if not contained:
        yield "C", "never Contained"
        return
    approved = max((_number(v) for v in watcher.seen("incidentdecisions")), default=0)
    for (plural, name), states in held.items():
        if any(not _at(states, number) for number in contained if number < approved):
            yield "H", f"the incident said Contained while {plural}/{name} was not held"
        if any(not state for number, state in states if contained[0] < number < approved):
            yield "U", f"{plural}/{name} was back before the approval"


def _states(versions: Sequence[Version], holds: Any) -> Iterator[tuple[int, bool]]:
    for version in sorted(versions, key=_number):
        yield _number(version), bool(holds(version.body))


def _at(states: Sequence[tuple[int, bool]], number: int) -> bool:
    """Whether it was held when the store had come to this number."""
    return [state for at, state in states if at <= number][-1]


def _number(version: Version) -> int:
    return int(version.body["metadata"]["resourceVersion"])
