"""Stand-ins for Flux and Argo CD: they apply what lies in Git again and again, unless told not to.

What makes the real ones skip is read from their sources: `shouldSkipApply` of fluxcd/pkg `ssa/manager_apply.go` 0.83
looks at the live object, `canProcessApp` of Argo CD's `controller/appcontroller.go` 3.5 at the Application.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e.fighters import FOUGHT, Kubectl, originals
from tests.e2e.raw_api import Object, plural_of
from tests.e2e.repeating import Repeating
from tests.e2e.scene import Scene

OWNER = {"kustomize.toolkit.fluxcd.io/name": "models", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
RECONCILE = "kustomize.toolkit.fluxcd.io/reconcile"
SKIP = "argocd.argoproj.io/skip-reconcile"
# Go's strconv.ParseBool.
_TRUE = ("1", "t", "T", "true", "TRUE", "True")


class Syncer(Repeating):
    """Applies what lies in Git, object by object; `skips` says of which a round leaves its hands."""

    def __init__(self, scene: Scene, kubectl: Kubectl, *, manager: str, skips: Callable[[Object], bool]) -> None:
        super().__init__(every=0.2)
        self.applied = 0
        self.skipped = 0
        self.git: list[Object] = originals()["items"]
        self._scene = scene
        self._kubectl = kubectl
        self._manager = manager
        self._skips = skips

    def once(self) -> None:
        """One round over everything."""
        for body in self.git:
            live = self._scene.read(plural_of(body), body["metadata"]["name"])
            if live is not None and self._skips(live):
                self.skipped += 1
                continue
            flags = ("--server-side", "--force-conflicts", f"--field-manager={self._manager}")
            self._kubectl("apply", *flags, "-f", "-", body=body)
            self.applied += 1


def flux(scene: Scene, kubectl: Kubectl) -> Syncer:
    """kustomize-controller: marks what it owns, and skips a live object that says so."""

    def skips(live: Object) -> bool:
        meta = live["metadata"]
        said = (meta.get("annotations") or {}).get(RECONCILE), (meta.get("labels") or {}).get(RECONCILE)
        return any(str(value).lower() == "disabled" for value in said)

    syncer = Syncer(scene, kubectl, manager="kustomize-controller", skips=skips)
    for body in syncer.git:
        body["metadata"]["labels"] = {**body["metadata"].get("labels", {}), **OWNER}
    return syncer


def argo_cd(scene: Scene, kubectl: Kubectl, *, application: str) -> Syncer:
    """application-controller: heals itself, unless the Application says not to reconcile."""

    def skips(_: Object) -> bool:
        found = scene.read("applications", application)
        return (found["metadata"].get("annotations") or {}).get(SKIP) in _TRUE

    return Syncer(scene, kubectl, manager="argocd-controller", skips=skips)


def owning(scene: Scene, *, name: str) -> Any:
    """The Application that Argo CD's controller reports to own what lies in Git."""
    groups = {body["kind"]: body["apiVersion"].rpartition("/")[0] for body in originals()["items"]}
    listed = [
        {"group": groups[kind], "kind": kind, "name": each, "namespace": scene.namespace, "version": "v1"}
        for kind, each in FOUGHT
    ]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "annotations": {"team": "x"}},
        "spec": {
            "project": "default",
            "destination": {"server": "https://kubernetes.default.svc", "namespace": scene.namespace},
            "source": {"repoURL": "https://git.example/models", "path": ".", "targetRevision": "main"},
            "syncPolicy": {"automated": {"selfHeal": True}},
        },
        "status": {"resources": listed},
    }
