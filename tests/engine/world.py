"""A namespace with a model in it behind an API server in memory, and an operator that makes one pass after the other.

The objects are those of the demo in the shapes of `tests/e2e`. What controllers, people and watches do happens when a
test says so; nothing waits for time to pass.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lazaretto.api import KINDS, AIIncident, Containment, reasons
from lazaretto.api.meta import LABEL_QUARANTINE
from lazaretto.domain.evidence import Finding
from lazaretto.domain.fields import Fields
from lazaretto.engine.collector import Collector
from lazaretto.engine.event_writer import EventWriter
from lazaretto.engine.opposition import Opposition
from lazaretto.engine.reconciler import NOW, SOON, Reconciler
from lazaretto.engine.report import Reporter
from lazaretto.engine.sentry import Watched
from lazaretto.engine.status_writer import StatusWriter
from lazaretto.engine.store import Key, Store
from lazaretto.engine.surfaces import ALL
from lazaretto.engine.surroundings import Surroundings
from lazaretto.engine.undo import Undo
from lazaretto.errors import LazarettoError
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.resource import (
    CONFIG_MAPS,
    ENDPOINT_SLICES,
    EVENTS,
    GRPC_ROUTES,
    HTTP_ROUTES,
    NETWORK_POLICIES,
    OWN,
    PODS,
    ResourceType,
    of,
)
from lazaretto.kube.retry import RetryPolicy
from lazaretto.kube.surface import Surface
from tests.e2e.shapes import MODEL, Shape, attestation, incident, protection, workloads
from tests.engine.faulty_line import FaultyLine
from tests.engine.memory_api import CREATED, MemoryApi, Object

NAMESPACE = "support"
KEY: Key = (NAMESPACE, MODEL)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ONCE = RetryPolicy(deadline=0.0)
PEOPLE = ("alice", "bob")
SURFACES: Mapping[str, Surface] = {surface.resource.plural: surface for surface in ALL}
_TYPES: Mapping[str, ResourceType] = {
    t.kind: t
    for t in (
        *(s.resource for s in SURFACES.values()),
        *OWN,
        *(PODS, EVENTS, CONFIG_MAPS, ENDPOINT_SLICES, NETWORK_POLICIES),
    )
}
_LONGEST = 60


class NoonClock:
    """It is always noon."""

    def now(self) -> datetime:
        return NOON


class World:
    """The namespace."""

    def __init__(self, shape: Shape | None = None, *, more: Sequence[Object] = ()) -> None:
        self.api = MemoryApi()
        # Most clusters have no KEDA and no Argo CD; who wants them takes this away.
        self.api.absent = {"scaledobjects", "applications"}
        shape = shape or Shape()
        for body in [*workloads(shape), *more, *attestation(shape), *protection(shape)]:
            self.add(body)
        self.controllers()
        self.originals = self.specs()
        self.bases: dict[str, Fields] = {}
        """What every object that can be held was before anybody held it, by uid."""
        for plural, surface in SURFACES.items():
            self.bases |= {body["metadata"]["uid"]: surface.read(body) for body in self.api.all(plural)}

    def add(self, body: Object) -> Object:
        return self.api.add(self.path(body["kind"], body["metadata"]["name"]), body)

    def path(self, kind: str, name: str) -> str:
        return _TYPES[kind].path(namespace=NAMESPACE, name=name)

    def read(self, kind: str, name: str) -> Any:
        """A copy of one object, None if it does not exist."""
        return copy.deepcopy(self.api.objects.get(self.path(kind, name)))

    def change(self, kind: str, name: str, change: Callable[[Object], object]) -> None:
        """Changes an object as somebody would."""
        self.api.change(self.path(kind, name), change)

    def remove(self, kind: str, name: str) -> None:
        self.api.delete(self.path(kind, name))

    def specs(self) -> dict[str, Any]:
        """The whole `.spec` of everything that can be held, by kind and name."""
        found = (body for plural in SURFACES for body in self.api.all(plural))
        return {f"{b['kind']}/{b['metadata']['name']}": copy.deepcopy(b["spec"]) for b in found}

    def report(self, number: int = 1, **more: Any) -> Object:
        """Stores an incident."""
        body = incident(name=f"{MODEL}-{number}", **more)
        return self.add({**body, "metadata": {**body["metadata"], "uid": f"uid-of-{MODEL}-{number}"}})

    def approve(
        self, number: int = 1, *, verb: str = "ApproveRelease", people: Sequence[str] = PEOPLE, **more: str
    ) -> None:
        """People decide about an incident; `more` goes into the spec."""
        about = self.read("AIIncident", f"{MODEL}-{number}")["metadata"]
        for user in people:
            spec = {"incidentName": about["name"], "incidentUID": about["uid"], "verb": verb, "decidedBy": user, **more}
            name = f"{about['name']}-{verb.lower()}-{user}"
            metadata = {"name": name, "uid": f"uid-of-{name}"}
            self.add({"kind": "IncidentDecision", "metadata": metadata, "spec": {**spec, "reason": "looked at it"}})

    def incident(self, number: int = 1) -> AIIncident:
        return AIIncident.read(self.read("AIIncident", f"{MODEL}-{number}"))

    @property
    def containment(self) -> Containment | None:
        body = self.read("Containment", MODEL)
        return Containment.read(body) if body else None

    def tell(self, store: Store) -> None:
        """Brings the copies up to date, as watches do."""
        for kind in KINDS:
            bodies = self.api.all(of(kind).plural)
            for body in bodies:
                store.put(kind, body)
            present = {body["metadata"]["uid"] for body in bodies}
            for gone in [obj for obj in store.all(kind) if obj.metadata.uid not in present]:
                store.drop(kind, NAMESPACE, gone.metadata.name, uid=gone.metadata.uid)

    def controllers(self) -> None:
        """Deployments, pods, endpoints and routes catch up with what is wanted of them."""
        pods = [pod for body in self.api.all("deployments") for pod in self._pods_of(body)]
        self._put_all("Pod", pods)
        for body in self.api.all("deployments"):
            self.change("Deployment", body["metadata"]["name"], _rolled_out)
        self._put_all("EndpointSlice", [self._slice_of(body) for body in self.api.all("services")])
        for kind in (HTTP_ROUTES, GRPC_ROUTES):
            for body in self.api.all(kind.plural):
                self.change(kind.kind, body["metadata"]["name"], _accepted)

    def _pods_of(self, deployment: Object) -> list[Object]:
        name, spec = deployment["metadata"]["name"], deployment["spec"]
        labels = spec["template"]["metadata"]["labels"]
        found = [f"{name}-{number}" for number in range(spec["replicas"])]
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        made = {"kind": "Pod", "spec": spec["template"]["spec"], "status": status}
        return [{**made, "metadata": {"name": n, "labels": labels}} for n in found]

    def _slice_of(self, service: Object) -> Object:
        name, selector = service["metadata"]["name"], service["spec"]["selector"]
        pods = [p for p in self.api.all("pods") if selector.items() <= p["metadata"]["labels"].items()]
        endpoints = [
            {"conditions": {"serving": True}, "targetRef": {"kind": "Pod", "uid": p["metadata"]["uid"]}} for p in pods
        ]
        metadata = {"name": name, "labels": {"kubernetes.io/service-name": name}}
        return {"kind": "EndpointSlice", "metadata": metadata, "endpoints": endpoints}

    def _put_all(self, kind: str, bodies: Sequence[Object]) -> None:
        """Makes these the only objects of a kind."""
        paths = {self.path(kind, body["metadata"]["name"]): body for body in bodies}
        for body in list(self.api.all(_TYPES[kind].plural)):
            if LABEL_QUARANTINE in (body["metadata"].get("labels") or {}):
                # No controller owns it any more.
                continue
            if (path := self.path(kind, body["metadata"]["name"])) not in paths:
                self.api.delete(path)
        for path, body in paths.items():
            if path not in self.api.objects:
                self.api.add(path, body)
            elif "endpoints" in body:
                self.api.change(path, lambda old, body=body: old.update(endpoints=body["endpoints"]))  # type: ignore[misc]


def _rolled_out(deployment: Object) -> None:
    count = deployment["spec"]["replicas"]
    deployment["status"] = {
        "observedGeneration": deployment["metadata"]["generation"],
        **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count),
        "conditions": [{"type": "Available", "status": "True", "lastTransitionTime": CREATED}],
    }


def _accepted(route: Object) -> None:
    seen = {"status": "True", "observedGeneration": route["metadata"]["generation"]}
    conditions = [{"type": type_, **seen} for type_ in ("Accepted", "ResolvedRefs")]
    route["status"] = {"parents": [{"parentRef": {"name": "gateway"}, "conditions": conditions}]}


class Operator:
    """What runs in the operator's process, one pass at a time. A killed one is replaced by a new one.

    `late`: watches are slow, and tell of others' changes and of what a killed process wrote only once nothing else
    is left to do.
    """

    def __init__(
        self,
        world: World,
        line: FaultyLine | None = None,
        *,
        late: bool = False,
        surroundings: Surroundings | None = None,
    ) -> None:
        self.world = world
        self._surroundings = surroundings
        self.line = line or FaultyLine(world.api)
        self.guarded: Sequence[Watched] = ()
        self.changed: list[Key] = []
        self.rung: list[Key] = []
        """Models whose snapshot has come to an end."""
        self.policies = Finding("True", reasons.PROVED, "admission policies are as shipped")
        self._late = late
        self._lanes: list[asyncio.Task[None]] = []
        self._start()

    def _start(self) -> None:
        api = ApiServer(self.line, policy=ONCE)
        self.store = Store()
        statuses, events = StatusWriter(api, self.store), EventWriter(api)
        self.reporter = Reporter(self.store, statuses, events, clock=NoonClock())
        self.opposition = Opposition()
        self.undo = Undo(api, self.opposition)
        self.collector = Collector(api, api, clock=NoonClock(), ring=self.rung.append)
        self.reconciler = Reconciler(
            api,
            self.store,
            self.reporter,
            clock=NoonClock(),
            guard=self._guard,
            changed=self.changed.append,
            policies=lambda: self.policies,
            opposition=self.opposition,
            undo=self.undo,
            collector=self.collector,
            surroundings=self._surroundings,
        )
        work = (statuses.work(), statuses.work(), events.work(), self.collector.work())
        self._lanes = [asyncio.create_task(each) for each in work]
        self.hear()

    def _guard(self, key: Key, targets: Sequence[Watched]) -> None:
        self.guarded = targets

    async def stop(self) -> None:
        self.collector.close()
        for task in self._lanes:
            task.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)

    def hear(self) -> None:
        """The watches tell everything that has happened."""
        self.world.tell(self.store)
        self.opposition.stirred(KEY)

    async def once(self, *, hear: bool = True) -> float | None:
        """One pass, with everything that it hands to the other lanes. Raises what the pass raises."""
        if hear:
            self.hear()
        one = asyncio.create_task(self.reconciler.reconcile(KEY))
        death = asyncio.create_task(self.line.dead.wait())
        await asyncio.wait({one, death}, return_when=asyncio.FIRST_COMPLETED)
        await self._quiet()
        death.cancel()
        if not self.line.dead.is_set():
            return await one
        one.cancel()
        await self.stop()
        self.line = FaultyLine(self.world.api)
        self._start()
        return NOW

    async def settle(self) -> None:
        """Passes until nothing changes any more."""
        quiet = 0
        for _ in range(_LONGEST):
            self.world.controllers()
            version = self.world.api.version
            try:
                delay = await self.once(hear=not self._late or quiet > 0)
            except LazarettoError:
                delay = None
            waits = delay in (NOW, SOON)
            quiet = 0 if self.world.api.version != version or (waits and quiet < 2) else quiet + 1
            if quiet >= 2 and not waits:
                return
        raise AssertionError(f"still at work after {_LONGEST} passes")

    async def _quiet(self) -> None:
        """Until no lane asks anything any more."""
        seen = -1
        while len(self.line.calls) != seen:
            seen = len(self.line.calls)
            for _ in range(12):
                await asyncio.sleep(0)
