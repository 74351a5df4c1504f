"""Incidents of one model, contained and released in several orders: every touched object is as it was, to the byte.

`tests/engine/test_overlap.py` goes through all orders without a cluster; here is a choice of them, in parallel scenes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from lazaretto.api.meta import LABEL_QUARANTINE
from tests.cluster.waiting import until
from tests.e2e.raw_api import Object
from tests.e2e.scene import Scene, Stage, bare, plain
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

CATEGORIES = {1: "DataLeakage", 2: "UnsafeOutput"}
ONE, EACH = (BAD, BAD), (BAD, GOOD)
STORIES: dict[str, tuple[Shape, tuple[str, str], tuple[str, ...]]] = {
    "route, both on one, first out first": (Shape(), ONE, ("+1", "+2", "-1", "-2")),
    "route, one on each, first out last": (Shape(), EACH, ("+1", "+2", "-2", "-1")),
    "Service, one on each, first out first": (Shape(route=""), EACH, ("+1", "+2", "-1", "-2")),
    "Service, both on one, first out last": (Shape(route=""), ONE, ("+2", "+1", "-1", "-2")),
    "GRPCRoute, one on each, first out last": (Shape(route="GRPCRoute"), EACH, ("+2", "+1", "-1", "-2")),
    "mirror, one on each, first out first": (Shape(mirror=True), EACH, ("+1", "+2", "-1", "-2")),
    "labels, one after the other": (Shape(by_labels=True), EACH, ("+1", "-1", "+2", "-2")),
    "isolated, both on one, first out first": (Shape(isolating=True), ONE, ("+1", "+2", "-1", "-2")),
    "isolated, one on each, first out last": (Shape(isolating=True), EACH, ("+1", "+2", "-2", "-1")),
}
Told = dict[str, tuple[dict[str, str], dict[str, str]]]
"""By story: the objects before and after it."""
TOUCHED = ("deployments", "services", "httproutes", "grpcroutes", "horizontalpodautoscalers")


def whole(scene: Scene) -> dict[str, str]:
    """Every object that a containment could touch, without what the API server counts and controllers report."""
    found = {}
    for plural in TOUCHED:
        for body in scene.all(plural):
            found[f"{plural}/{body['metadata']['name']}"] = plain(bare(body))
    left = [body["metadata"]["name"] for body in scene.all("networkpolicies")]
    left += [pod["metadata"]["name"] for pod in scene.all("pods") if LABEL_QUARANTINE in pod["metadata"]["labels"]]
    return found | {"made for isolation": plain(sorted(left))}


def tell(scene: Scene, about: tuple[str, str], steps: tuple[str, ...]) -> None:
    """Incidents come and are released, one step after the other; after each the standing ones hold."""
    standing: set[str] = set()
    for step in steps:
        number = int(step[1])
        name = f"{MODEL}-{number}"
        if step.startswith("+"):
            target = {"model": MODEL, "revision": about[number - 1]}
            scene.report(name=name, category=CATEGORIES[number], target=target)
            scene.await_state("Contained", name=name)
        else:
            for user in ("alice", "bob"):
                scene.decide(user, "ApproveRelease", name=name)
            scene.await_state("Released", name=name)
        standing ^= {name}
        await_holding(scene, frozenset(standing))
        stopped = {each for each in (BAD, GOOD) if scene.replicas(each) == 0}
        assert stopped == {about[int(each[-1]) - 1] for each in standing}, step


def await_holding(scene: Scene, standing: frozenset[str]) -> None:
    """Waits until these incidents hold the model, and no others."""

    def holding() -> set[str]:
        containment = scene.read("containments", MODEL)
        return {hold["incident"] for hold in containment["spec"]["holds"]} if containment else set()

    until(lambda: holding() == standing, what=f"{sorted(standing) or 'nothing'} holds")


@pytest.fixture(scope="module")
def told(stage: Stage) -> Told:
    """What was before and after each story."""
    scenes = stage.build_all({name: shape for name, (shape, _, _) in STORIES.items()})
    before = {name: whole(scene) for name, scene in scenes.items()}

    def play(name: str) -> None:
        _, about, steps = STORIES[name]
        tell(scenes[name], about, steps)

    with ThreadPoolExecutor(len(STORIES)) as pool:
        list(pool.map(play, STORIES))
    return {name: (before[name], _settled(scene, before[name])) for name, scene in scenes.items()}


def _settled(scene: Scene, before: dict[str, str]) -> dict[str, str]:
    """What is there in the end: a pod that was deleted takes a moment to go."""
    with suppress(AssertionError):
        until(lambda: whole(scene) == before)
    return whole(scene)


@pytest.mark.parametrize("story", STORIES)
def test_in_the_end_everything_is_as_it_was(story: str, told: dict[str, tuple[dict[str, str], dict[str, str]]]) -> None:
    before, after = told[story]
    assert after == before


def made_anew(scene: Scene) -> Object:
    """Somebody deletes the held Deployment and creates it again, with other replicas."""
    old = scene.read("deployments", BAD)
    scene.admin.delete("deployments", namespace=scene.namespace, name=BAD)
    until(lambda: scene.read("deployments", BAD) is None, what="it is deleted")
    metadata = {"name": BAD, "labels": old["metadata"]["labels"]}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {**old["spec"], "replicas": 2}}
    return scene.create(body)  # type: ignore[no-any-return]


def test_a_target_that_is_made_anew_never_meets_the_base_of_the_old_one(stage: Stage) -> None:
    scene = stage.build(Shape(autoscaler=False, fenced=False))
    scene.report()
    scene.contained()
    anew = made_anew(scene)
    until(lambda: scene.replicas() == 0, what="the new one is held as well")
    scene.contained()
    scene.release()
    now = scene.read("deployments", BAD)
    assert (now["metadata"]["uid"], now["spec"]) == (anew["metadata"]["uid"], anew["spec"])


CHANGES: dict[str, tuple[str, str, Any, Callable[[Object], Any]]] = {
    "template": (
        *("deployments", BAD, {"spec": {"template": {"metadata": {"annotations": {"example.com/build": "7"}}}}}),
        lambda body: body["spec"]["template"]["metadata"]["annotations"]["example.com/build"],
    ),
    "route": ("httproutes", MODEL, {"spec": {"hostnames": ["7"]}}, lambda body: body["spec"]["hostnames"][0]),
}


def test_what_somebody_else_changed_meanwhile_is_kept_through_the_release(stage: Stage) -> None:
    scene = stage.build(Shape(fenced=False))
    before = scene.specs()
    scene.report()
    scene.contained()
    for plural, name, change, _ in CHANGES.values():
        scene.patch(plural, name, change)
    scene.contained()
    assert scene.replicas() == 0
    scene.release()
    for plural, name, _, read in CHANGES.values():
        assert read(scene.read(plural, name)) == "7"
    for kept in ("horizontalpodautoscalers/" + BAD, f"services/{BAD}", f"services/{GOOD}", f"deployments/{GOOD}"):
        assert scene.specs()[kept] == before[kept]
    assert scene.replicas() == before[f"deployments/{BAD}"]["replicas"]
    assert scene.weights() == {b["name"]: b["weight"] for b in before[f"httproutes/{MODEL}"]["rules"][0]["backendRefs"]}
