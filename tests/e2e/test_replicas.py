"""Two operators on one API server: one writes, and the other takes over whatever becomes of the first.

Each has the service account of the operator and a Lease of its own for the test, beside the one that all other tests
share; what they lead is measured by what happens to an incident that comes then.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.audit import AuditLog
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.conftest import SYSTEM
from tests.e2e.ledger import Ledger, named
from tests.e2e.raw_api import RawApi
from tests.e2e.scene import OPERATOR, Scene, Stage
from tests.e2e.shapes import BAD, MODEL, Shape

pytestmark = pytest.mark.cluster

LEASE_SECONDS = 4
STORIES = ("ended", "killed")
TOUCHED = {"deployments/scale": BAD, "httproutes": MODEL, "horizontalpodautoscalers": BAD}


class Replicas:
    """Operators by name, and the Lease that they share."""

    def __init__(self, root: Path, kubeconfig: Path, admin: RawApi) -> None:
        self._root = root
        self._kubeconfig = kubeconfig
        self._admin = admin
        self._running: dict[str, OperatorProcess] = {}
        self.lease = "lazaretto-operator"

    def start(self, name: str, *, lease: str = "", seconds: int = LEASE_SECONDS) -> OperatorProcess:
        flags = ["--identity", name, "--lease", lease or self.lease, "--lease-seconds", str(seconds)]
        process = OperatorProcess(self._root / name, self._kubeconfig, flags=flags)
        self._running[name] = process
        process.start()
        return process

    def holder(self, lease: str = "") -> str:
        found = self._admin.get("leases", namespace=SYSTEM, name=lease or self.lease)
        return str((found.get("spec") or {}).get("holderIdentity", ""))

    def led_by(self, name: str, *, lease: str = "") -> None:
        until(lambda: self.holder(lease) == name, what=f"{name} leads")

    def stop(self) -> None:
        for process in self._running.values():
            process.stop()
        self._running.clear()


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
    made = Replicas(tmp_path, kubeconfig, admin)
    operator.stop()
    try:
        yield made
    finally:
        made.stop()
        operator.start()


def written(ledger: Ledger, times: int) -> None:
    """Every target was written that often."""
    ledger.settled()
    counts = Counter((named(r).removeprefix("patch "), r.name) for r in ledger.targets())
    assert counts == dict.fromkeys(TOUCHED.items(), times)


def test_the_other_takes_over_at_once_from_one_that_ends_and_after_the_lease_from_one_that_is_killed(
    scenes: dict[str, Scene], replicas: Replicas, audit: AuditLog
) -> None:
    ended, killed = scenes["ended"], scenes["killed"]
    first = replicas.start("first")
    replicas.led_by("first")
    second = replicas.start("second")
    ledgers = [Ledger(audit, each.namespace) for each in (ended, killed)]

    begun = time.monotonic()
    first.stop()
    replicas.led_by("second")
    print(f"\nSIGTERM: another one leads after {time.monotonic() - begun:.2f} s")
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
        written(ledger, 1)
        assert not ledger.excess(OPERATOR)
