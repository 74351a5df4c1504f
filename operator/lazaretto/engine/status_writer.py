"""Writes status in a lane of its own, so that a slow status never delays a containment.

A status is computed at the last moment from the newest copy of its object, written only if it
differs, and guarded by the resource version: a lost race costs a repeat. Submissions for one
object that wait are merged into one write; of each author the latest computation wins, and the
computations of several authors are applied one upon the other. However often a status changes, it
is written `BURST` times at once and then every `EVERY` seconds; the newest is written in the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lazaretto.api import Resource
from lazaretto.domain.pace import Allowance
from lazaretto.engine.queue import WorkQueue
from lazaretto.engine.store import Store
from lazaretto.errors import ApiError, Conflict, NotFound
from lazaretto.kube.api_server import Api
from lazaretto.kube.request import json_patch
from lazaretto.kube.resource import of

log = logging.getLogger(__name__)

MANAGER = "lazaretto-status"
TRIES = 5
BURST = 30
EVERY = 2.0
MOST_KEPT = 1000
"""Objects whose allowance is remembered; beyond that, those are forgotten that have the whole of it."""

Key = tuple[type[Resource], str, str]
Build = Callable[[Any], Any]
"""From the newest object to its new status; it must be safe to call several times."""
Stored = Callable[[Any, Any], None]
"""Called with the old and the new object once the status is stored."""


@dataclass(slots=True)
class _Job:
    """What waits for one object, by author."""

    builds: dict[str, tuple[Build, Stored | None]] = field(default_factory=dict)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)

    def status_of(self, obj: Any) -> Any:
        """The status that follows from the object and everything that was submitted."""
        for build, _ in self.builds.values():
            obj = obj.model_copy(update={"status": build(obj)})
        return obj.status


class StatusWriter:
    """See the module's text."""

    def __init__(self, api: Api, store: Store) -> None:
        self._api = api
        self._store = store
        self._jobs: dict[Key, _Job] = {}
        self._queue: WorkQueue[Key] = WorkQueue()
        self._allowances: dict[Key, Allowance] = {}

    def submit(
        self,
        kind: type[Resource],
        namespace: str,
        name: str,
        build: Build,
        *,
        author: str = "",
        stored: Stored | None = None,
    ) -> asyncio.Future[None]:
        """Ask for a status to be computed and written; the future tells when it was, or why not."""
        key = (kind, namespace, name)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        job = self._jobs.setdefault(key, _Job())
        job.builds[author] = (build, stored)
        job.waiters.append(future)
        if pause := self._allowance(key).wait(asyncio.get_running_loop().time()):
            self._queue.add_after(key, pause)
        else:
            self._queue.add(key)
        # Most callers do not wait; an error that nobody asks for was logged by the worker.
        future.add_done_callback(lambda f: f.cancelled() or f.exception())
        return future

    async def work(self) -> None:
        """Write what is submitted, for ever."""
        while True:
            key = await self._queue.take()
            job = self._jobs.pop(key)
            try:
                await self._write(key, job)
            except ApiError as error:
                log.warning("status of %s %s/%s not written: %s", key[0].facts.kind, key[1], key[2], error)
                _settle(job, error)
            except Exception as error:
                # One object's defect must not take the others' workers with it.
                log.exception("status of %s %s/%s not written", key[0].facts.kind, key[1], key[2])
                _settle(job, error)
            else:
                _settle(job, None)
            finally:
                self._queue.done(key)

    async def _write(self, key: Key, job: _Job) -> None:
        kind, namespace, name = key
        for _ in range(TRIES):
            old: Any = self._store.get(kind, namespace, name)
            if old is None:
                return
            status = job.status_of(old)
            if status == old.status:
                return
            self._spend(key)
            try:
                body = await self._api.patch(_patch(kind, old, status))
            except NotFound:
                self._store.drop(kind, namespace, name, uid=old.metadata.uid)
                return
            except Conflict:
                await self._refresh(kind, namespace, name)
                continue
            new = self._store.put(kind, body)
            for _, stored in job.builds.values():
                if stored is not None and new is not None:
                    stored(old, new)
            return
        raise Conflict(409, f"lost {TRIES} races for the status")

    def _allowance(self, key: Key) -> Allowance:
        return self._allowances.get(key, Allowance(BURST, EVERY))

    def _spend(self, key: Key) -> None:
        now = asyncio.get_running_loop().time()
        if len(self._allowances) >= MOST_KEPT:
            self._allowances = {key: each for key, each in self._allowances.items() if not each.whole(now)}
        self._allowances[key] = self._allowance(key).taken(now)

    async def _refresh(self, kind: type[Resource], namespace: str, name: str) -> None:
        try:
            self._store.put(kind, await self._api.get(of(kind), namespace=namespace, name=name))
        except NotFound:
            self._store.drop(kind, namespace, name)


def _patch(kind: type[Resource], old: Any, status: Any) -> Any:
    operations = [
        {"op": "test", "path": "/metadata/uid", "value": old.metadata.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": old.metadata.resource_version},
        {"op": "add", "path": "/status", "value": status.dump_sparse()},
    ]
    return json_patch(
        of(kind),
        operations,
        namespace=old.metadata.namespace,
        name=old.metadata.name,
        manager=MANAGER,
        subresource="status",
    )


def _settle(job: _Job, error: Exception | None) -> None:
    for waiter in job.waiters:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)
