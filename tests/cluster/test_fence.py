"""The fence on a real API server: what is contained stays so, whoever asks, and nothing else is in anybody's way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lazaretto.errors import Forbidden
from lazaretto.kube.request import dry_run, json_patch
from lazaretto.kube.resource import HTTP_ROUTES
from tests.cluster.access import ClusterAccess
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fence_stories import (
    ATTEMPTS,
    BAD_LABELS,
    DRY,
    OPTED_IN,
    PASSES,
    REFUSED,
    TEMPLATE,
    UNHELD,
    Json,
    Place,
    pod,
    service,
    wake,
    weights,
)
from tests.cluster.installation import BREAK_GLASS, denied, refused
from tests.cluster.waiting import until
from tests.e2e.shapes import BAD, MODEL
from tests.unit.install.sources import FENCE

pytestmark = pytest.mark.cluster
NO_HOLD = {"fence-definitions", "fence-evidence", "fence-quarantine"}
"""Policies that ask no Containment."""


@pytest.mark.parametrize("what", REFUSED)
def test_refused_to_an_administrator(what: str, fenced: ControlPlane) -> None:
    policy, attempt = REFUSED[what]
    with refused(policy, f"is contained by incident {MODEL}-1 .Containment {MODEL}.*release it with"):
        attempt(Place.build(fenced))


@pytest.mark.parametrize("what", PASSES)
def test_passes(what: str, fenced: ControlPlane) -> None:
    PASSES[what](Place.build(fenced))


@dataclass(frozen=True)
class Emergency:
    """The cluster as somebody sees it who claims an emergency."""

    cluster: ClusterAccess

    def kubectl(self, *arguments: str, **more: Any) -> str:
        groups = ("--as=ada", f"--as-group={BREAK_GLASS}", "--as-group=system:masters")
        return self.cluster.kubectl(*arguments, *groups, **more)


@pytest.mark.parametrize("policy", sorted(set(ATTEMPTS) - set(UNHELD) - NO_HOLD))
def test_break_glass_passes_and_is_marked_in_the_audit_log(policy: str, fenced: ControlPlane) -> None:
    place, mark = Place.build(fenced), fenced.audit.mark()
    assert denied(lambda: ATTEMPTS[policy](place), policy)
    ATTEMPTS[policy](Place(Emergency(fenced), place.name))  # type: ignore[arg-type]  # all that a place uses
    key = f"lazaretto-{policy}/break-glass"
    marks = [r.annotations[key] for r in fenced.audit.since(mark, namespace=place.name) if key in r.annotations]
    assert marks == [f"ada undoes what incident {MODEL}-1 holds"]


def test_what_break_glass_does_beside_it_is_not_marked(fenced: ControlPlane) -> None:
    place, mark = Place.build(fenced), fenced.audit.mark()
    emergency = Place(Emergency(fenced), place.name)  # type: ignore[arg-type]  # all that a place uses
    emergency.scale(0).create(service({"app": "other"})).create(pod({"app": "other"}, name="other"))
    records = list(fenced.audit.since(mark, namespace=place.name))
    assert [r for r in records if r.impersonated == "ada"]
    assert not [key for r in records for key in r.annotations if key.endswith("/break-glass")]


def test_the_operator_s_dry_run_is_refused_so_that_it_can_prove_the_fence(fenced: ControlPlane) -> None:
    place = Place.build(fenced)
    with pytest.raises(Forbidden, match="ValidatingAdmissionPolicy 'lazaretto-fence-replicas'"):
        place.operator(dry_run(wake(place)))
    back = json_patch(HTTP_ROUTES, weights(90, 10), namespace=place.name, name=MODEL, manager="test")
    with pytest.raises(Forbidden, match="ValidatingAdmissionPolicy 'lazaretto-fence-routes'"):
        place.operator(dry_run(back))


@pytest.mark.parametrize(
    "hold", [{"releasing": True}, {"scaleToZero": False, "shiftTraffic": False}], ids=["released", "nothing asked for"]
)
def test_what_nothing_holds_is_free(fenced: ControlPlane, hold: Json) -> None:
    place = Place.build(fenced)
    place.hold(**hold)
    until(lambda: not denied(lambda: place.scale(1, DRY), "fence-replicas"))
    place.scale(1)
    place.patch(f"deployment/{BAD}", TEMPLATE)
    place.create(pod(BAD_LABELS))
    place.create(service(BAD_LABELS))


@pytest.mark.parametrize("labels", [{}, OPTED_IN | {"lazaretto.dev/fence": "off"}], ids=["not opted in", "left out"])
def test_other_namespaces_are_left_alone(fenced: ControlPlane, labels: Json) -> None:
    place = Place.build(fenced, labels)
    place.scale(1)
    place.create(pod(BAD_LABELS))


def test_the_kinds_are_deleted_in_an_emergency_alone(fenced: ControlPlane) -> None:
    name = "containments.lazaretto.dev"
    with refused("fence-definitions"):
        fenced.kubectl("delete", "crd", name)
    groups = ("--as-group=system:masters", f"--as-group={BREAK_GLASS}")
    fenced.kubectl("delete", "crd", name, DRY, *groups, as_user="ada")
    fenced.kubectl("delete", "crd", "grpcroutes.gateway.networking.k8s.io", DRY)


def test_every_policy_is_tried() -> None:
    assert set(ATTEMPTS) == {f"fence-{path.stem}" for path in FENCE.glob("*.yaml")} - {"fence-kustomization"}
    assert {policy for policy, _ in REFUSED.values()} | set(UNHELD) | NO_HOLD == set(ATTEMPTS)


@pytest.mark.parametrize("path", sorted(FENCE.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_expression_has_a_type_that_does_not_fit(fenced: ControlPlane, path: Path) -> None:
    if path.stem != "kustomization":
        found = fenced.get("validatingadmissionpolicy", f"lazaretto-fence-{path.stem}")
        assert "expressionWarnings" not in found.get("status", {}).get("typeChecking", {}), found["status"]
