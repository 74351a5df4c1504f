"""A quarantine is made and removed by the operator alone; only break-glass changes it."""

from __future__ import annotations

import pytest

from lazaretto.errors import Forbidden
from lazaretto.kube.request import Request, json_patch
from lazaretto.kube.resource import PODS
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fence_stories import OPENING, Json, Place, apart, pod, quarantined
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


APART = [{"op": "replace", "path": "/metadata/labels", "value": {"lazaretto.dev/quarantine": "chat"}}]
IMAGE = {"op": "replace", "path": "/spec/containers/0/image", "value": "registry.example/evil"}
NOT_MINE: dict[str, list[Json]] = {
    "another image": [IMAGE],
    "a deadline": [{"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 5}],
    "both at once": [*APART, IMAGE],
}


@pytest.fixture(scope="module")
def stray(fenced: ControlPlane) -> Place:
    """A namespace with a pod in it, where the operator may isolate."""
    place = Place.build(fenced).create(pod({"track": "free"}))
    role, user = "--clusterrole=lazaretto-isolation", f"--user={OPERATOR}"
    fenced.kubectl("create", "rolebinding", "isolation", role, user, "-n", place.name)
    return place


def changing(place: Place, change: list[Json]) -> Request:
    return json_patch(PODS, change, namespace=place.name, name="stray", manager="test")


@pytest.mark.parametrize("what", NOT_MINE)
def test_of_a_pod_the_operator_changes_nothing_that_runs(what: str, stray: Place) -> None:
    with pytest.raises(Forbidden, match=r"lazaretto-fence-operator.*nothing of a pod but its metadata"):
        stray.operator(changing(stray, NOT_MINE[what]))


def test_of_a_pod_the_operator_changes_its_metadata(stray: Place) -> None:
    stray.operator(changing(stray, APART))


def test_a_namespace_goes_with_its_quarantine_and_its_evidence(fenced: ControlPlane) -> None:
    place = apart(quarantined(Place.build(fenced)))
    fenced.kubectl("delete", "namespace", place.name, "--wait", "--timeout=60s")
