"""Those who want a contained model back: pipelines, GitOps tools and people, all of them with the real kubectl.

A `Fighter` repeats one command until it is stopped, as a reconciler does that knows nothing of an incident. What the
API server refuses is kept: the refusal is what its owner would read.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.binaries import binary
from tests.e2e.raw_api import Object
from tests.e2e.repeating import Repeating
from tests.e2e.scene import Scene
from tests.e2e.shapes import BAD, MODEL, Shape, workloads

FOUGHT = (("Deployment", BAD), ("HorizontalPodAutoscaler", BAD), ("HTTPRoute", MODEL))


@dataclass(frozen=True, slots=True)
class Said:
    """How one call of kubectl ended."""

    code: int
    text: str


class Kubectl:
    """kubectl as the administrator of a cluster, in the namespace of a scene, with a home of its own."""

    def __init__(self, kubeconfig: Path, scene: Scene, *, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._binary = str(binary("kubectl"))
        self._scene = scene
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "KUBECACHEDIR": str(home / "cache"),
            "KUBECONFIG": str(kubeconfig),
        }

    def __call__(self, *arguments: str, body: Any = None, **environment: str) -> Said:
        """Runs it; `body` goes to its standard input, for `-f -`."""
        done = subprocess.run(
            [self._binary, *arguments, "-n", self._scene.namespace],
            input=None if body is None else json.dumps(body),
            env={**self._environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Said(done.returncode, done.stdout + done.stderr)


def originals(shape: Shape | None = None) -> Object:
    """What lies in Git: the manifests of the bad Deployment, its autoscaler and the route, as they were."""
    items = [b for b in workloads(shape or Shape()) if (b["kind"], b["metadata"]["name"]) in FOUGHT]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def applied(kubectl: Kubectl) -> Said:
    """Client-side apply, which merges with what it applied the last time."""
    return kubectl("apply", "-f", "-", body=originals())


def forced(kubectl: Kubectl) -> Said:
    """Server-side apply as GitOps tools do it: whoever owns a field loses it."""
    flags = ("--server-side", "--force-conflicts", "--field-manager=gitops")
    return kubectl("apply", *flags, "-f", "-", body=originals())


def replaced(kubectl: Kubectl) -> Said:
    """Replace, which strips everything that is not in the manifest."""
    return kubectl("replace", "-f", "-", body=originals())


GITOPS: Mapping[str, Callable[[Kubectl], Said]] = {"apply": applied, "server-side apply": forced, "replace": replaced}


class Fighter(Repeating):
    """Makes one move again and again, from when it is entered until it is left."""

    def __init__(self, move: Callable[[Kubectl], Said], kubectl: Kubectl, *, every: float) -> None:
        super().__init__(every=every)
        self.said: list[Said] = []
        self._move = move
        self._kubectl = kubectl

    @property
    def moves(self) -> int:
        """Calls that the API server took."""
        return sum(said.code == 0 for said in self.said)

    def once(self) -> None:
        """One move."""
        self.said.append(self._move(self._kubectl))


def scaled(kubectl: Kubectl) -> Said:
    """`kubectl scale`."""
    return kubectl("scale", "deployment", BAD, "--replicas=3")


def undone(kubectl: Kubectl) -> Said:
    """`kubectl rollout undo`: another template, which may be as bad."""
    return kubectl("rollout", "undo", f"deployment/{BAD}")


def edited(kubectl: Kubectl) -> Said:
    """`kubectl edit`, with an editor that sets the replicas."""
    return kubectl("edit", "deployment", BAD, KUBE_EDITOR="sed -i 's/^  replicas: .*/  replicas: 3/'")


def imaged(kubectl: Kubectl) -> Said:
    """`kubectl set image`: the next revision is rolled out over the contained one."""
    image = "registry.example/vllm@sha256:" + "4" * 64
    return kubectl("set", "image", f"deployment/{BAD}", f"server={image}")


def recreated(kubectl: Kubectl) -> Said:
    """Deleted, and created from the manifest."""
    first = kubectl("delete", "deployment", BAD)
    (body,) = (b for b in originals()["items"] if b["kind"] == "Deployment")
    second = kubectl("create", "-f", "-", body=body)
    return Said(first.code or second.code, first.text + second.text)


PEOPLE: Mapping[str, Callable[[Kubectl], Said]] = {
    "kubectl scale": scaled,
    "kubectl rollout undo": undone,
    "kubectl edit": edited,
    "kubectl set image": imaged,
    "delete and create": recreated,
}
