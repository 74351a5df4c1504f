"""The table can turn red: with a rule taken out of the sources, the plans that are there for it fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operator import OperatorProcess
from tests.e2e.conftest import SYSTEM
from tests.e2e.scene import Stage
from tests.faults.mutations import MUTATIONS, Mutation
from tests.faults.proxy import Proxy
from tests.faults.story import Place, attempt

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_every_rule_has_a_place_in_the_sources(mutation: Mutation, tmp_path: Path) -> None:
    assert (mutation.sources(tmp_path / "mutated") / "lazaretto" / mutation.file).exists()


@pytest.mark.slow
@pytest.mark.xdist_group("mutations")
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_without_a_rule_its_plans_turn_red(
    mutation: Mutation, stage: Stage, place: Place, control_plane: ControlPlane, cluster: ClusterAccess, tmp_path: Path
) -> None:
    scene = stage.build()
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-operator")
    place.operator.stop()
    try:
        with (
            Proxy(kubeconfig, tmp_path / "kubeconfig") as proxy,
            OperatorProcess(
                tmp_path / "operator", tmp_path / "kubeconfig", sources=mutation.sources(tmp_path / "mutated")
            ) as operator,
        ):
            broken = attempt(mutation.shown_by, scene, Place(operator, proxy, control_plane.audit)).broken
    finally:
        place.operator.start()
    assert set(broken) & set(mutation.breaks), f"{mutation.shown_by} shows nothing of it: {broken}"
