"""The table can turn red: with a rule taken out of the sources, the plan or the story that is there for it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.control_plane import ControlPlane
from tests.e2e.scene import Stage
from tests.faults.mutations import MUTATIONS, Mutation, copied
from tests.faults.rule_stories import Ground, Story
from tests.faults.story import Place

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
TOLD = [mutation for mutation in MUTATIONS if isinstance(mutation.shown_by, Story)]
"""Those that no plan shows: the table does not say that their stories hold with the rule."""


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_every_rule_has_a_place_in_the_sources(mutation: Mutation, tmp_path: Path) -> None:
    assert (mutation.sources(tmp_path / "mutated") / "lazaretto" / mutation.file).exists()


@pytest.mark.slow
@pytest.mark.xdist_group("mutations")
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_without_a_rule_its_plan_turns_red(
    mutation: Mutation, stage: Stage, place: Place, control_plane: ControlPlane, cluster: ClusterAccess, tmp_path: Path
) -> None:
    ground = Ground(stage, place, control_plane, cluster, tmp_path, mutation.sources(tmp_path / "sources"))
    broken = mutation.play(ground)
    assert set(broken) & set(mutation.breaks), f"{mutation.shown_by} shows nothing of it: {broken}"


@pytest.mark.slow
@pytest.mark.xdist_group("mutations")
@pytest.mark.parametrize("mutation", TOLD, ids=lambda mutation: mutation.rule)
def test_with_a_rule_its_story_holds(
    mutation: Mutation, stage: Stage, place: Place, control_plane: ControlPlane, cluster: ClusterAccess, tmp_path: Path
) -> None:
    ground = Ground(stage, place, control_plane, cluster, tmp_path, copied(tmp_path / "sources"))
    assert not mutation.play(ground)
