"""Two operators on one API server: one writes, and the other takes over whatever becomes of the first.

Each has the service account of the operator and a Lease of its own for the test, beside the one that all other tests
share; what they lead is measured by what happens to an incident that comes then.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.audit import AuditLog, AuditRecord
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.conftest import SYSTEM
from tests.e2e.journal import assert_one_base, assert_written
from tests.e2e.ledger import Ledger, named
from tests.e2e.raw_api import RawApi
from tests.e2e.replicas import LEASE_SECONDS, Replicas
from tests.e2e.scene import OPERATOR, Scene, Stage
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape
from tests.faults.faults import WATCH, Held, Parked
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.cluster

STORIES = ("ended", "killed", "split", "suspended", "overtaken")
LONG_REST = 60.0
BESIDE_SECONDS = 0.5
"""In which the writes that are sent with the first one are sent as well."""
PLURALS = ("deployments", "httproutes", "horizontalpodautoscalers")


@pytest.fixture(scope="module")
def scenes(stage: Stage) -> dict[str, Scene]:
    """A scene for each story, built together and ready."""
    return stage.build_all(dict.fromkeys(STORIES, Shape()))


@pytest.fixture
def replicas(
    operator: OperatorProcess, scenes: dict[str, Scene], cluster: ClusterAccess, admin: RawApi, tmp_path: Path
) -> Iterator[Replicas]:
    """None runs yet; the operator that all tests share rests meanwhile."""
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-operator")
    with operator.resting(), Replicas(tmp_path, kubeconfig, admin) as made:
        yield made


def test_the_other_takes_over_at_once_from_one_that_ends_and_after_the_lease_from_one_that_is_killed(
    scenes: dict[str, Scene], replicas: Replicas, audit: AuditLog
) -> None:
    ended, killed = scenes["ended"], scenes["killed"]
    first = replicas.start("first")
    replicas.led_by("first")
    second = replicas.start("second")
    ledgers = [Ledger(audit, each.namespace) for each in (ended, killed)]

    begun = time.monotonic()
    first.terminate()
    replicas.led_by("second")
    print(f"\nSIGTERM: another one leads after {time.monotonic() - begun:.2f} s")
    first.stop()
    ended.report()
    ended.contained()

    first.start()
    begun = time.monotonic()
    second.kill()
    killed.report()
    replicas.led_by("first")
    took = time.monotonic() - begun
    killed.contained()
    print(f"kill -9: another one leads after {took:.2f} s, with a lease of {LEASE_SECONDS} s")
    for ledger in ledgers:
        assert_written(ledger, 1)
        assert not ledger.excess(OPERATOR)


def test_two_that_both_think_they_lead_contain_once_and_release_exactly(
    scenes: dict[str, Scene], replicas: Replicas, audit: AuditLog
) -> None:
    """Forced by two Leases: nothing tells either of them about the other."""
    scene = scenes["split"]
    replicas.split()
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    generations = scene.generations()
    with scene.watched() as watcher:
        scene.report()
        scene.contained()
        held = {"weights": scene.weights(), "replicas": scene.replicas()}
        assert held == {"weights": {GOOD: 100, BAD: 0}, "replicas": 0}
        released = scene.release()
        watcher.first("containments", bool, event="DELETED")
    ledger.settled()
    assert scene.specs() == before
    moved = {name: scene.generations()[name] - generation for name, generation in generations.items()}
    assert {moved[f"deployments/{BAD}"], moved[f"httproutes/{MODEL}"]} == {2}, "each was moved there and back, once"
    assert_one_base(watcher)
    calls = ledger.calls(OPERATOR, writes=True)
    stored = Counter(named(r) for r in calls if 200 <= r.code < 300)
    print(f"\nsplit brain: {dict(stored)}; refused: {dict(Counter(named(r) for r in calls if r.code in (409, 422)))}")
    assert (stored["create containments"], stored["create configmaps"]) == (1, 1)
    most = Counter((named(r), r.name) for r in ledger.targets())
    assert max(most.values()) <= 4, f"each of the two may write once in either direction: {most}"
    assert not ledger.excess(OPERATOR)
    keys = Counter(entry["key"] for entry in released["status"]["timeline"])
    assert max(keys.values()) == 1, keys


@pytest.mark.parametrize("seconds", [1.5 * LEASE_SECONDS, pytest.param(LONG_REST, marks=pytest.mark.slow)])
def test_a_leader_that_was_suspended_does_no_harm_when_it_goes_on(
    seconds: float, scenes: dict[str, Scene], stage: Stage, replicas: Replicas, audit: AuditLog
) -> None:
    scene = scenes["suspended"] if seconds < LONG_REST else stage.build(armed=False)
    first = replicas.start("first")
    replicas.led_by("first")
    second = replicas.start("second")
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    with scene.watched() as watcher:
        first.freeze()
        begun = time.monotonic()
        scene.report()
        replicas.led_by("second")
        scene.contained()
        time.sleep(max(0.0, begun + seconds - time.monotonic()))
        mark = audit.mark()
        first.thaw()
        # It has looked at the Lease, and so knows.
        until(lambda: "first leads no more" in first.log.read_text(), what="the first one gives way")
        assert (scene.replicas(), scene.weights()) == (0, {GOOD: 100, BAD: 0})
        assert_written(ledger, 1)
        late = [r for r in audit.since(mark, users=[OPERATOR], namespace=SYSTEM) if r.verb == "patch"]
        assert {r.code for r in late if r.resource == "leases"} <= {200, 409, 422}
        second.stop()
        replicas.led_by("first")
        scene.release()
        watcher.first("containments", bool, event="DELETED")
    assert scene.specs() == before
    assert_written(ledger, 2)
    assert_one_base(watcher)
    assert not ledger.excess(OPERATOR)


@pytest.mark.slow
def test_writes_that_arrive_when_another_one_has_led_and_released_meanwhile_change_nothing(
    scenes: dict[str, Scene], replicas: Replicas, cluster: ClusterAccess, audit: AuditLog, tmp_path: Path
) -> None:
    scene = scenes["overtaken"]
    surfaces = {f"deployments/{BAD}/scale", f"httproutes/{MODEL}", f"horizontalpodautoscalers/{BAD}"}
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    with Proxy(cluster.service_account_kubeconfig(SYSTEM, "lazaretto-operator"), tmp_path / "kubeconfig") as proxy:
        first = replicas.start("first", kubeconfig=tmp_path / "kubeconfig")
        replicas.led_by("first")
        replicas.start("second")
        late = Parked(lambda method, path: method == "PATCH" and path.partition(f"/{scene.namespace}/")[2] in surfaces)
        with scene.watched() as watcher:
            with proxy.befallen(late):
                scene.report()
                assert late.reached.wait(60.0), "it wrote nothing"
                time.sleep(BESIDE_SECONDS)
                first.freeze()
                replicas.led_by("second")
                scene.contained()
                scene.release()
                watcher.first("containments", bool, event="DELETED")
                mark = audit.mark()
            arrived = {audit.wait_for(mark, matches=_writes(scene, plural)).code for plural in PLURALS}
            first.thaw()
            until(lambda: "first leads no more" in first.log.read_text(), what="the first one gives way")
    assert arrived <= {409, 422}, "each was guarded by what it had read"
    assert scene.specs() == before
    assert_written(ledger, 2)
    assert_one_base(watcher)


def _writes(scene: Scene, plural: str) -> Callable[[AuditRecord], bool]:
    return lambda r: (r.verb, r.resource, r.namespace, r.dry_run) == ("patch", plural, scene.namespace, False)


def test_a_process_one_of_whose_watches_is_dead_ends(
    replicas: Replicas, cluster: ClusterAccess, audit: AuditLog, tmp_path: Path
) -> None:
    """As behind a connection that leads nowhere any more; all other requests are answered."""
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-operator")
    with Proxy(kubeconfig, tmp_path / "kubeconfig") as proxy:
        process = OperatorProcess(tmp_path / "operator", tmp_path / "kubeconfig")
        mark = audit.mark()
        process.start()
        replicas.led_by(socket.gethostname())
        audit.wait_for(mark, matches=lambda r: (r.user, r.verb, r.resource) == (OPERATOR, "watch", "responsepolicies"))
        try:
            silent = Held(lambda verb, path: verb == WATCH and path.endswith("/responsepolicies"))
            with proxy.befallen(silent):
                assert silent.reached.wait(60.0), "it never watched"
                begun = time.monotonic()
                until(lambda: not process.running, what="the process ends")
                print(f"\na watch that says nothing: ended after {time.monotonic() - begun:.1f} s")
        finally:
            process.stop()
    said = process.log.read_text()
    assert "nothing heard by the watches on responsepolicies" in said
    until(lambda: not replicas.holder(), what=f"it has given up the Lease; it said: {said[-2000:]}")
