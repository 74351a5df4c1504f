"""The API server or its store is away while a model is contained or released, and everything ends as without that."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.cluster.access import answers
from tests.cluster.binaries import gateway_crds
from tests.cluster.control_plane import ControlPlane
from tests.cluster.etcd import Etcd
from tests.cluster.operator import OperatorProcess
from tests.cluster.process import ChildProcess, free_ports
from tests.cluster.waiting import PATIENCE, until
from tests.e2e.conftest import SYSTEM
from tests.e2e.scene import Scene, Stage, staged
from tests.e2e.shapes import BAD, MODEL
from tests.faults.faults import Fault, Held
from tests.faults.outage_proxies import Balancer
from tests.faults.outage_story import BEGINNINGS, Happening, attempt, reported, standing_still, staying
from tests.faults.outages import FROZEN, FULL, RESTARTED, ROLLED, journal_of, targets_of
from tests.faults.plans import CONTAIN
from tests.faults.table import Line, accept
from tests.unit.install.sources import REPOSITORY

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("outages"),
]
AWAY_SECONDS = 2.0
OPENING_SECONDS = 35.0
FROZEN_SECONDS = 10.0
FULL_SECONDS = 20.0
QUOTA = 96 * 2**20
FAILURES = re.compile(r"^lazaretto_pass_failures_total (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Site:
    """A control plane that may be harmed, and an operator behind a proxy."""

    plane: ControlPlane
    operator: OperatorProcess
    proxy: Balancer
    stage: Stage
    metrics: str
    second: int
    """Port of a second API server, if there is one."""

    def failures(self) -> float:
        """Passes that failed, as the operator counts them."""
        with urlopen(f"http://{self.metrics}/metrics") as answer:
            (count,) = FAILURES.findall(answer.read().decode())
        return float(count)

    def answers(self, port: int) -> bool:
        """Whether an API server is ready on that port."""
        return answers(f"https://127.0.0.1:{port}/readyz", ca_file=self.plane.ca_file)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root: Path = tmp_path_factory.mktemp("outages")
    port, second = free_ports(2)
    metrics = f"127.0.0.1:{port}"
    with ControlPlane(root / "plane", fsync=False, etcd_flags={"quota-backend-bytes": str(QUOTA)}) as plane:
        plane.apply_definitions(*gateway_crds())
        plane.ensure_nodes(3)
        for folder in ("crds", "manifests/base"):
            plane.apply_folder(REPOSITORY / folder)
        kubeconfig = plane.service_account_kubeconfig(SYSTEM, "lazaretto-operator")
        with (
            Balancer(kubeconfig, root / "kubeconfig", others=[second]) as proxy,
            OperatorProcess(root / "operator", root / "kubeconfig", flags=["--metrics-listen", metrics]) as operator,
            staged(plane) as stage,
        ):
            yield Site(plane, operator, proxy, stage, metrics, second)


def tell(site: Site, lines: list[Line], *, fault: str, phase: str, happen: Happening) -> None:
    """Plays the story on a new scene, by the process that runs."""
    with staying(site.operator):
        outcome = attempt(site.stage.build(), site.plane.audit, tolerant=True, **{phase: happen})
        accept(Line("outages", fault, phase, outcome.broken, outcome.after), lines)


def midst(scene: Scene) -> Fault:
    """The journal is written, and nothing of what it speaks of."""
    return Held(targets_of(scene.namespace))


@pytest.mark.parametrize("phase", BEGINNINGS)
def test_the_api_server_is_killed(phase: str, site: Site, lines: list[Line]) -> None:
    def happen(scene: Scene) -> float:
        with standing_still(site.proxy, scene, begin=BEGINNINGS[phase], at=midst(scene)):
            site.plane.stop_apiserver()
        time.sleep(AWAY_SECONDS)
        site.plane.start_apiserver()
        return time.monotonic()

    tell(site, lines, fault=RESTARTED, phase=phase, happen=happen)


@pytest.mark.parametrize("phase", BEGINNINGS)
def test_etcd_is_suspended(phase: str, site: Site, lines: list[Line]) -> None:
    etcd = site.plane.pids["etcd"]

    def happen(scene: Scene) -> float:
        try:
            with standing_still(site.proxy, scene, begin=BEGINNINGS[phase], at=midst(scene)):
                os.kill(etcd, signal.SIGSTOP)
            time.sleep(FROZEN_SECONDS)
        finally:
            os.kill(etcd, signal.SIGCONT)
        return time.monotonic()

    tell(site, lines, fault=FROZEN, phase=phase, happen=happen)


def test_etcd_is_out_of_space(site: Site, lines: list[Line]) -> None:
    etcd = Etcd(site.plane)

    def happen(scene: Scene) -> float:
        try:
            with standing_still(site.proxy, scene, begin=reported, at=Held(journal_of(scene.namespace))):
                failed, read = site.failures(), site.operator.log.stat().st_size
                print(f"\nfull after {etcd.fill()} MiB more")
            until(lambda: site.failures() > failed, what="passes are counted as failed")
            time.sleep(FULL_SECONDS)
            assert scene.read("containments", MODEL) is None
            said = site.operator.log.read_bytes()[read:].decode()
            assert "database space exceeded" in said
            assert f"pass over {scene.namespace}/{MODEL} failed" in said
            print(f"{site.failures() - failed:.0f} passes failed; the log grew by {len(said)} characters")
        finally:
            etcd.make_room()
        return time.monotonic()

    tell(site, lines, fault=FULL, phase=CONTAIN, happen=happen)


@pytest.fixture(scope="module")
def second(site: Site) -> Iterator[ChildProcess]:
    """Another API server."""
    child = site.plane.another_apiserver(site.second)
    child.start()
    try:
        child.wait_until(lambda: site.answers(site.second), seconds=PATIENCE)
        # It looks for the kinds of the policies' parameters, and is closed until it has found them.
        time.sleep(OPENING_SECONDS)
        yield child
    finally:
        child.stop()


@pytest.mark.parametrize("phase", BEGINNINGS)
def test_two_api_servers_are_killed_one_after_the_other(
    phase: str, site: Site, second: ChildProcess, lines: list[Line]
) -> None:
    """As when they are upgraded. The other one answers meanwhile."""

    def happen(scene: Scene) -> float:
        with standing_still(site.proxy, scene, begin=BEGINNINGS[phase], at=midst(scene)):
            mark = site.plane.audit.mark()
            site.plane.stop_apiserver()
        begun = time.monotonic()
        scaled = f"/namespaces/{scene.namespace}/deployments/{BAD}/scale"
        site.plane.audit.wait_for(mark, matches=lambda r: scaled in r.uri and r.code == 200 and not r.dry_run)
        print(f"\n{phase}: scaled {time.monotonic() - begun:.1f} s after the first was killed, while it is away")
        site.plane.start_apiserver()
        second.kill()
        time.sleep(AWAY_SECONDS)
        second.start()
        return time.monotonic()

    tell(site, lines, fault=ROLLED, phase=phase, happen=happen)
