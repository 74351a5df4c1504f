"""An operator behind a proxy, and a place for what became of each plan."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operator import OperatorProcess
from tests.e2e.conftest import SYSTEM
from tests.e2e.scene import Stage, staged
from tests.faults.proxy import Proxy
from tests.faults.story import Place
from tests.faults.table import Line

RESULTS = "LAZARETTO_FAULTS_RESULTS"
"""Names the folder that takes the results."""


@pytest.fixture(scope="package")
def place(
    control_plane: ControlPlane, cluster: ClusterAccess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """The operator under its ServiceAccount, behind a proxy."""
    root: Path = tmp_path_factory.mktemp("faults")
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-operator")
    with (
        Proxy(kubeconfig, root / "kubeconfig") as proxy,
        OperatorProcess(root / "operator", root / "kubeconfig") as operator,
    ):
        yield Place(operator, proxy, control_plane.audit)


@pytest.fixture(scope="package")
def stage(control_plane: ControlPlane, place: Place) -> Iterator[Stage]:
    """Builds scenes; the operator runs."""
    with staged(control_plane) as built:
        yield built


@pytest.fixture(scope="package")
def lines() -> Iterator[list[Line]]:
    """Takes a line for each plan; in the end each worker writes its own where the environment names a folder."""
    found: list[Line] = []
    yield found
    if folder := os.environ.get(RESULTS):
        path = Path(folder) / f"{os.environ.get('PYTEST_XDIST_WORKER', 'all')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([line.plain() for line in found], indent=1))
