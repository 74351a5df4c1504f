"""The API server answers nothing but errors, puts writes off, or ends every watch, and all ends as without that."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.conftest import SYSTEM
from tests.e2e.scene import OPERATOR, Scene, Stage
from tests.e2e.shapes import MODEL
from tests.e2e.test_alert_to_containment import HELD
from tests.faults.faults import REACHED_SECONDS
from tests.faults.outage_proxies import FleetingProxy
from tests.faults.outage_story import Happening, attempt, staying
from tests.faults.outages import DOWN, MUTED, SLOWED, WATCHES_CUT, Slowed, down, muted
from tests.faults.plans import CONTAIN
from tests.faults.story import Place
from tests.faults.table import Line, accept

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300), pytest.mark.xdist_group("server")]
EVERY_TIME = "all requests answered 503 for 1 s"
CUT_SECONDS = 0.1
CUTTING_SECONDS = 20.0
LEAST_CUTS = 200
MOST_LISTS = 20
"""Of our kinds: one of each, because they are compared every minute, and some more."""


def tell(place: Place, scene: Scene, lines: list[Line], *, fault: str, happen: Happening) -> None:
    """Plays the story by the process that runs."""
    place.operator.start()
    with staying(place.operator):
        outcome = attempt(scene, place.audit, contain=happen)
        accept(Line("outages", fault, CONTAIN, outcome.broken, outcome.after), lines)


@pytest.mark.parametrize("fault", [pytest.param(f, marks=[] if f == EVERY_TIME else [pytest.mark.slow]) for f in DOWN])
def test_nothing_is_answered(fault: str, place: Place, stage: Stage, lines: list[Line]) -> None:
    """It begins before the incident."""
    status, seconds = DOWN[fault]

    def happen(scene: Scene) -> float:
        with place.proxy.befallen(down(status)) as everything:
            assert everything.reached.wait(REACHED_SECONDS)
            scene.report()
            time.sleep(seconds)
        return everything.over_at

    tell(place, stage.build(), lines, fault=fault, happen=happen)


@pytest.fixture
def fleeting(place: Place, cluster: ClusterAccess, tmp_path: Path) -> Iterator[tuple[Place, FleetingProxy]]:
    """Another operator in the place of the first, behind a proxy that can cut all watches."""
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-operator")
    with (
        place.operator.resting(),
        FleetingProxy(kubeconfig, tmp_path / "kubeconfig") as proxy,
        OperatorProcess(tmp_path / "operator", tmp_path / "kubeconfig") as operator,
    ):
        yield Place(operator, proxy, place.audit), proxy


@pytest.mark.slow
def test_every_watch_is_cut(fleeting: tuple[Place, FleetingProxy], stage: Stage, lines: list[Line]) -> None:
    place, proxy = fleeting
    scene = stage.build()

    def happen(scene: Scene) -> float:
        mark, begun = place.audit.mark(), time.monotonic()
        with proxy.cutting(CUT_SECONDS):
            until(lambda: proxy.cuts, what="the first watch is cut")
            scene.report()
            scene.contained()
            print(f"\ncontained after {time.monotonic() - begun:.1f} s of it")
            time.sleep(max(0.0, begun + CUTTING_SECONDS - time.monotonic()))
        asked = place.audit.since(mark, users=[OPERATOR], verbs=["list"], namespace="")
        lists = Counter(record.resource for record in asked)
        print(f"{proxy.cuts} watches cut; lists of all namespaces meanwhile: {dict(lists)}")
        assert proxy.cuts > LEAST_CUTS
        assert lists.total() <= MOST_LISTS
        return time.monotonic()

    tell(place, scene, lines, fault=WATCHES_CUT, happen=happen)


@pytest.mark.slow
def test_each_write_is_put_off_once(place: Place, stage: Stage, lines: list[Line]) -> None:
    def happen(scene: Scene) -> float:
        with place.proxy.befallen(Slowed(scene.namespace)) as slowed:
            scene.report()
            assert slowed.over.wait(REACHED_SECONDS), "not all of them came"
        return slowed.over_at

    tell(place, stage.build(), lines, fault=SLOWED, happen=happen)


@pytest.mark.slow
def test_statuses_that_are_put_off_keep_nothing_from_being_contained(
    place: Place, stage: Stage, lines: list[Line]
) -> None:
    def happen(scene: Scene) -> float:
        with place.proxy.befallen(muted(scene.namespace)) as muting:
            begun = time.monotonic()
            scene.report()
            for plural, name, holds in HELD:
                until(lambda: holds(scene.read(plural, name)), what=f"{plural}/{name} is held")  # noqa: B023
            print(f"\nall is held {time.monotonic() - begun:.2f} s after the incident, and no status says so")
            assert muting.reached.wait(REACHED_SECONDS)
            assert "state" not in scene.incident().get("status", {})
            assert "state" not in scene.read("containments", MODEL).get("status", {})
        return muting.over_at

    tell(place, stage.build(), lines, fault=MUTED, happen=happen)
