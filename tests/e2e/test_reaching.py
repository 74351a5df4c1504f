"""Getting to a known-good revision that is at zero replicas, beside the compromised one or in its place."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import until
from tests.e2e.raw_api import RawApi
from tests.e2e.reaching_stories import (
    ADMISSION,
    GPUS,
    MILD,
    MUTE,
    Story,
    entries,
    mute_node,
    policies,
    served,
    stories,
)
from tests.e2e.scene import Scene, Stage
from tests.e2e.shapes import BAD, FALLBACK, GOOD, MODEL, Shape
from tests.e2e.watcher import Version, Watcher

pytestmark = pytest.mark.cluster

NAMES = list(stories(""))


@pytest.fixture(scope="module")
def pools(control_plane: ControlPlane) -> Iterator[list[str]]:
    """Nodes of this module's own, each with eight accelerators."""
    names = control_plane.add_nodes(3, **{"nvidia.com/gpu": GPUS})
    yield names
    control_plane.kubectl("delete", "node", *names)


@pytest.fixture(scope="module")
def told(stage: Stage, admin: RawApi, pools: list[str]) -> Iterator[dict[str, tuple[Story, Scene]]]:
    """All stories up to their ends, side by side."""
    mute_node(admin)
    all_stories = stories(pools[0])
    scenes = stage.build_all({name: story.shape for name, story in all_stories.items()})

    def play(name: str) -> None:
        story, scene = all_stories[name], scenes[name]
        story.before(scene)
        scene.report(**story.reported)
        story.after(scene)

    with ThreadPoolExecutor(len(scenes)) as pool:
        list(pool.map(play, all_stories))
    yield {name: (story, scenes[name]) for name, story in all_stories.items()}
    admin.delete("nodes", name=MUTE)
    for plural in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
        admin.delete(plural, name=f"reroute-{scenes[ADMISSION].namespace}")


@pytest.mark.parametrize("name", NAMES)
def test_it_ends_contained_and_says_why_when(name: str, told: dict[str, tuple[Story, Scene]]) -> None:
    story, scene = told[name]
    story.ends(scene)


def test_a_full_pool_is_cut_freed_and_served_and_given_back(stage: Stage, pools: list[str]) -> None:
    scene = stage.build(Shape(standby=True, pool=pools[1], size=GPUS, policies=policies()))
    before = scene.specs()
    scene.report(category=MILD)
    message = served(scene)
    print(message)
    assert "no revision of the model served for" in message
    assert scene.replicas(GOOD) == GPUS
    scene.contained()
    [hold] = scene.read("containments", MODEL)["spec"]["holds"]
    assert "Insufficient nvidia.com/gpu" in hold["reach"]["cutBecause"]
    released = scene.release()
    assert scene.specs() == before
    assert [e["type"] for e in released["status"]["timeline"]].count("Yielded") == 1


def test_with_room_no_instant_is_without_a_ready_backend(stage: Stage, pools: list[str]) -> None:
    shape = Shape(standby=True, pool=pools[2], size=3, autoscaler=False, policies=policies("WarmThenShift"))
    scene = stage.build(shape)
    before = scene.specs()
    with scene.watched("endpointslices", "httproutes", "deployments") as watcher:
        scene.report(category=MILD)
        assert "was ready before anything was cut off" in served(scene)
        until(lambda: not _bad_pods(scene), what="the compromised pods are gone")
        _assert_always_served(watcher)
        scene.contained()
        scene.release()
        _assert_always_served(watcher)
    assert scene.specs() == before
    raised = watcher.first("deployments", lambda d: d["spec"]["replicas"] == 3, name=GOOD)
    stopped = watcher.first("deployments", lambda d: d["spec"]["replicas"] == 0, name=BAD)
    assert raised.at < stopped.at
    assert not entries(scene, "Interference")


def test_a_critical_incident_is_cut_first_and_the_fallback_answers_meanwhile(stage: Stage) -> None:
    scene = stage.build(Shape(standby=True, fallback=True, policies=policies("WarmThenShift")))
    before = scene.specs()
    with scene.watched("httproutes") as watcher:
        scene.report(category="DataLeakage")
        served(scene)
    weights = [_weights(v) for v in watcher.seen("httproutes")]
    assert {BAD: 0, GOOD: 0, FALLBACK: 100} in weights, weights
    scene.contained()
    scene.release()
    assert scene.specs() == before


def _bad_pods(scene: Scene) -> list[Any]:
    return [p for p in scene.all("pods") if p["metadata"]["name"].startswith(f"{BAD}-")]


def _weights(version: Version) -> dict[str, int]:
    refs = version.body["spec"]["rules"][0]["backendRefs"]
    return {ref["name"]: ref.get("weight", 1) for ref in refs}


def _assert_always_served(watcher: Watcher) -> None:
    """Through every version in their order: some backend with a weight has a ready endpoint."""
    seen = [*watcher.seen("endpointslices"), *watcher.seen("httproutes")]
    ready: dict[str, int] = {}
    weights: dict[str, int] = {}
    begun = False
    for version in sorted(seen, key=lambda v: int(v.body["metadata"]["resourceVersion"])):
        if version.plural == "httproutes":
            weights = _weights(version)
        else:
            service = version.body["metadata"]["labels"]["kubernetes.io/service-name"]
            endpoints = version.body.get("endpoints") or ()
            ready[service] = sum(bool(e["conditions"].get("ready")) for e in endpoints)
        serving = [name for name, weight in weights.items() if weight and ready.get(name)]
        begun = begun or bool(serving)
        assert serving or not begun, (version.plural, weights, ready)
    assert begun
