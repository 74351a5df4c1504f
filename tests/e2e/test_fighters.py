"""Once contained, a model stays contained: against GitOps, pipelines and people who keep bringing it back.

Nothing here is played but the hands: kubectl, the API server and the controllers are the real ones. There is no fence
on this control plane, so every move is taken, and undone; `tests/cluster/test_fighters_and_fence.py` is the other half.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lazaretto.domain.contest import ENOUGH
from lazaretto.engine import status_writer
from lazaretto.engine.opposition import BURST, EVERY
from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import until
from tests.e2e.bouts import HELD, Bout, fight, held
from tests.e2e.fighters import GITOPS, PEOPLE, Kubectl, imaged
from tests.e2e.scene import OPERATOR, Scene, Stage, condition
from tests.e2e.shapes import BAD, MODEL, Shape

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

SECONDS, PAUSE = 12.0, 0.5
SENT_AGAIN = 1.1
"""A write whose answer does not come within a second is sent once more, and counted twice."""


@dataclass(frozen=True, slots=True)
class Arena:
    """A contained scene for each GitOps tool."""

    scenes: Mapping[str, Scene]
    originals: Mapping[str, Mapping[str, Any]]
    """What each was before it was contained."""

    @classmethod
    def build(cls, stage: Stage) -> Arena:
        scenes = stage.build_all({name: Shape(fenced=False) for name in GITOPS})
        originals = {name: scene.specs() for name, scene in scenes.items()}
        for scene in scenes.values():
            scene.report()
        for scene in scenes.values():
            scene.contained()
        return cls(scenes, originals)


@pytest.fixture(scope="module")
def arena(stage: Stage) -> Arena:
    """One for the module."""
    return Arena.build(stage)


@pytest.fixture(scope="module")
def bouts(arena: Arena, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bout]:
    """All GitOps tools at once."""
    home = tmp_path_factory.mktemp("gitops")
    return fight(control_plane, arena.scenes, GITOPS, home=home, seconds=SECONDS, every=PAUSE)


def assert_no_pod_comes_back_to_stay(bout: Bout) -> None:
    """`ready_for` fails if one is still ready; for how long one was is printed, and no matter of a test."""
    lasted = bout.ready_for()
    print(
        f"{len(bout.bad_pods())} bad pods were made, {len(lasted)} became ready, for {max(lasted, default=0.0):.3f} s"
    )


def assert_bounded(bout: Bout, seconds: float) -> None:
    """What a fight costs the API server, for each call of the fighter and for each second."""
    counted = bout.ledger.counted(OPERATOR)
    moves = len(bout.fighter.said)
    assert moves >= ENOUGH
    undone = {call: (counted[call], bout.moved(call)) for call in HELD}
    print(f"{moves} moves, {counted.total() / moves:.0f} calls of the operator for each; undone, of moved: {undone}")
    for call in HELD:
        print(f"{call}: undone after {max(bout.undone_after(call), default=0.0):.3f} s at most")
        assert counted[call] <= bout.moved(call) * SENT_AGAIN + 2, call
    passes = BURST + seconds / EVERY
    assert counted["list services"] <= 2 * passes, "passes, and the surveys between them"
    for kind in ("aiincidents", "containments", "protectedmodels"):
        assert counted[f"patch {kind}/status"] <= status_writer.BURST + seconds / status_writer.EVERY, kind


def assert_told_once(bout: Bout) -> None:
    scene, ref = bout.scene, f"Deployment/{BAD}"
    for body in (scene.incident(), scene.read("containments", MODEL)):
        found = condition(body, "Contested")
        assert (found["status"], found["reason"]) == ("True", "Fought")
        assert f"{ref} was moved" in found["message"]
    status = scene.incident()["status"]
    told = Counter(entry["type"] for entry in status["timeline"] if entry["seq"] > bout.entries)
    assert 1 <= told["Contested"] <= len(HELD)
    assert told["Interference"] <= told["Contested"] * ENOUGH + len(HELD) * ENOUGH
    warnings = [e for e in scene.events(f"{MODEL}-1") if e["reason"] == "Contested"]
    assert len(warnings) == told["Contested"]
    assert {e["type"] for e in warnings} == {"Warning"}


@pytest.mark.parametrize("what", GITOPS)
def test_no_bad_pod_comes_back_to_stay(what: str, bouts: dict[str, Bout]) -> None:
    assert_no_pod_comes_back_to_stay(bouts[what])


@pytest.mark.parametrize("what", GITOPS)
def test_what_a_fight_costs_is_bounded(what: str, bouts: dict[str, Bout]) -> None:
    bout = bouts[what]
    assert_bounded(bout, time.monotonic() - bout.begun)


@pytest.mark.parametrize("what", GITOPS)
def test_a_person_is_told_once_who_fights(what: str, bouts: dict[str, Bout]) -> None:
    assert_told_once(bouts[what])


@pytest.mark.parametrize("what", GITOPS)
def test_after_the_fight_it_is_released_exactly(what: str, bouts: dict[str, Bout], arena: Arena) -> None:
    scene = bouts[what].scene
    scene.release()
    assert scene.specs() == arena.originals[what]
    assert condition(scene.incident(), "Contested") == {}


@pytest.mark.slow
def test_ten_minutes_of_it(stage: Stage, control_plane: ControlPlane, tmp_path: Path) -> None:
    arena = Arena.build(stage)
    for what, bout in fight(control_plane, arena.scenes, GITOPS, home=tmp_path, seconds=600.0, every=2.0).items():
        assert_no_pod_comes_back_to_stay(bout)
        assert_bounded(bout, time.monotonic() - bout.begun)
        assert_told_once(bout)
        bout.scene.release()
        assert bout.scene.specs() == arena.originals[what]


def test_people_are_undone_and_what_is_not_held_stays_theirs(
    stage: Stage, control_plane: ControlPlane, tmp_path: Path
) -> None:
    scene = stage.build(Shape(fenced=False))
    kubectl = Kubectl(control_plane.kubeconfig, scene, home=tmp_path)
    assert imaged(kubectl).code == 0, "so that there is something to roll back to"
    image = _image(scene)
    until(lambda: scene.read("deployments", BAD)["status"].get("updatedReplicas") == 3, what="it is rolled out")
    scene.report()
    scene.contained()
    for what, move in PEOPLE.items():
        with scene.watched("deployments", "pods") as witness:
            said = move(kubectl)
            assert said.code == 0, f"{what}: {said.text}"
            until(lambda: held(scene), what=f"held again after {what}")
            scene.contained()
            seen = [v.body["spec"]["replicas"] for v in witness.seen("deployments", BAD)]
        print(f"{what}: replicas {seen}")
        assert seen[-1] == 0
        if what == "kubectl rollout undo":
            assert _image(scene) != image, "another template is theirs to set; nothing runs it"
            assert set(seen) == {0}
    scene.release()
    assert scene.replicas() == 3, "with which it was made anew"


def _image(scene: Scene) -> str:
    return str(scene.read("deployments", BAD)["spec"]["template"]["spec"]["containers"][0]["image"])
