"""Every write of a containment and of its release goes wrong in every way, and everything ends as without a fault.

What fails without a killed process is played in several namespaces at once, each with a fault of its own, and one
without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from tests.e2e.ledger import READS, Ledger
from tests.e2e.scene import OPERATOR, Stage
from tests.e2e.shapes import Shape
from tests.faults.oracle import Outcome
from tests.faults.plans import EVERY_TIME, FAILED, KILLED, STREAMED, WRITES, Plan
from tests.faults.story import Place, attempt, play
from tests.faults.table import Line, accept

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
AT_ONCE = 8


def parameters(plans: Sequence[Plan]) -> list[Any]:
    """All of them; those that are not for every run are slow."""
    return [pytest.param(p, id=str(p), marks=[] if p in EVERY_TIME else [pytest.mark.slow]) for p in plans]


class Batches:
    """Plays plans that kill nobody, several at once: each when the first of its batch is asked for."""

    def __init__(self, plans: Sequence[Plan], stage: Stage, place: Place) -> None:
        self._batches = [plans[first : first + AT_ONCE - 1] for first in range(0, len(plans), AT_ONCE - 1)]
        self._stage = stage
        self._place = place
        self._played: dict[Plan, Outcome] = {}

    def outcome(self, plan: Plan) -> Outcome:
        """What became of a plan."""
        if plan not in self._played:
            self._play(next(batch for batch in self._batches if plan in batch))
        return self._played[plan]

    def _play(self, plans: Sequence[Plan]) -> None:
        """Several, and beside them a model of which nothing goes wrong."""
        names: list[Plan | None] = [None, *plans]
        scenes = self._stage.build_all({str(plan): Shape() for plan in names})
        with ThreadPoolExecutor(AT_ONCE) as pool:
            beside, *outcomes = pool.map(lambda plan: attempt(plan, scenes[str(plan)], self._place), names)
        for outcome in outcomes if beside.broken else ():
            outcome.broken["I"] = str(beside.broken)
        self._played |= dict(zip(plans, outcomes, strict=True))


@pytest.fixture(scope="module")
def batches(stage: Stage, place: Place, request: pytest.FixtureRequest) -> Batches:
    """Of every selected plan that kills nobody."""
    wanted = [
        cast(Plan, item.callspec.params["plan"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and "batches" in item.fixturenames
    ]
    return Batches(wanted, stage, place)


def test_these_are_all_writes_that_there_are(stage: Stage, place: Place) -> None:
    """Without a fault nothing is broken; and what is written is what the plans let go wrong, and Events."""
    scene = stage.build()
    ledger = Ledger(place.audit, scene.namespace)
    assert not play(None, scene, place).broken
    written = {
        (r.verb, r.uri.partition("?")[0]) for r in ledger.calls(OPERATOR) if r.verb not in READS and not r.dry_run
    }
    verbs = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}
    path = "/namespaces/" + scene.namespace
    known = {(verbs[write.method], write.end) for write in WRITES}
    ours = {(verb, uri.partition(path)[2]) for verb, uri in written}
    others = {end for _, end in ours - known}
    assert known <= ours
    assert all(
        end.startswith(("/events", "/protectedmodels/", "/modelrevisions", "/responsepolicies/")) for end in others
    )


@pytest.mark.xdist_group("failing")
@pytest.mark.parametrize("plan", parameters(FAILED))
def test_a_write_fails(plan: Plan, batches: Batches, lines: list[Line]) -> None:
    accept(Line.of(plan, batches.outcome(plan)), lines)


@pytest.mark.xdist_group("killed")
@pytest.mark.parametrize("plan", parameters(KILLED))
def test_the_operator_is_killed(plan: Plan, stage: Stage, place: Place, lines: list[Line]) -> None:
    accept(Line.of(plan, _alone(plan, stage, place)), lines)


@pytest.mark.xdist_group("watches")
@pytest.mark.parametrize("plan", parameters(STREAMED))
def test_a_watch_goes_wrong(plan: Plan, stage: Stage, place: Place, lines: list[Line]) -> None:
    accept(Line.of(plan, _alone(plan, stage, place)), lines)


def _alone(plan: Plan, stage: Stage, place: Place) -> Outcome:
    place.operator.start()
    return attempt(plan, stage.build(), place)
