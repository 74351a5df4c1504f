"""A copy of a contained Deployment under another name is held as well, and given back with the rest."""

from __future__ import annotations

import pytest

from tests.cluster.waiting import until
from tests.e2e.copies import COPY, bad_copy
from tests.e2e.scene import Scene, Stage
from tests.e2e.shapes import BAD, MODEL, Shape

pytestmark = pytest.mark.cluster

SHAPES = {"without a fence": Shape(by_labels=True, fenced=False), "fenced": Shape(by_labels=True)}


@pytest.fixture(scope="module")
def scenes(stage: Stage) -> dict[str, Scene]:
    """One for each of the shapes, contained, and with the copy made."""
    built = stage.build_all(SHAPES)
    for scene in built.values():
        scene.report()
    for scene in built.values():
        scene.contained()
        scene.create(bad_copy())
    return built


@pytest.mark.parametrize("name", SHAPES)
def test_a_copy_is_held_and_given_back_as_it_was_made(scenes: dict[str, Scene], name: str) -> None:
    scene = scenes[name]
    until(lambda: scene.replicas(COPY) == 0, what="the copy is scaled to zero")
    (hold,) = scene.read("containments", MODEL)["spec"]["holds"]
    assert [w["name"] for w in hold["compromised"]] == [BAD, COPY]
    until(
        lambda: [e for e in scene.incident()["status"]["timeline"] if e["type"] == "Grown"],
        what="the timeline tells of the copy",
    )
    until(
        lambda: not [p for p in scene.all("pods") if COPY in p["metadata"]["name"]], what="no pod of the copy is left"
    )
    scene.release()
    assert scene.replicas(COPY) == bad_copy()["spec"]["replicas"]
    assert scene.read("deployments", COPY)["spec"]["selector"] == bad_copy()["spec"]["selector"]
