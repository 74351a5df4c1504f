"""Scenes that are fought over before a witness, and what the witness and the audit log have to say in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import until
from tests.e2e.fighters import Fighter, Kubectl, Said
from tests.e2e.ledger import Ledger
from tests.e2e.raw_api import Object
from tests.e2e.scene import Scene, condition
from tests.e2e.shapes import BAD, MODEL
from tests.e2e.test_alert_to_containment import cut_off, held_down, stopped
from tests.e2e.watcher import Watcher

WATCHED = ("deployments", "httproutes", "horizontalpodautoscalers", "pods", "aiincidents", "containments")
HELD: Mapping[str, tuple[str, str, Callable[[Object], bool]]] = {
    "patch deployments/scale": ("deployments", BAD, stopped),
    "patch httproutes": ("httproutes", MODEL, cut_off),
    "patch horizontalpodautoscalers": ("horizontalpodautoscalers", BAD, held_down),
}
"""By the operator's write: the object, and whether it is as it is held."""


@dataclass(slots=True)
class Bout:
    """One contained scene that somebody fights over, and who looks on."""

    scene: Scene
    fighter: Fighter
    witness: Watcher
    ledger: Ledger
    begun: float
    entries: int
    """Of the timeline, before."""

    def moved(self, call: str) -> int:
        """Versions seen since it began that the operator had to undo by such a call."""
        plural, name, holds = HELD[call]
        return sum(v.at > self.begun and not holds(v.body) for v in self.witness.seen(plural, name))

    def undone_after(self, call: str) -> list[float]:
        """How long what had to be undone by such a call stood, each time, by the witness's clock."""
        plural, name, holds = HELD[call]
        since: float | None = None
        stood: list[float] = []
        for version in self.witness.seen(plural, name):
            if not holds(version.body):
                since = version.at if since is None else since
            elif since is not None:
                stood.append(version.at - since)
                since = None
        return stood

    def bad_pods(self) -> set[str]:
        """Uids of all bad pods that came back."""
        found = (v.body["metadata"] for v in self.witness.seen("pods") if v.at > self.begun)
        return {meta["uid"] for meta in found if meta.get("labels", {}).get("revision") == "v2"}

    def ready_for(self) -> list[float]:
        """How long each bad pod that became ready was seen to be, by the witness's clock; fails if one still is."""
        since: dict[str, float] = {}
        lasted: list[float] = []
        bad = self.bad_pods()
        for version in self.witness.seen("pods"):
            uid = version.body["metadata"]["uid"]
            if uid not in bad:
                continue
            if version.event != "DELETED" and serves(version.body):
                since.setdefault(uid, version.at)
            elif uid in since:
                lasted.append(version.at - since.pop(uid))
        assert not since, "a bad pod is left that would be sent traffic"
        return lasted


def serves(pod: Object) -> bool:
    """Whether traffic would be sent there."""
    conditions = pod.get("status", {}).get("conditions", [])
    is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return is_ready and "deletionTimestamp" not in pod["metadata"]


def held(scene: Scene) -> bool:
    """Whether everything is as it is held, and no bad pod is left."""
    found = [(holds, scene.read(plural, name)) for plural, name, holds in HELD.values()]
    pods = [p for p in scene.all("pods") if p["metadata"]["labels"].get("revision") == "v2"]
    return all(body is not None and holds(body) for holds, body in found) and not pods


def _fought_over(scene: Scene) -> bool:
    """Whether the incident names the workload as what is fought over, beside whatever else."""
    return f"Deployment/{BAD} was moved" in condition(scene.incident(), "Contested").get("message", "")


def fight(
    plane: ControlPlane,
    scenes: Mapping[str, Scene],
    moves: Mapping[str, Callable[[Kubectl], Said]],
    *,
    home: Path,
    seconds: float,
    every: float,
) -> dict[str, Bout]:
    """All at once, each in a contained scene of its own, for so long and until each is called a fight.

    Returns when they have stopped and all is held again.
    """
    bouts = {}
    with ExitStack() as fighters:
        for number, (what, scene) in enumerate(scenes.items()):
            witness = scene.watched(*WATCHED)
            witness.start()
            for plural, name, holds in HELD.values():
                witness.first(plural, holds, name=name)
            kubectl = Kubectl(plane.kubeconfig, scene, home=home / str(number))
            fighter = Fighter(moves[what], kubectl, every=every)
            entries = scene.incident()["status"]["timelineCount"]
            ledger = Ledger(plane.audit, scene.namespace)
            bouts[what] = Bout(scene, fighter, witness, ledger, time.monotonic(), entries)
            fighters.enter_context(fighter)
        time.sleep(seconds)
        for what, bout in bouts.items():
            # On a slow machine kubectl takes a second for each move, and some are undone together.
            until(lambda: _fought_over(bout.scene), what=f"{what} is called a fight")  # noqa: B023
    for what, bout in bouts.items():
        until(lambda: held(bout.scene), what=f"held again after {what}")  # noqa: B023  # called at once
        bout.scene.contained()
        bout.ledger.settled()
        bout.witness.stop()
    return bouts
