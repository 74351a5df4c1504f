"""Keeps the records of a model's revisions, as surveys see them run.

A choice during an incident rests on these records and reads nothing further. Pods are read here,
and only where a template names something by tag; what they run says what the tag stands for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial

from lazaretto.api import ModelRevision
from lazaretto.api.containment import MOST_WORKLOADS
from lazaretto.api.modelrevision import DigestConfidence
from lazaretto.domain.digests import Resolution, needs_pods, resolve
from lazaretto.domain.revision_record import revision_status, revocations, unrecorded
from lazaretto.domain.scene import Workload
from lazaretto.engine.clock import Clock
from lazaretto.engine.status_writer import StatusWriter
from lazaretto.engine.store import Store
from lazaretto.errors import AlreadyExists, Forbidden
from lazaretto.kube.api_server import Api, Object
from lazaretto.kube.request import label_selector
from lazaretto.kube.resource import PODS, REVISIONS

log = logging.getLogger(__name__)


class Revisions:
    """See the module's text."""

    def __init__(self, api: Api, store: Store, statuses: StatusWriter, *, clock: Clock) -> None:
        self._api = api
        self._store = store
        self._statuses = statuses
        self._clock = clock

    async def look(self, namespace: str, name: str, workloads: Sequence[Workload]) -> Mapping[str, DigestConfidence]:
        """Record what a model's workloads run; how well that is known, by identity.

        Raises `ApiError` when a record cannot be made or pods cannot be read, other than for lack of rights.
        """
        await self._record(namespace, name, workloads)
        pods = await self._pods(namespace, workloads)
        seen: dict[str, DigestConfidence] = {}
        for revision in self._store.revisions_of(namespace, name):
            running = [w for w in workloads if w.identity == revision.spec.identity]
            resolution = resolve(running, pods=pods)
            seen[revision.spec.identity] = resolution.confidence
            self._revise(revision, workloads, resolution)
        return seen

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

    def _revise(self, revision: ModelRevision, workloads: Sequence[Workload], resolution: Resolution) -> None:
        namespace, model = revision.metadata.namespace, revision.spec.model
        revoked = revocations(
            revision,
            incidents=self._store.incidents_of(namespace, model),
            containment=self._store.containment(namespace, model),
            workloads=workloads,
        )
        build = partial(
            revision_status, workloads=workloads, revoked_by=revoked, resolution=resolution, now=self._clock.now()
        )
        self._statuses.submit(ModelRevision, namespace, revision.metadata.name, build)
