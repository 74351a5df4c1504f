"""What one model looks like: its workloads, the Services before them, and where traffic may go.

A `Scene` is built from live objects, except for fields that a containment holds: there it
shows the base. So what is demanded of an object never depends on what was already done to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from lazaretto.api.containment import CompromisedWorkload
from lazaretto.api.references import ServiceReference, WorkloadIdentity
from lazaretto.domain.identity import image_digest

Labels = Mapping[str, str]
Reference = tuple[str, str, str]
"""Group, kind and name of an object of the namespace."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an autoscaler keeps a workload's replicas within."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload that serves some revision of the model."""

    kind: str
    name: str
    uid: str
    pod_labels: Labels
    """Labels that its pods carry."""
    selector: Labels
    """Labels by which it owns its pods; nothing else's pods carry all of them."""
    replicas: int
    ready: int
    available: bool
    available_since: datetime | None
    identity: str
    images: tuple[str, ...] = ()
    unpinned: tuple[str, ...] = ()
    """References of its template that may stand for something else tomorrow."""
    tagged: tuple[tuple[str, str], ...] = ()
    """Its containers whose image is among them, each with that image."""
    pinned: tuple[tuple[str, str], ...] = ()
    """Its other containers, each with the digest of its image."""
    frame: str = ""
    """Its identity without the images of its containers."""
    resolvable: bool = True
    """Whether nothing but images of containers is among them: running pods tell what those stand for."""
    rolled_out: bool = False
    """Whether all of its pods were made from its present template."""
    exists: bool = True
    """False for what could be made of a recorded template: it has no uid, and its pods are none yet."""
    scaled: Bounds | None = None
    """What an autoscaler keeps it within; None without one."""

    @property
    def serves(self) -> bool:
        """Whether it can take traffic as it stands."""
        # Pods that are on their way out are ready to the last; a workload at zero replicas takes nothing over.
        return self.replicas > 0 and self.ready > 0 and self.available

    @property
    def ref(self) -> str:
        """Kind/name, for people."""
        return f"{self.kind}/{self.name}"

    @property
    def identified(self) -> WorkloadIdentity:
        """The reference that survives in the journal."""
        return WorkloadIdentity.model_validate({"kind": self.kind, "name": self.name, "uid": self.uid})

    @property
    def image_digests(self) -> frozenset[str]:
        """Digests of those of its images that are named by digest."""
        return frozenset(filter(None, map(image_digest, self.images)))

    def condemned(self, *, beside: Workload | None = None) -> CompromisedWorkload:
        """The same as compromised, with the labels by which its pods are told from those `beside`."""
        selector = dict(self.selector)
        if beside is not None and selector.items() <= beside.pod_labels.items():
            selector = {}
        known = {"selector": selector, "pod_labels": dict(self.pod_labels)}
        return CompromisedWorkload.model_validate({**self.identified.model_dump(), **known})


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """A Service of the namespace, with the selector it had before any containment."""

    name: str
    uid: str
    selector: Labels
    ports: tuple[int, ...]

    def selects(self, workload: Workload) -> bool:
        """Whether the workload's pods are behind this Service."""
        return bool(self.selector) and self.selector.items() <= workload.pod_labels.items()


@dataclass(frozen=True, slots=True)
class Scene:
    """One model, as far as decisions need it."""

    namespace: str
    model: str
    workloads: tuple[Workload, ...]
    services: tuple[ServiceFacts, ...]
    routed: frozenset[str]
    """Names of Services that a route of the namespace sends to."""

    def service(self, name: str) -> ServiceFacts | None:
        """The Service of this name."""
        return next((s for s in self.services if s.name == name), None)

    def services_of(self, workload: Workload) -> list[ServiceFacts]:
        """Services that send to the workload, by name."""
        return sorted((s for s in self.services if s.selects(workload)), key=lambda s: s.name)


@dataclass(frozen=True, slots=True)
class Raise:
    """A workload that has at least so many replicas, because it is to stand in for a compromised one."""

    workload: Workload
    replicas: int


@dataclass(frozen=True, slots=True)
class Demand:
    """What all holds together demand of the model's surroundings."""

    compromised: tuple[Workload, ...] = ()
    """Must not serve."""
    scale_to_zero: tuple[Workload, ...] = ()
    """Must not run; a part of `compromised`."""
    shift: bool = False
    """Whether traffic is moved."""
    known_good: Workload | None = None
    fallback: ServiceReference | None = None
    out_of_sight: tuple[str, ...] = ()
    """Workloads that must not run and were not found, as Kind/name."""
    pause_gitops: bool = False
    """Whether GitOps tools are kept from syncing what is held."""
    tolerated: tuple[Workload, ...] = ()
    """Compromised, and served by until another is ready: not stopped yet, and not to grow."""
    raised: tuple[Raise, ...] = ()
    """Known-good workloads that are brought up; none of them compromised."""
    rolled_back: tuple[Workload, ...] = ()
    """Run what they were rolled back to; none of them compromised. What syncs them stays away."""
    held: frozenset[Reference] = frozenset()
    """What is held of the namespace, so far as it is planned: the owners of these can be told from others."""

    def bad_services(self, scene: Scene) -> frozenset[str]:
        """Services that lead to compromised workloads alone, and will: a route must not send to them."""
        moved = self.known_good is not None and not self.good_services(scene)
        return frozenset(
            s.name
            for s in scene.services
            if any(s.selects(w) for w in self.compromised) and not self._serves_good(s)
            # Where no Service leads to the good pods alone, this one is moved to them.
            if not moved or self.selector_for(s, scene=scene) is None
        )

    def good_services(self, scene: Scene) -> list[ServiceFacts]:
        """Services that lead to the known-good workload, or the fallback; none that leads to a compromised one."""
        if self.known_good is None:
            found = [s for s in scene.services if self.fallback is not None and s.name == self.fallback.name]
        else:
            found = scene.services_of(self.known_good)
        return [s for s in found if not any(s.selects(w) for w in self.compromised)]

    def selector_for(self, service: ServiceFacts, *, scene: Scene) -> dict[str, str] | None:
        """The selector that leads to the good pods and to no bad one; None if none can tell them apart."""
        if self.known_good is None:
            fallback = next((s for s in self.good_services(scene) if s.selector), None)
            return dict(fallback.selector) if fallback else None
        good = self.known_good
        agreed = {key: value for key, value in service.selector.items() if good.pod_labels.get(key) == value}
        selector = {**agreed, **good.selector}
        leads_to_bad = any(selector.items() <= w.pod_labels.items() for w in self.compromised)
        return None if leads_to_bad else selector

    def _serves_good(self, service: ServiceFacts) -> bool:
        return self.known_good is not None and service.selects(self.known_good)


def union(parts: Iterable[Demand]) -> Demand:
    """All demands at once. Where traffic goes is decided by the last that says so, and never a compromised workload."""
    compromised: dict[str, Workload] = {}
    scaled: dict[str, Workload] = {}
    lost: dict[str, None] = {}
    good: Workload | None = None
    fallback: ServiceReference | None = None
    shift = paused = False
    tolerated: dict[str, Workload] = {}
    raised: dict[str, Raise] = {}
    rolled_back: dict[str, Workload] = {}
    for part in parts:
        tolerated |= {w.uid: w for w in part.tolerated}
        rolled_back |= {w.uid: w for w in part.rolled_back}
        raised |= {r.workload.uid: max(r, raised.get(r.workload.uid, r), key=lambda x: x.replicas) for r in part.raised}
        compromised |= {w.uid: w for w in part.compromised}
        scaled |= {w.uid: w for w in part.scale_to_zero}
        lost |= dict.fromkeys(part.out_of_sight)
        shift = shift or part.shift
        paused = paused or part.pause_gitops
        if part.known_good or part.fallback:
            good, fallback = part.known_good, part.fallback
    if good is not None and good.uid in compromised:
        good = None
    return Demand(
        tuple(compromised.values()),
        tuple(scaled.values()),
        shift,
        good,
        fallback,
        tuple(lost),
        paused,
        tolerated=tuple(w for w in tolerated.values() if w.uid not in scaled),
        raised=tuple(r for r in raised.values() if r.workload.uid not in compromised),
        rolled_back=tuple(w for w in rolled_back.values() if w.uid not in compromised),
    )
