"""Rollbacks in place and admission: what the operator may write, and what is still held of a workload afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.access import KubectlError
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fence_stories import BAD_LABELS, DRY, TEMPLATE, Json, Place, anew, pod, service, wake
from tests.cluster.installation import OPERATOR, denied, refused
from tests.cluster.waiting import until
from tests.e2e.shapes import BAD, GOOD
from tests.unit.install.sources import OPT_IN

pytestmark = pytest.mark.cluster

STOPPED, RUNNING = f"deployment/{BAD}", f"deployment/{GOOD}"
WRITTEN = "--field-manager=lazaretto-rollback"


def _with(**spec: Any) -> Json:
    return {"spec": {**TEMPLATE["spec"], **spec}}


MAY_NOT: dict[str, tuple[str, Json]] = {
    "of what runs": (RUNNING, TEMPLATE),
    "and raise it": (STOPPED, _with(replicas=1)),
    "and pause it": (STOPPED, _with(paused=True)),
    "and more": (STOPPED, _with(minReadySeconds=5)),
    "under another account": (STOPPED, {"spec": {"template": {"spec": {"serviceAccountName": "admin"}}}}),
    "and label it": (STOPPED, {**TEMPLATE, "metadata": {"labels": {"a": "b"}}}),
    "replicas alone": (STOPPED, {"spec": {"replicas": 1}}),
}


def opted_in(fenced: ControlPlane, *names: str) -> Place:
    place = Place.build(fenced)
    for name in names:
        fenced.apply((OPT_IN / f"{name}.yaml").read_text().replace("my-models", place.name))
    return place


@pytest.fixture(scope="module")
def place(fenced: ControlPlane) -> Place:
    """A contained model in whose namespace the operator may roll templates back."""
    return opted_in(fenced, "rollback")


def test_the_template_of_what_is_stopped_may_be_written(place: Place) -> None:
    place.patch(STOPPED, TEMPLATE, DRY, WRITTEN, as_user=OPERATOR)
    place.patch(STOPPED, TEMPLATE, as_user=OPERATOR)


@pytest.mark.parametrize("what", MAY_NOT)
def test_no_template_is_written_otherwise(what: str, place: Place) -> None:
    with refused("fence-operator", "the template of what is at 0 replicas"):
        place.patch(*MAY_NOT[what], DRY, WRITTEN, as_user=OPERATOR)


def test_the_right_to_keep_gitops_tools_away_is_none_to_templates(fenced: ControlPlane) -> None:
    with refused("fence-operator", "the template of what is at 0 replicas"):
        opted_in(fenced, "gitops").patch(STOPPED, TEMPLATE, as_user=OPERATOR)


def test_without_the_role_there_is_no_right(fenced: ControlPlane) -> None:
    with pytest.raises(KubectlError, match="cannot patch"):
        Place.build(fenced).patch(STOPPED, TEMPLATE, as_user=OPERATOR)


def test_a_rehearsal_by_anybody_else_is_no_way_in(place: Place) -> None:
    with refused("fence-workloads", "its template stays as it is"):
        place.patch(STOPPED, {"spec": {"template": {"metadata": {"annotations": {"changed": "no"}}}}}, WRITTEN)


@pytest.fixture(scope="module")
def back(fenced: ControlPlane) -> Place:
    """A model whose workload was rolled back; waits until admission has heard of it."""
    place = Place.build(fenced)
    place.hold(**{"compromised/0/rolledBack": True})
    until(lambda: not denied(lambda: place.scale(1, DRY), "fence-replicas"), what="admission lets it be raised")
    return place


PASSES: dict[str, Callable[[Place], object]] = {
    "scale up": lambda p: p.scale(3, DRY),
    "replicas by patch": lambda p: p.patch(STOPPED, {"spec": {"replicas": 3}}, DRY),
    "a pod of it": lambda p: p.create(pod(BAD_LABELS), DRY),
    "a Service before it": lambda p: p.create(service(BAD_LABELS), DRY),
    "by the operator": lambda p: p.operator(wake(p)),
}


@pytest.mark.parametrize("what", PASSES)
def test_what_was_rolled_back_may_serve(what: str, back: Place) -> None:
    PASSES[what](back)


def test_its_template_stays_as_it_is(back: Place) -> None:
    with refused("fence-workloads", "its template stays as it is"):
        back.patch(STOPPED, TEMPLATE, DRY)


def test_it_is_not_made_anew_with_replicas(fenced: ControlPlane) -> None:
    place = Place.build(fenced)
    place.hold(**{"compromised/0/rolledBack": True})
    with refused("fence-workloads", "stays at 0 replicas"):
        place.without_workload().create(anew(1))
