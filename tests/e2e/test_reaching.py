"""Getting to a known-good revision that is at zero replicas, beside the compromised one or in its place."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import until
from tests.e2e.raw_api import Object
from tests.e2e.scene import Scene, Stage, condition
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape, policy

pytestmark = pytest.mark.cluster

GPUS = 8
MILD = "ModelDrift"
"""A category whose incidents are SEV3."""


def policies(plan: str = "Auto", *, deadline: str = "2m", **more: Any) -> Mapping[str, Mapping[str, Any]]:
    reach = {"plan": plan, "deadline": deadline}
    return {"at-once": policy("Automatic", reach=reach, onNoKnownGood="Zero", **more)}


@pytest.fixture(scope="module")
def pools(control_plane: ControlPlane) -> Iterator[list[str]]:
    """Nodes of this module's own, each with eight accelerators."""
    names = control_plane.add_nodes(4, **{"nvidia.com/gpu": GPUS})
    yield names
    control_plane.kubectl("delete", "node", *names)


def served(scene: Scene) -> Object:
    """Waits until the timeline says that the known-good revision serves; returns that entry."""

    def told() -> Any:
        return next(
            (e for e in (scene.incident() or {}).get("status", {}).get("timeline", ()) if e["type"] == "Served"), None
        )

    return until(told, what="the known-good revision serves")


def test_a_full_pool_is_cut_freed_and_served(stage: Stage, pools: list[str]) -> None:
    scene = stage.build(Shape(standby=True, pool=pools[0], size=GPUS, policies=policies()))
    before = scene.specs()
    scene.report(category=MILD)
    entry = served(scene)
    assert "no revision of the model served for" in entry["message"]
    assert scene.replicas() == 0
    assert scene.replicas(GOOD) == GPUS
    assert scene.weights() == {GOOD: 100, BAD: 0}
    scene.contained()
    [hold] = scene.read("containments", MODEL)["spec"]["holds"]
    assert "Insufficient nvidia.com/gpu" in hold["reach"]["cutBecause"]
    scene.release()
    assert scene.specs() == before
