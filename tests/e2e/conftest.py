"""One operator and one receiver for all tests of this folder, each a process with its own account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.audit import AuditLog
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operator import OperatorProcess
from tests.cluster.process import free_ports
from tests.cluster.receiver import ReceiverProcess
from tests.e2e.raw_api import RawApi
from tests.e2e.scene import Scene, Stage
from tests.faults.proxy import Proxy

SYSTEM = "lazaretto-system"
TOKENS = {"alertmanager": "one-long-secret-of-alertmanager"}


@pytest.fixture(scope="package")
def admin(control_plane: ControlPlane) -> Iterator[RawApi]:
    """The API as the administrator."""
    api = RawApi(control_plane.kubeconfig)
    yield api
    api.close()


@pytest.fixture(scope="package")
def audit(control_plane: ControlPlane) -> AuditLog:
    """The API server's audit log."""
    return control_plane.audit


@pytest.fixture(scope="package")
def prometheus_port() -> int:
    """Where the operator looks for Prometheus; a test may put one there."""
    return free_ports(1)[0]


@pytest.fixture(scope="package")
def operator(
    cluster: ClusterAccess, prometheus_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """The operator under its ServiceAccount. A test that stops it starts it again."""
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-operator")
    flags = ["--prometheus-url", f"http://127.0.0.1:{prometheus_port}"]
    with OperatorProcess(tmp_path_factory.mktemp("operator"), kubeconfig, flags=flags) as process:
        yield process


@pytest.fixture(scope="package")
def receiver(cluster: ClusterAccess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    """The receiver under its ServiceAccount."""
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-receiver")
    root = tmp_path_factory.mktemp("receiver")
    with ReceiverProcess(root, kubeconfig, namespace=SYSTEM, tokens=TOKENS) as process:
        yield process


@pytest.fixture(scope="package")
def stage(control_plane: ControlPlane, admin: RawApi, operator: OperatorProcess) -> Iterator[Stage]:
    """Builds scenes; the operator runs."""
    built = Stage(control_plane, admin)
    yield built
    built.clear()


@pytest.fixture(scope="module")
def proxied(
    operator: OperatorProcess, cluster: ClusterAccess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[OperatorProcess, Proxy]]:
    """An operator behind a proxy, not started yet, in place of the one that all tests share.

    Scenes have to be built before: ask for them first.
    """
    root = tmp_path_factory.mktemp("proxied")
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-operator")
    with operator.resting(), Proxy(kubeconfig, root / "kubeconfig") as proxy:
        process = OperatorProcess(root / "operator", root / "kubeconfig")
        try:
            yield process, proxy
        finally:
            process.stop()


@pytest.fixture
def scene(stage: Stage) -> Scene:
    """The demo's model, armed."""
    return stage.build()
