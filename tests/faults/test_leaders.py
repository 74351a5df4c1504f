"""Two operators: both lead, the one that leads is suspended for a minute, or it has gone by a clock that is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.waiting import until
from tests.e2e.conftest import SYSTEM
from tests.e2e.replicas import Replicas
from tests.e2e.scene import Scene, Stage
from tests.faults.clock import AHEAD, BEHIND, STEPS, WallClock
from tests.faults.outage_story import approved, attempt, reported
from tests.faults.outages import BOTH_LEAD, LATE_LEADER, MISDATED
from tests.faults.plans import CONTAIN
from tests.faults.story import Place
from tests.faults.table import Line, accept

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("leaders")]
SUSPENDED_SECONDS = 60.0


@pytest.fixture
def scene(stage: Stage) -> Scene:
    return stage.build()


@pytest.fixture
def replicas(scene: Scene, place: Place, cluster: ClusterAccess, tmp_path: Path) -> Iterator[Replicas]:
    """None runs yet, and the operator of the other stories rests."""
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-operator")
    with place.operator.resting(), Replicas(tmp_path, kubeconfig, scene.admin) as made:
        yield made


def test_both_lead(scene: Scene, replicas: Replicas, place: Place, lines: list[Line]) -> None:
    """Forced by two Leases: nothing tells either of them about the other."""
    replicas.split()
    # It goes on in both phases, which are timed as those in which something goes wrong.
    outcome = attempt(scene, place.audit, contain=partial(reported), release=partial(approved))
    accept(Line("outages", BOTH_LEAD, CONTAIN, outcome.broken, outcome.after), lines)


def test_the_leader_is_suspended(scene: Scene, replicas: Replicas, place: Place, lines: list[Line]) -> None:
    first = replicas.start("first")
    replicas.led_by("first")
    replicas.start("second")

    def happen(scene: Scene) -> float:
        first.freeze()
        scene.report()
        scene.contained()
        time.sleep(SUSPENDED_SECONDS)
        assert replicas.holder() == "second"
        first.thaw()
        until(lambda: "first leads no more" in first.log.read_text(), what="the first one gives way")
        return time.monotonic()

    outcome = attempt(scene, place.audit, contain=happen)
    accept(Line("outages", LATE_LEADER, CONTAIN, outcome.broken, outcome.after), lines)


@pytest.mark.parametrize("step", [AHEAD, BEHIND])
def test_the_leader_goes_by_a_clock_that_is_wrong_and_is_killed(
    step: str, scene: Scene, replicas: Replicas, place: Place, lines: list[Line], tmp_path: Path
) -> None:
    """What the Lease says of the time is an hour off: the other one goes by how long it has not changed."""
    clock = WallClock(tmp_path / "now")
    clock.set(STEPS[step])
    first = replicas.start("first", environment=clock.environment)
    replicas.led_by("first")
    replicas.start("second")

    def happen(scene: Scene) -> float:
        first.kill()
        scene.report()
        return time.monotonic()

    outcome = attempt(scene, place.audit, contain=happen)
    assert replicas.holder() == "second"
    accept(Line("outages", MISDATED, step, outcome.broken, outcome.after), lines)
