"""Evidence is written once, by the operator; only break-glass changes or deletes it, and it goes with its namespace."""

from __future__ import annotations

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.fence_stories import EVIDENCE, TAMPERING, Place, evidence, kept
from tests.cluster.installation import BREAK_GLASS, OPERATOR, refused
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("what", TAMPERING)
def test_refused_to_an_administrator(what: str, fenced: ControlPlane) -> None:
    with refused("fence-evidence", f"only the group {BREAK_GLASS}"):
        TAMPERING[what](Place.build(fenced))


def test_refused_where_the_fence_is_off(fenced: ControlPlane) -> None:
    place = Place.build(fenced, {"lazaretto.dev/protected": "true", "lazaretto.dev/fence": "off"})
    with refused("fence-evidence"):
        TAMPERING["deleted"](place)


def test_what_is_no_evidence_is_nobodys_business(fenced: ControlPlane) -> None:
    place = Place.build(fenced).create(evidence(labelled=False))
    place.patch(f"configmap/{EVIDENCE}", {"data": {"more": "text"}})
    fenced.kubectl("delete", "configmap", EVIDENCE, "-n", place.name)


def test_the_operator_cannot_take_back_what_it_kept(fenced: ControlPlane) -> None:
    place = kept(Place.build(fenced))
    with pytest.raises(Exception, match="Forbidden"):
        fenced.kubectl("delete", "configmap", EVIDENCE, "-n", place.name, as_user=OPERATOR)


def test_break_glass_deletes_it(fenced: ControlPlane) -> None:
    place = kept(Place.build(fenced))
    groups = ("--as=alice", f"--as-group={BREAK_GLASS}", "--as-group=system:masters")
    fenced.kubectl("delete", "configmap", EVIDENCE, "-n", place.name, *groups)


def test_it_goes_with_its_namespace(fenced: ControlPlane) -> None:
    place = kept(Place.build(fenced))
    fenced.kubectl("delete", "namespace", place.name, "--wait=false")
    until(
        lambda: place.name not in fenced.kubectl("get", "namespaces", "-o", "name"),
        what="the namespace is gone",
    )
