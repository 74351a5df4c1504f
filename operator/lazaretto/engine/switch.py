"""Watches the one switch that stops all automatic action.

What is held stays held and is defended, and releases go on; only new containments wait for a person. A switch that
cannot be read counts as it was last read, and before it was ever read nothing is decided, unless there is no right to
read it: whoever installed the operator without that right has no switch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from lazaretto.domain.switch import SWITCH, switched_off
from lazaretto.engine.store import Store
from lazaretto.errors import ApiError, Forbidden, NotFound
from lazaretto.kube.api_server import Api, Object
from lazaretto.kube.resource import CONFIG_MAPS

log = logging.getLogger(__name__)

HEARD_WITHIN = 10
"""Seconds that a watch stands: whoever turns the switch must not wait long for a dead connection to be found."""
PAUSE = 1.0
WITHOUT_RIGHT = 60.0
REFUSALS = 4
"""In a row, a second apart, until it is believed that there is no right: an API server that has just started refuses
everything until it has read its roles, and must not be the one who turns the switch on."""


class Switch:
    """See the module's text. The store says how it stands; `changed` is called when that became otherwise."""

    def __init__(self, api: Api, store: Store, *, changed: Callable[[], None]) -> None:
        self.known = asyncio.Event()
        """Set once it was read."""
        self._api = api
        self._store = store
        self._changed = changed

    async def work(self, namespace: str) -> None:
        """Follow it for ever; `namespace` is the operator's own."""
        refused = 0
        while True:
            pause = PAUSE
            try:
                self._take(await self._read(namespace))
                refused = 0
                async for event in self._api.watch(CONFIG_MAPS, namespace=namespace, name=SWITCH, seconds=HEARD_WITHIN):
                    if event.get("type") != "BOOKMARK":
                        self._take(None if event.get("type") == "DELETED" else event["object"])
            except Forbidden as error:
                refused += 1
                if refused >= REFUSALS:
                    pause = WITHOUT_RIGHT
                    log.warning("there is no switch: %s", error)
                    self.known.set()
            except ApiError as error:
                log.info("switch %s/%s: %s", namespace, SWITCH, error)
            await asyncio.sleep(pause)

    async def _read(self, namespace: str) -> Object | None:
        try:
            return await self._api.get(CONFIG_MAPS, namespace=namespace, name=SWITCH)
        except NotFound:
            return None

    def _take(self, obj: Object | None) -> None:
        off = switched_off(None if obj is None else obj.get("data") or {})
        before, self._store.switched_off = self._store.switched_off, off
        self.known.set()
        if off != before:
            log.warning("automatic action: %s", off or "on, as the policies say")
            self._changed()
