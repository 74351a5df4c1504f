"""Whoever moves a held object is undone and recorded; what is not held stays theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.cluster.waiting import until
from tests.e2e.raw_api import Object
from tests.e2e.scene import Scene, Stage, condition
from tests.e2e.shapes import BAD, MODEL, Shape
from tests.e2e.test_alert_to_containment import cut_off, held_down, stopped

pytestmark = pytest.mark.cluster


@dataclass(frozen=True, slots=True)
class Move:
    """Somebody's change of a held object."""

    plural: str
    name: str
    ref: str
    make: Callable[[Scene], None]
    held: Callable[[Object], bool]
    by: tuple[str, ...]
    """Whom the API server may name; it keeps no owner of what was removed, nor of replicas raised from zero."""


def _weight_back(scene: Scene) -> None:
    weight = "/spec/rules/0/backendRefs/1/weight"
    scene.patch("httproutes", MODEL, [{"op": "replace", "path": weight, "value": 90}], manager="argocd-controller")


def _replicas_applied(scene: Scene) -> None:
    scene.patch("deployments", BAD, {"spec": {"replicas": 2}}, manager="deploy-pipeline")


def _behavior(value: object) -> Callable[[Scene], None]:
    def make(scene: Scene) -> None:
        scene.patch("horizontalpodautoscalers", BAD, {"spec": {"behavior": value}}, manager="kubectl-edit")

    return make


MOVES = {
    "kubectl scales it up": Move(
        "deployments", BAD, f"Deployment/{BAD}", lambda scene: scene.scale(BAD, 2), stopped, ("",)
    ),
    "a pipeline applies its manifest again": Move(
        # Between one and its minimum the autoscaler raises it, whatever its behavior says: it may have been the last.
        *("deployments", BAD, f"Deployment/{BAD}", _replicas_applied, stopped),
        ("deploy-pipeline", "kube-controller-manager (/scale)"),
    ),
    "the route's weight is moved back": Move(
        "httproutes", MODEL, f"HTTPRoute/{MODEL}", _weight_back, cut_off, ("argocd-controller",)
    ),
    "the autoscaler's hold is edited": Move(
        "horizontalpodautoscalers",
        BAD,
        f"HorizontalPodAutoscaler/{BAD}",
        _behavior({"scaleUp": {"selectPolicy": "Max"}}),
        held_down,
        ("kubectl-edit",),
    ),
    "the autoscaler's hold is removed": Move(
        "horizontalpodautoscalers", BAD, f"HorizontalPodAutoscaler/{BAD}", _behavior(None), held_down, ("",)
    ),
}


@pytest.fixture(scope="module")
def held(stage: Stage) -> Scene:
    """A contained model whose namespace was left out of the fence, so that there is something to undo."""
    scene = stage.build(Shape(fenced=False))
    scene.report()
    scene.contained()
    return scene


@pytest.mark.parametrize("what", MOVES)
def test_undone_and_recorded_when(what: str, held: Scene) -> None:
    move = MOVES[what]
    before = len(_interferences(held, move.ref))
    with held.watched(move.plural) as watcher:
        watcher.first(move.plural, move.held, name=move.name)
        move.make(held)
        moved = watcher.first(move.plural, lambda body: not move.held(body), name=move.name)
        undone = until(
            lambda: next(
                (v for v in watcher.seen(move.plural, move.name) if v.at > moved.at and move.held(v.body)), None
            ),
            what="it is undone",
        )
    print(f"{what}: undone after {undone.at - moved.at:.3f} s")
    entry = until(lambda: _interferences(held, move.ref)[before:], what="the interference is in the timeline")[-1]
    assert entry.get("by", "") in move.by
    until(
        lambda: [e for e in held.events(f"{MODEL}-1") if e["reason"] == "Interference" and move.ref in e["message"]],
        what="the interference is an Event",
    )
    held.contained()


def _interferences(scene: Scene, ref: str) -> list[Object]:
    timeline = scene.incident()["status"]["timeline"]
    return [entry for entry in timeline if entry["type"] == "Interference" and entry["object"] == ref]


def test_without_a_fence_no_more_than_l1_is_proved(held: Scene) -> None:
    incident = held.contained()
    assert incident["status"]["containment"]["proof"] == held.read("containments", MODEL)["status"]["proof"] == "L1"
    assert condition(incident, "Fenced")["status"] == "False"
    assert "leaves this namespace out" in condition(incident, "Fenced")["message"]
    assert condition(incident, "Contained")["message"].endswith("(L1: held by the operator alone, see Fenced)")


def test_what_is_not_held_stays_as_somebody_set_it(held: Scene) -> None:
    held.patch("horizontalpodautoscalers", BAD, {"spec": {"maxReplicas": 12}})
    held.patch("deployments", BAD, {"metadata": {"annotations": {"example.com/ticket": "4711"}}})
    with pytest.raises(AssertionError):
        until(
            lambda: held.read("horizontalpodautoscalers", BAD)["spec"]["maxReplicas"] != 12, what="undone", seconds=1.5
        )
    held.release()
    spec = held.read("horizontalpodautoscalers", BAD)["spec"]
    assert spec["maxReplicas"] == 12
    assert "behavior" not in spec
