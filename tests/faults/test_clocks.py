"""The operator's wall clock steps, or goes too fast: nothing comes of it but other times in the timeline."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.conftest import SYSTEM
from tests.e2e.scene import Scene, Stage
from tests.faults.clock import AHEAD, BEHIND, FAST, STEPS, WallClock
from tests.faults.plans import CONTAIN, RELEASE
from tests.faults.story import PEOPLE, Place, play
from tests.faults.table import Line, accept

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("clocks")]
EARLY = "before the containment began"
QUIET_SECONDS = 2.0
TIMES = {CONTAIN: "containedAt", RELEASE: "releasedAt"}


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> WallClock:
    return WallClock(tmp_path_factory.mktemp("clock") / "now")


@pytest.fixture(scope="module")
def clocked(
    place: Place, cluster: ClusterAccess, clock: WallClock, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Another operator in the place of the first, under the same account, by that clock."""
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-operator")
    root = tmp_path_factory.mktemp("clocked")
    with (
        place.operator.resting(),
        OperatorProcess(root / "operator", kubeconfig, environment=clock.environment) as operator,
    ):
        yield Place(operator, place.proxy, place.audit)


STORIES = [
    *(pytest.param(RELEASE, step) for step in STEPS),
    pytest.param(CONTAIN, BEHIND, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("phase", "step"), STORIES)
def test_a_clock_that_is_wrong_loses_nothing_and_releases_nothing(
    phase: str, step: str, stage: Stage, clocked: Place, clock: WallClock, lines: list[Line]
) -> None:
    scene = stage.build()
    clock.set("+0")
    outcome = play(None, scene, clocked, meanwhile={phase: partial(clock.set, STEPS[step])})
    accept(Line("process", step, phase, outcome.broken, outcome.after), lines)
    if step != FAST:
        assert abs(_off(scene, TIMES[phase])) > 3000, "the clock never stepped"


@pytest.mark.slow
def test_what_was_held_by_a_clock_ahead_waits_for_approvals_that_come_later(
    stage: Stage, clocked: Place, clock: WallClock
) -> None:
    """Approvals bear the API server's time, and one from before a hold is not for that one."""
    scene = stage.build()
    clock.set(STEPS[AHEAD])
    scene.report()
    scene.contained()
    assert _off(scene, "containedAt") > 3000
    held = scene.specs()
    clock.set("+0")
    for user in PEOPLE:
        scene.decide_at_once(user, "ApproveRelease")
    until(lambda: EARLY in json.dumps(scene.incident()["status"]), what="it says why they do not count")
    time.sleep(QUIET_SECONDS)
    assert scene.incident()["status"]["state"] == "Contained"
    assert scene.specs() == held


def _off(scene: Scene, name: str) -> float:
    """Seconds by which a time of the incident is ahead of the true one."""
    said = datetime.fromisoformat(scene.incident()["status"]["times"][name])
    return (said - datetime.now(UTC)).total_seconds()
