"""A model of one Deployment whose template is replaced, so that what was good is run by nothing any more."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from lazaretto.domain.copy_of_record import copy_name
from lazaretto.domain.identity import identity_of, revision_name
from lazaretto.domain.recorded_template import plain
from tests.cluster.waiting import until
from tests.e2e.raw_api import Object
from tests.e2e.scene import Scene, Stage, condition
from tests.e2e.shapes import BAD, MODEL, Shape, policy

SOAK = "2s"
SHAPE = Shape(
    single=True,
    autoscaler=False,
    attested=False,
    copying=True,
    policies={"p": policy("Automatic", onNoKnownGood="Hold", knownGood={"soak": SOAK})},
)


def template(number: int, **spec: Any) -> Object:
    """The pod template of one revision, with everything that it loads pinned; `spec` adds to the pod's."""
    commit = f"{number:x}".rjust(40, "a")
    container = {
        "name": "server",
        "image": f"registry.example/vllm@sha256:{'1' * 64}",
        "args": ["--model", f"hf://example/support-llm@{commit}"],
        "ports": [{"containerPort": 8000, "protocol": "TCP"}],
    }
    labels = {"app": MODEL, "revision": "v2"}
    return {"metadata": {"labels": labels}, "spec": {"containers": [container], **copy.deepcopy(spec)}}


def roll_out(scene: Scene, wanted: Object) -> None:
    """Replaces the Deployment's template, and waits until only that runs."""
    scene.patch("deployments", BAD, [{"op": "replace", "path": "/spec/template", "value": wanted}])

    def done() -> bool:
        found = scene.read("deployments", BAD)
        status, replicas = found.get("status", {}), found["spec"]["replicas"]
        counts = {status.get(each) for each in ("replicas", "updatedReplicas", "availableReplicas")}
        return bool(status.get("observedGeneration") == found["metadata"]["generation"] and counts == {replicas})

    until(done, what="the rollout is done")


class Record:
    """The ModelRevision of one template, and the copy that could be made of it."""

    def __init__(self, scene: Scene, of: Object, *, name: str = "") -> None:
        """Of what the operator records by itself, or of the record of that name."""
        self._scene = scene
        self.identity = identity_of(of)
        self.name = name or revision_name(MODEL, self.identity)
        self.copy = copy_name(BAD, self.identity)

    def status(self) -> Object:
        """As it is stored, {} if it is not."""
        found: Object = (self._scene.read("modelrevisions", self.name) or {}).get("status", {})
        return found

    def looked(self, seen: Any) -> Any:
        """Whether `seen` is true of the status after one more look."""
        self._scene.look_again()
        return seen(self.status())

    def soaked(self) -> None:
        """Waits until it has earned its soak time and its template is kept."""
        until(
            lambda: self.looked(lambda s: s.get("soak", {}).get("earnedSeconds", 0) >= 10 and s.get("recorded")),
            what="it has soaked",
        )

    def chosen(self) -> None:
        """Waits until no workload runs it, and the model would fall back to it."""

        def chosen(status: Object) -> bool:
            model = self._scene.read("protectedmodels", MODEL).get("status", {})
            return not status.get("workloads") and bool(model.get("knownGood") == self.name)

        until(lambda: self.looked(chosen), what="it is known to be good by a copy")


def replaced(scene: Scene, good: Object, bad: Object) -> Record:
    """Has one template serve until it is good, and then another in its place; the record of the first."""
    roll_out(scene, good)
    record = Record(scene, good)
    record.soaked()
    roll_out(scene, bad)
    return record


def attested(scene: Scene, good: Object, bad: Object) -> Record:
    """The same, where somebody has attested the first, so that it need not soak."""
    name = "attested"
    spec = {"model": MODEL, "identity": identity_of(good), "attestation": {"by": "ci"}}
    body = {"apiVersion": "lazaretto.dev/v1alpha1", "kind": "ModelRevision", "metadata": {"name": name}, "spec": spec}
    scene.create(body)
    roll_out(scene, good)
    record = Record(scene, good, name=name)
    until(lambda: record.looked(lambda s: s.get("recorded") or s.get("unrecorded")), what="its template is kept")
    roll_out(scene, bad)
    return record


Built = dict[str, tuple[Scene, Record]]


def all_attested(stage: Stage, names: Iterable[str], shape: Shape) -> Built:
    """A scene for each name, in which what was attested is run by nothing any more and is what is fallen back to."""
    scenes = stage.build_all(dict.fromkeys(names, shape))
    records = {name: attested(scene, template(1), template(2)) for name, scene in scenes.items()}
    for record in records.values():
        record.chosen()
    return {name: (scene, records[name]) for name, scene in scenes.items()}


def degraded(scene: Scene) -> str:
    """Why the containment is degraded, once it says so and the incident is contained all the same."""

    def found() -> str:
        found = condition(scene.read("containments", MODEL) or {}, "Degraded")
        contained = condition(scene.incident(), "Contained").get("status") == "True"
        return str(found["message"]) if found and contained else ""

    text: str = until(found, what="the containment says what is wrong")
    return text


ROLLING_BACK = replace(
    SHAPE,
    copying=False,
    rolling_back=True,
    policies={"p": policy("Automatic", onNoKnownGood="Hold", knownGood={"soak": SOAK}, reach={"rollback": True})},
)
"""The same, where the policy prefers a rollback in place."""


def current_template(scene: Scene) -> Object:
    """The Deployment's template as it is stored."""
    found: Object = scene.read("deployments", BAD)["spec"]["template"]
    return found


def serves_rolled_back(scene: Scene, record: Record) -> None:
    """Waits until the Deployment was rolled back to the record and serves again, and everything says so."""
    until(
        lambda: plain(current_template(scene)) == json.loads(record.status()["recorded"]["template"]),
        what="the template is the recorded one",
    )
    told = f"Deployment/{BAD} serves"
    until(
        lambda: condition(scene.incident(), "TrafficShifted").get("message", "").startswith(told),
        what="it serves again",
    )
    found = scene.contained()
    assert found["status"]["containment"]["knownGood"] == record.name
    (hold,) = scene.read("containments", MODEL)["spec"]["holds"]
    assert hold["rollback"]["doneAt"]
    assert [w["rolledBack"] for w in hold["compromised"]] == [True]
    (entry,) = (each for each in found["status"]["timeline"] if each["type"] == "RolledBack")
    assert record.name in entry["message"]
