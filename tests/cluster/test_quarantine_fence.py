"""A quarantine is made and removed by the operator alone; only break-glass changes it."""

from __future__ import annotations

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.fence_stories import OPENING, Place, quarantined
from tests.cluster.installation import BREAK_GLASS, OPERATOR, refused

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("what", OPENING)
def test_refused_to_an_administrator(what: str, fenced: ControlPlane) -> None:
    with refused("fence-quarantine", f"only the group {BREAK_GLASS}"):
        OPENING[what](Place.build(fenced))


@pytest.mark.parametrize("groups", [("--as=alice", f"--as-group={BREAK_GLASS}", "--as-group=system:masters"), ()])
def test_break_glass_and_the_operator_delete_it(groups: tuple[str, ...], fenced: ControlPlane) -> None:
    place = quarantined(Place.build(fenced))
    own = None if groups else OPERATOR
    fenced.kubectl("delete", "networkpolicy", "quarantine", "-n", place.name, *groups, as_user=own)
