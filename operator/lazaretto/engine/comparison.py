"""Compares the copies of our own kinds with the API server: once before anything is decided, and now and then.

Watches deliver changes. What no watch has delivered - everything that existed before, and a
deletion that went by while a stream was down - is found here.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lazaretto.api import KINDS, AIIncident, Resource
from lazaretto.engine.store import Store
from lazaretto.errors import ApiError, NotFound
from lazaretto.kube.api_server import Api
from lazaretto.kube.resource import of

log = logging.getLogger(__name__)

RELIST_EVERY = 60.0
MANY = 500
"""More of a kind than one page of a list are counted each time, and compared when the count differs, or seldom."""
SELDOM = 10
"""Of so many times, many are compared once, whatever their count."""
FIRST_RETRY = 0.1
OPEN = "status.state!=Released,status.state!=Closed"
"""Selects incidents that have not ended."""


class Observer(Protocol):
    """Takes in one event of one of our kinds."""

    def __call__(self, kind: type[Resource], body: Mapping[str, Any], *, deleted: bool) -> None:
        """Never blocks and never raises on bad objects."""


class Comparison:
    """See the module's text. What it finds goes to `observe`, as if a watch had told it."""

    def __init__(self, api: Api, store: Store, observe: Observer) -> None:
        self._api = api
        self._store = store
        self._observe = observe
        self.learned = asyncio.Event()
        """Set once everything that decisions rest on was read."""

    async def work(self) -> None:
        """Learn, and then compare for ever."""
        await self._learn()
        await self._read_open()
        await self._read(AIIncident, "limits are not measured")
        self._store.incidents_known = True
        for turn in itertools.count(1):
            await asyncio.sleep(RELIST_EVERY)
            for kind in KINDS:
                if turn % SELDOM == 0 or not await self._is_complete(kind):
                    await self._compare(kind)

    async def _learn(self) -> None:
        """Read what decisions rest on, before the first one is made.

        Watches of different kinds fill up in any order. Without its policy or model a held incident
        seems to need fewer approvals, and without its containment an approved one seems to hold
        nothing. Incidents may be many, and are not waited for, except where limits are measured.
        """
        for kind in KINDS:
            if kind is not AIIncident:
                await self._read(kind, "nothing is decided")
        self.learned.set()

    async def _read(self, kind: type[Resource], meanwhile: str) -> None:
        """Take in all of a kind, however long it takes until the API server answers."""
        while True:
            try:
                async for bodies in self._api.pages(of(kind)):
                    await self._take_in(kind, bodies)
            except ApiError as error:
                log.warning("%s not read yet, %s until they are: %s", kind.facts.plural, meanwhile, error)
                await asyncio.sleep(FIRST_RETRY)
            else:
                return

    async def _read_open(self) -> None:
        """Take in what is open before what is past, which may be thousands of times as much."""
        try:
            async for bodies in self._api.pages(of(AIIncident), fields=OPEN):
                await self._take_in(AIIncident, bodies)
        except ApiError as error:
            # Before Kubernetes 1.31 lists are not narrowed by fields of ours. All of them are read next.
            log.info("open incidents are read among all others: %s", error)

    async def _is_complete(self, kind: type[Resource]) -> bool:
        """Whether there are so many copies that they are not compared for nothing, and as many as are stored.

        Closed incidents pile up, and reading ten thousand each minute would be most of what an idle operator does.
        """
        known = sum(1 for _ in self._store.all(kind)) + sum(k == kind.facts.kind for k, _, _ in self._store.unreadable)
        if known <= MANY:
            return False
        try:
            return await self._api.count(of(kind)) == known
        except ApiError:
            return False

    async def _compare(self, kind: type[Resource]) -> None:
        # What comes to be while pages are read is on none of them, and not gone.
        known, present = {each.metadata.uid for each in self._store.all(kind)}, set[str]()
        try:
            async for bodies in self._api.pages(of(kind)):
                present |= {str(body["metadata"].get("uid", "")) for body in bodies}
                await self._take_in(kind, bodies)
        except ApiError as error:
            log.warning("%s not compared: %s", kind.facts.plural, error)
            return
        missing = known - present
        for obj in [each for each in self._store.all(kind) if each.metadata.uid in missing]:
            await self._confirm_gone(kind, obj)

    async def _take_in(self, kind: type[Resource], bodies: Sequence[Mapping[str, Any]]) -> None:
        for body in bodies:
            self._observe(kind, body, deleted=False)
            # Reading one takes a fraction of a millisecond, and there may be thousands: an incident goes first.
            await asyncio.sleep(0)

    async def _confirm_gone(self, kind: type[Resource], obj: Resource) -> None:
        """Ask about a copy that the list did not have: it may have been created since."""
        meta = obj.metadata
        try:
            body = await self._api.get(of(kind), namespace=meta.namespace, name=meta.name)
        except NotFound:
            gone = {"namespace": meta.namespace, "name": meta.name, "uid": meta.uid}
            self._observe(kind, {"metadata": gone}, deleted=True)
        except ApiError as error:
            log.warning("%s %s/%s not compared: %s", kind.facts.kind, meta.namespace, meta.name, error)
        else:
            self._observe(kind, body, deleted=False)
