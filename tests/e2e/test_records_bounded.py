"""Many rollouts leave a bounded number of records, and never take the last one that is good."""

from __future__ import annotations

import pytest

from lazaretto.domain.identity import identity_of, revision_name
from lazaretto.domain.retirement import MOST_RECORDS
from tests.cluster.waiting import until
from tests.e2e.rollouts import SHAPE, attested, roll_out, template
from tests.e2e.scene import Scene, Stage
from tests.e2e.shapes import MODEL

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROLLOUTS = 15
EXCEPT = 3
"""What is attested, what runs, and what has earned most."""


def test_fifteen_rollouts_leave_what_is_bounded_and_what_is_good(stage: Stage) -> None:
    scene = stage.build(SHAPE)
    record = attested(scene, template(1), template(2))
    record.chosen()
    for number in range(3, 3 + ROLLOUTS):
        roll_out(scene, template(number))
        until(lambda: _recorded(scene, number), what=f"revision {number} is recorded")  # noqa: B023
    until(lambda: len(_looked(scene)) <= MOST_RECORDS + EXCEPT, what="spare records are gone")
    assert record.name in _looked(scene), "somebody has attested it"
    assert _recorded(scene, 2 + ROLLOUTS), "it runs"
    record.chosen()


def _recorded(scene: Scene, number: int) -> bool:
    return revision_name(MODEL, identity_of(template(number))) in _looked(scene)


def _looked(scene: Scene) -> set[str]:
    scene.look_again()
    return {each["metadata"]["name"] for each in scene.all("modelrevisions")}
