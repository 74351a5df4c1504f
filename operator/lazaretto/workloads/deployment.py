"""`apps/v1` Deployments: held at zero replicas through the scale subresource.

Only `/scale` is written. The right to patch a Deployment is the right to run any pod; the
operator does not have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lazaretto.api.containment import JournalTarget
from lazaretto.domain.fields import Change, Fields, read_journal
from lazaretto.domain.identity import loads_of
from lazaretto.domain.scene import Demand, Raise, Scene, Workload
from lazaretto.kube import surface
from lazaretto.kube.request import Request, merge_patch
from lazaretto.kube.resource import DEPLOYMENTS
from lazaretto.kube.surface import Object, Proof

REPLICAS = "spec.replicas"


class DeploymentSurface:
    """See `Surface`."""

    resource = DEPLOYMENTS
    manager = "lazaretto-scale"
    owned: tuple[str, ...] = ("f:spec", "f:replicas")
    release_stage = surface.WORKLOADS_FIRST
    fence = "lazaretto-fence-replicas"

    def read(self, obj: Object, *, base: Fields | None = None) -> Fields:
        """The wanted number of replicas."""
        return {REPLICAS: int((obj.get("spec") or {}).get("replicas", 1))}

    def hold(self, obj: Object, base: Fields, *, scene: Scene, demand: Demand) -> Fields:
        """Zero replicas for a workload that must not run; enough for one that is to stand in."""
        uid = surface.uid_of(obj)
        if any(w.uid == uid for w in demand.scale_to_zero):
            return {REPLICAS: 0}
        wanted = next((r for r in demand.raised if r.workload.uid == uid), None)
        return _raised(self.read(obj)[REPLICAS], wanted, base=base[REPLICAS]) if wanted else {}

    def write(self, obj: Object, changes: Sequence[Change]) -> Request:
        """A merge patch on `/scale`; another Deployment of the same name has another uid and refuses it."""
        (change,) = changes
        return merge_patch(
            self.resource,
            {"metadata": {"uid": surface.uid_of(obj)}, "spec": {"replicas": change.after}},
            namespace=surface.namespace_of(obj),
            name=surface.name_of(obj),
            manager=self.manager,
            subresource="scale",
        )

    def prove(self, obj: Object) -> Proof:
        """L1 once the Deployment controller has seen zero and counts no replica."""
        status = obj.get("status") or {}
        replicas = int(status.get("replicas") or 0)
        if surface.observed(obj) and replicas == 0:
            return Proof("L1", "the Deployment controller counts 0 replicas")
        return Proof("L0", f"stored; the Deployment controller still counts {replicas} replicas")

    def settled(self, obj: Object) -> str:
        """In service again when as many replicas are available as are wanted."""
        wanted = self.read(obj)[REPLICAS]
        available = int((obj.get("status") or {}).get("availableReplicas") or 0)
        if surface.observed(obj) and available >= wanted:
            return ""
        return f"Deployment/{surface.name_of(obj)} has {available} of {wanted} replicas available"


def _raised(live: int, wanted: Raise, *, base: int) -> Fields:
    """At least so many replicas. More of them are somebody else's wish, or an autoscaler's."""
    if wanted.workload.scaled is not None:
        # At zero replicas it sleeps; from then on it decides, and what it decides is restored as ours was.
        return {REPLICAS: live or wanted.replicas} if base == 0 else {}
    enough = base >= wanted.replicas and live >= wanted.replicas
    return {} if enough or live > wanted.replicas else {REPLICAS: wanted.replicas}


def stands_in(entry: JournalTarget) -> bool:
    """Whether a journalled Deployment was scaled up, to serve in the place of another."""
    journal = read_journal(entry)
    held, base = journal.held.get(REPLICAS), journal.base.get(REPLICAS)
    return isinstance(held, int) and isinstance(base, int) and held > base


def workload_of(obj: Object) -> Workload:
    """The facts that decisions need about a Deployment."""
    spec = obj.get("spec") or {}
    status = obj.get("status") or {}
    template = surface.template_in(obj)
    available = _condition(status, "Available")
    return Workload(
        kind="Deployment",
        name=surface.name_of(obj),
        uid=surface.uid_of(obj),
        pod_labels=(template.get("metadata") or {}).get("labels") or {},
        selector=(spec.get("selector") or {}).get("matchLabels") or {},
        replicas=int(spec.get("replicas", 1)),
        ready=int(status.get("readyReplicas") or 0),
        available=available.get("status") == "True",
        available_since=_moment(available.get("lastTransitionTime")),
        rolled_out=_rolled_out(obj),
        **loads_of(template),
    )


def _rolled_out(obj: Object) -> bool:
    """Whether the Deployment controller has seen the newest template and counts no replica of an older one."""
    status = obj.get("status") or {}
    counts = [int(status.get(field) or 0) for field in ("replicas", "updatedReplicas")]
    return surface.observed(obj) and counts[0] == counts[1] > 0


def _condition(status: Any, type_: str) -> dict[str, Any]:
    return next((c for c in status.get("conditions") or () if c.get("type") == type_), {})


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
