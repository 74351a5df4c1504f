"""Keeps the records of a model's revisions, as surveys see them run.

A choice during an incident rests on these records and reads nothing further. Pods are read here,
and only where a template names something by tag; what they run says what the tag stands for. What
a revision has earned since it was stored last is kept in memory: a restart loses that, and no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from lazaretto.api import ModelRevision, ProtectedModel
from lazaretto.api.containment import MOST_WORKLOADS
from lazaretto.api.modelrevision import DigestConfidence, Revocation
from lazaretto.domain.digests import needs_pods, resolve
from lazaretto.domain.known_good import vouched
from lazaretto.domain.recorded_template import Template, keeping, template_of
from lazaretto.domain.retirement import served, surplus
from lazaretto.domain.revision_record import Look, revision_status, revocations, unrecorded
from lazaretto.domain.scene import Workload
from lazaretto.domain.soak import Soak, soaked, stored
from lazaretto.domain.traffic import Traffic, together
from lazaretto.engine.clock import Clock
from lazaretto.engine.needs import missing
from lazaretto.engine.rights import Rights
from lazaretto.engine.status_writer import StatusWriter
from lazaretto.engine.store import Key, Store
from lazaretto.engine.traffic_lookup import TrafficLookup
from lazaretto.errors import AlreadyExists, Conflict, Forbidden
from lazaretto.kube.api_server import Api, Object
from lazaretto.kube.request import label_selector
from lazaretto.kube.resource import PODS, REVISIONS

log = logging.getLogger(__name__)

Steady = Callable[[], float]
"""Seconds on a clock that nobody sets."""


class Revisions:
    """See the module's text."""

    def __init__(
        self,
        api: Api,
        store: Store,
        statuses: StatusWriter,
        *,
        clock: Clock,
        traffic: TrafficLookup,
        rights: Rights,
        steady: Steady,
    ) -> None:
        self._api = api
        self._store = store
        self._statuses = statuses
        self._clock = clock
        self._traffic = traffic
        self._rights = rights
        self._steady = steady
        self._soaks: dict[Key, dict[str, Soak]] = {}
        """What was earned by the last look, by model and by uid of the record."""

    async def look(
        self, model: ProtectedModel, workloads: Sequence[Workload], *, templates: Mapping[str, Template]
    ) -> Mapping[str, DigestConfidence]:
        """Record what a model's workloads run; how well that is known, by identity. `templates` are by uid of these.

        Raises `ApiError` when a record cannot be made or pods cannot be read, other than for lack of rights.
        """
        namespace, name = model.metadata.namespace, model.metadata.name
        await self._record(namespace, name, workloads)
        pods = await self._pods(namespace, workloads)
        flows = await self._flows(model, workloads)
        before, self._soaks[namespace, name] = self._soaks.get((namespace, name), {}), {}
        seen: dict[str, DigestConfidence] = {}
        for revision in self._store.revisions_of(namespace, name):
            running = [w for w in workloads if w.identity == revision.spec.identity]
            resolution = resolve(running, pods=pods)
            seen[revision.spec.identity] = resolution.confidence
            traffic = together([flows[w.uid] for w in running if w.uid in flows])
            lacks = await self._lacks(revision, running, templates=templates)
            found = Look(workloads, self._revocations(revision, workloads), resolution, traffic, lacks)
            self._revise(revision, found, before.get(revision.metadata.uid), templates)
        return seen

    async def clear(self, model: ProtectedModel, workloads: Sequence[Workload], *, keep: Collection[str]) -> None:
        """Delete records that are not needed any more. One that was changed since it was read stays for now."""
        namespace, name = model.metadata.namespace, model.metadata.name
        incidents = self._store.incidents_of(namespace, name)
        keep = {*keep, *(i.spec.target.revision for i in incidents if i.spec.target and i.spec.target.revision)}
        found = surplus(
            self._store.revisions_of(namespace, name),
            workloads=workloads,
            containment=self._store.containment(namespace, name),
            keep=keep | ({model.spec.known_good} if model.spec.known_good else set()),
        )
        for record in found:
            meta = record.metadata
            try:
                await self._api.delete(
                    REVISIONS, namespace=namespace, name=meta.name, uid=meta.uid, version=meta.resource_version
                )
            except Conflict:
                continue
            self._store.drop(ModelRevision, namespace, meta.name, uid=meta.uid)

    def forget(self, key: Key) -> None:
        """The model is gone."""
        self._soaks.pop(key, None)

    async def _record(self, namespace: str, name: str, workloads: Sequence[Workload]) -> None:
        for body in unrecorded(name, workloads, self._store.revisions_of(namespace, name)):
            try:
                stored = await self._api.create(REVISIONS, body, namespace=namespace, manager="lazaretto-revisions")
            except AlreadyExists:
                continue
            self._store.put(ModelRevision, stored)

    async def _pods(self, namespace: str, workloads: Sequence[Workload]) -> dict[str, list[Object]]:
        """Pods by uid of their workload, of those that have to be read and may be."""
        asked = [w for w in workloads if needs_pods(w)][:MOST_WORKLOADS]
        try:
            found = await asyncio.gather(*(self._pods_of(namespace, w) for w in asked))
        except Forbidden as error:
            log.info("what tags stand for in %s is not known: %s", namespace, error)
            return {}
        return {w.uid: pods for w, pods in zip(asked, found, strict=True)}

    async def _pods_of(self, namespace: str, workload: Workload) -> list[Object]:
        labels = label_selector(workload.selector)
        return await self._api.list(PODS, namespace=namespace, labels=labels, cached=True) if labels else []

    async def _flows(self, model: ProtectedModel, workloads: Sequence[Workload]) -> dict[str, Traffic]:
        """What is known of their traffic, by uid, of those that serve and are not vouched for."""
        revisions = self._store.revisions_of(model.metadata.namespace, model.metadata.name)
        soaking = {r.spec.identity for r in revisions if not vouched(r)}
        asked = [w for w in workloads if w.available and w.ready > 0 and w.identity in soaking][:MOST_WORKLOADS]
        found = await asyncio.gather(*(self._traffic.of(model, w.name) for w in asked))
        return {w.uid: flow for w, flow in zip(asked, found, strict=True)}

    async def _lacks(
        self, revision: ModelRevision, running: Sequence[Workload], *, templates: Mapping[str, Template]
    ) -> list[str]:
        """What would keep one from starting that does not run, by its workload's template or the recorded one."""
        if any(w.replicas for w in running):
            return []
        recorded = revision.status.recorded
        template = next((templates[w.uid] for w in running if w.uid in templates), None)
        if template is None and recorded is not None:
            template = template_of(recorded)
        if template is None:
            return []
        return await missing(self._api, template, namespace=revision.metadata.namespace, rights=self._rights)

    def _revocations(self, revision: ModelRevision, workloads: Sequence[Workload]) -> list[Revocation]:
        namespace, model = revision.metadata.namespace, revision.spec.model
        return revocations(
            revision,
            incidents=self._store.incidents_of(namespace, model),
            containment=self._store.containment(namespace, model),
            workloads=workloads,
        )

    def _revise(
        self, revision: ModelRevision, look: Look, remembered: Soak | None, templates: Mapping[str, Template]
    ) -> None:
        metadata, now, steady = revision.metadata, self._clock.now(), self._steady()
        sight = look.sight(revision, now=now)
        soak = soaked(stored(revision.status), remembered=remembered, sight=sight, now=now, steady=steady)
        past = served(
            revision.status,
            remembered=remembered,
            running=look.running(revision),
            serves=sight.serves,
            spoiled=bool(look.revoked_by) or look.spoiled(revision, now=now),
            now=now,
            steady=steady,
        )
        serving = look.available(revision) if sight.serves else ()
        kept = keeping(revision, serving, templates=templates)
        self._soaks[metadata.namespace, revision.spec.model][metadata.uid] = soak
        build = partial(revision_status, look=look, soak=soak, served=past, kept=kept, now=now)
        self._statuses.submit(ModelRevision, metadata.namespace, metadata.name, build)
