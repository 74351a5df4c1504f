"""Every write of a containment and of its release goes wrong in every way, and everything ends as without a fault.

Writes that fail are played in several namespaces at once, each with a fault of its own, and one without any; beside a
watch that goes wrong there is one without a fault as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import partial

import pytest

from tests.e2e.ledger import Ledger
from tests.e2e.scene import Scene, Stage
from tests.e2e.shapes import MODEL, Shape
from tests.faults.batches import Batches, parameters
from tests.faults.clean_run import phased
from tests.faults.faults import WATCH
from tests.faults.oracle import Outcome
from tests.faults.plans import (
    CONTAIN,
    EVERY_TIME,
    FAILED,
    KILLED,
    LATER,
    RELEASE,
    STREAMED,
    SURVEYED,
    WRITES,
    Plan,
    Write,
)
from tests.faults.story import Place, attempt, attempt_beside, play
from tests.faults.table import Line, accept

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
AT_ONCE = 8
LEARNT = ("first", "second", "third")
"""Stories without a fault from which the writes are learnt: those that each of them has."""
VERBS = {"create": "POST", "patch": "PATCH", "delete": "DELETE"}
ALIKE = {
    (CONTAIN, f"/aiincidents/{MODEL}-1/status"): 2,
    (RELEASE, f"/aiincidents/{MODEL}-1/status"): 3,
    (CONTAIN, f"/containments/{MODEL}/status"): 2,
    **{(write.phase, write.end): 1 for write in SURVEYED},
}
"""From which on a status says more of the same. Everything else is planned as often as it is written."""
BESIDE = ("/events", "/responsepolicies/*/status")
"""What may be lost: what people read beside the incident, and how often a policy was used."""


@pytest.fixture(scope="module")
def batches(stage: Stage, place: Place, request: pytest.FixtureRequest) -> Batches[Plan]:
    """Beside several plans a model of which nothing goes wrong."""

    def play(plans: Sequence[Plan]) -> Sequence[Outcome]:
        names: list[Plan | None] = [None, *plans]
        scenes = stage.build_all({str(plan): Shape() for plan in names})
        with ThreadPoolExecutor(AT_ONCE) as pool:
            beside, *outcomes = pool.map(lambda plan: attempt(plan, scenes[str(plan)], place), names)
        for outcome in outcomes if beside.broken else ():
            outcome.broken["I"] = str(beside.broken)
        return outcomes

    return Batches(request, size=AT_ONCE - 1, play=play)


def test_these_are_all_writes_that_there_are(stage: Stage, place: Place) -> None:
    """Without a fault nothing is broken; and what is written then, and how often, is what the plans let go wrong."""
    scenes = stage.build_all({name: Shape() for name in LEARNT})
    with ThreadPoolExecutor(len(LEARNT)) as pool:
        runs = list(pool.map(partial(_learn, place=place), scenes.values()))
    every = {each: min(run[each] for run in runs) for each in set().union(*runs)}
    planned = {where for plan in (*FAILED, *KILLED) if isinstance(where := plan.where, Write)}
    assert planned == {*WRITES, *LATER, *SURVEYED}
    # Surveys write when they come by, which may be in the other phase.
    plans = Counter((where.phase, where.method, where.end) for where in planned if where not in SURVEYED)
    ends = {where.end for where in SURVEYED}
    counted = {each: count for each, count in every.items() if count and each[2] not in ends}
    assert {each: min(count, ALIKE.get((each[0], each[2]), count)) for each, count in counted.items()} == plans
    assert {end for run in runs for _, _, end in run} >= ends


def _learn(scene: Scene, *, place: Place) -> Counter[tuple[str, str, str]]:
    """How often what was written in a story without a fault: phase, method, and the path's end as plans have it."""
    ledger = Ledger(place.audit, scene.namespace)
    assert not (broken := play(None, scene, place).broken), broken
    passed = place.proxy.record.about(scene.namespace)
    written = {f"{e.verb} {e.address}" for e in passed if e.what.startswith("2") and "dryRun=" not in e.address}
    assert {f"{VERBS[r.verb]} {r.uri}" for r in ledger.stored()} <= written, "the proxy sees all of it"
    assert f"ADDED {scene.namespace}/{MODEL}-1" in {e.what for e in passed if e.verb == WATCH}
    found: Counter[tuple[str, str, str]] = Counter()
    for phase, record in phased(ledger):
        path = record.uri.partition("?")[0].partition(f"/namespaces/{scene.namespace}")[2]
        patterns = {write.end for write in (*WRITES, *SURVEYED)}
        end = next((each for each in (*patterns, *BESIDE) if fnmatchcase(path, each)), path)
        if end not in BESIDE:
            found[phase, VERBS[record.verb], end] += 1
    return found


@pytest.mark.xdist_group("failing")
@pytest.mark.parametrize("plan", parameters(FAILED, every_time=EVERY_TIME))
def test_a_write_fails(plan: Plan, batches: Batches[Plan], lines: list[Line]) -> None:
    accept(Line.of(plan, batches.outcome(plan)), lines)


@pytest.mark.xdist_group("killed")
@pytest.mark.parametrize("plan", parameters(KILLED, every_time=EVERY_TIME))
def test_the_operator_is_killed(plan: Plan, stage: Stage, place: Place, lines: list[Line]) -> None:
    place.operator.start()
    accept(Line.of(plan, attempt(plan, stage.build(), place)), lines)


@pytest.mark.xdist_group("watches")
@pytest.mark.parametrize("plan", parameters(STREAMED, every_time=EVERY_TIME))
def test_a_watch_goes_wrong(plan: Plan, stage: Stage, place: Place, lines: list[Line]) -> None:
    place.operator.start()
    first, second = stage.build_all({"disturbed": Shape(), "beside": Shape()}).values()
    accept(Line.of(plan, attempt_beside(plan, (first, second), place)), lines)
