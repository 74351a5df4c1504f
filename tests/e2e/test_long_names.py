"""Names as long as Kubernetes lets them be: whatever is made of them fits, and nothing is taken for another."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from tests.cluster.waiting import until
from tests.e2e.scene import Scene, Stage, condition
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape, incident, protection, workloads

pytestmark = pytest.mark.cluster

LONGEST_MODEL = "m" * 52
"""By the kind's own bound."""
LONGEST_WORKLOAD = 242
"""Of a Deployment: with a longer name, its controller cannot name a ReplicaSet."""
LONGEST = 253


def long_names(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, with the longest names: Services and labels by theirs, Deployments by that of ReplicaSets."""
    found = json.loads(json.dumps(bodies).replace(MODEL, LONGEST_MODEL))
    for body in found:
        if body["kind"] == "Deployment":
            body["metadata"]["name"] = deployment(body["metadata"]["name"])
        for reference in [body["spec"].get("scaleTargetRef"), *body["spec"].get("workloads", ())]:
            if reference:
                reference["name"] = deployment(reference["name"])
    return found  # type: ignore[no-any-return]  # as it was given


def deployment(name: str) -> str:
    return name.replace(MODEL, LONGEST_MODEL).ljust(LONGEST_WORKLOAD, "d")


def test_the_longest_names_are_contained_and_released(stage: Stage) -> None:
    scene = stage.build(Shape())
    bodies = long_names([*workloads(Shape()), protection(Shape())[-1]])
    for body in bodies:
        scene.create(body)
    bad = deployment(BAD)
    until(lambda: _ready(scene, bad) and _ready(scene, deployment(GOOD)), what="the workloads are ready")
    before = scene.specs()
    until(
        lambda: condition(scene.read("protectedmodels", LONGEST_MODEL), "Armed").get("status") == "True",
        what="the model is armed",
    )
    names = ["i" * LONGEST, "i" * (LONGEST - 1) + "j"]
    for name in names:
        scene.create(incident(name=name, model=LONGEST_MODEL))
    for name in names:
        found = scene.await_state("Contained", name=name)
        until(partial(_kept, scene, name), what="the snapshot is kept")
        assert not condition(found, "Degraded")
    assert scene.replicas(bad) == 0
    kept = [_kept(scene, name) for name in names]
    assert len(set(kept)) == 2
    for name in names:
        for user in ("alice", "bob"):
            scene.decide(user, "ApproveRelease", name=name, model=LONGEST_MODEL)
    for name in names:
        scene.await_state("Released", name=name)
    until(lambda: scene.read("containments", LONGEST_MODEL) is None, what="the journal is gone")
    assert scene.specs() == before


def _kept(scene: Scene, name: str) -> str:
    return str(scene.incident(name)["status"].get("evidence", {}).get("configMap", ""))


def _ready(scene: Scene, name: str) -> bool:
    status = (scene.read("deployments", name) or {}).get("status", {})
    return bool(status.get("availableReplicas") == status.get("replicas") and status.get("replicas"))
