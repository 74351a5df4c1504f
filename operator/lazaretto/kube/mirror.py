"""A local copy of one kind, kept by list and watch, with lookup by key.

A reader may rely on this: nothing older ever replaces something newer, neither a late watch
event an own write, nor the answer to an own write what the watch has delivered since; a
deleted object does not come back. The copy is still only a hint: another writer's change
arrives when it arrives, so writes must carry their own guard. `synced` is set after the first
complete list; `age` tells how long the watch has been silent (the API server sends bookmarks
every minute). `run` never ends by itself and survives every answer of the API server,
re-listing where the watch cannot continue. An object that `read` cannot take is left out
and logged.

Resource versions are compared as numbers, which Kubernetes guarantees for one kind.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from lazaretto.errors import ApiError, Expired
from lazaretto.kube.api_server import ApiServer, Object
from lazaretto.kube.resource import ResourceType
from lazaretto.kube.surface import number_of, version_of

T = TypeVar("T")
Identity = tuple[str, str]

FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0

_log = logging.getLogger(__name__)


class Mirror(Generic[T]):
    """The copy; see the module's text. `read` turns an object into what is kept, `keys` says how to find it.

    `changed` is called after every change of the copy, and after each complete list.
    """

    def __init__(
        self,
        api: ApiServer,
        *,
        resource: ResourceType,
        read: Callable[[Object], T],
        keys: Callable[[T], Iterable[Hashable]],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.synced = asyncio.Event()
        self._api = api
        self._resource = resource
        self._read = read
        self._keys = keys
        self._changed = changed
        self._kept: dict[Identity, tuple[int, T | None]] = {}
        self._found: dict[Hashable, dict[Identity, T]] = {}
        self._version = ""
        self._heard = 0.0

    def __len__(self) -> int:
        return len(self._kept)

    def age(self) -> float:
        """Seconds since the API server was last heard, by list, event or bookmark."""
        return asyncio.get_running_loop().time() - self._heard

    def find(self, key: Hashable) -> list[T]:
        """Everything under one key."""
        return list(self._found.get(key, {}).values())

    def put(self, body: Object) -> None:
        """Take in an object that the API server returned, unless the watch has been past it already."""
        if version_of(body) > number_of(self._version):
            self._store(body)

    def forget(self, *, namespace: str, name: str) -> None:
        """Drop an object that the API server did not find."""
        self._drop((namespace, name))

    async def run(self) -> None:
        """Keep the copy until cancelled."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                if not self._version:
                    await self._list()
                await self._follow()
            except Expired:
                self._version = ""
            except ApiError as error:
                _log.warning("%s: %s; trying again", self._resource.plural, error)
                failures += 1
            if loop.time() - begun > LONGEST_WAIT:
                failures = 0
            # A stream that ends at once must not become a busy loop, whatever it ended with.
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures, 10))
            await asyncio.sleep(wait * (0.5 + random.random() / 2))  # noqa: S311  # jitter, not a secret

    async def _list(self) -> None:
        listed: set[Identity] = set()
        version = ""
        async for items, version_of_list in self._api.pages_at(self._resource):
            version = version_of_list
            listed |= {_identity(item) for item in items}
            for item in items:
                self._store(item)
        newer = number_of(version)
        for identity in [i for i, (number, _) in self._kept.items() if i not in listed and number <= newer]:
            self._drop(identity)
        self._version = version
        self._heard = asyncio.get_running_loop().time()
        self.synced.set()
        self._changed()

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        async for event in self._api.watch(self._resource, version=self._version):
            self._heard = loop.time()
            self._apply(event)

    def _apply(self, event: Mapping[str, Any]) -> None:
        body, kind = event.get("object"), event.get("type")
        if not isinstance(body, dict) or kind not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"):
            _log.warning("%s: unknown watch event %r left out", self._resource.plural, str(kind)[:32])
            return
        if kind in ("ADDED", "MODIFIED"):
            self._store(body)
        elif kind == "DELETED" and self._number_kept(_identity(body)) <= version_of(body):
            # Otherwise an own write has already put a successor of the same name here.
            self._drop(_identity(body))
        self._version = str((body.get("metadata") or {}).get("resourceVersion") or self._version)
        if kind != "BOOKMARK":
            self._changed()

    def _number_kept(self, identity: Identity) -> int:
        number, _ = self._kept.get(identity, (0, None))
        return number

    def _store(self, body: Object) -> None:
        identity, number = _identity(body), version_of(body)
        if identity in self._kept and number < self._number_kept(identity):
            return
        self._drop(identity)
        try:
            value = self._read(body)
        except Exception as error:  # one unreadable object must not blind us to the rest
            _log.warning("%s %s/%s cannot be read and is left out: %s", self._resource.kind, *identity, error)
            self._kept[identity] = (number, None)
            return
        self._kept[identity] = (number, value)
        for key in self._keys(value):
            self._found.setdefault(key, {})[identity] = value

    def _drop(self, identity: Identity) -> None:
        _, value = self._kept.pop(identity, (0, None))
        if value is None:
            return
        for key in self._keys(value):
            under = self._found.get(key, {})
            under.pop(identity, None)
            if not under:
                self._found.pop(key, None)


def _identity(body: Mapping[str, Any]) -> Identity:
    metadata = body.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
