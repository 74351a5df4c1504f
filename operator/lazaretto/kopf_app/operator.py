"""The operator process: Kopf watches our kinds, the engine does the rest.

Kopf is used for what it does well - watching, multiplexing, logging in, shutting down - and for
nothing else. Only `on.event` handlers: no finalizers, no annotations, no patches, so a watch
event costs no write. The handlers parse nothing and never wait.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from typing import Any

import kopf

from lazaretto.api import GROUP, KINDS, VERSION, Resource
from lazaretto.engine.engine import Engine
from lazaretto.errors import LazarettoError
from lazaretto.kopf_app.pulse import STREAM_SECONDS, Pulse, watch_over
from lazaretto.kube.transport import Credentials

log = logging.getLogger(__name__)

LOGIN_AGAIN_SECONDS = 1.0
"""How soon Kopf gets another token, whenever it asks."""
LAST_SECONDS = 2.0
"""How long the rest of an end may take. A dead watch may hang for the reason that it is dead for; and when Kopf gives
up one watch, it waits half a minute for others that wait for a login, which nobody gives them any more."""


def settings() -> kopf.OperatorSettings:
    """Kopf's settings where its defaults would leave us blind or slow."""
    ours = kopf.OperatorSettings()
    # Reconnect at once and never give up: the default waits up to 21 s, and ends after 54 s.
    ours.networking.error_backoffs = [0.1, 0.2, 0.4] + [0.5] * 2000
    ours.networking.request_timeout = 10.0
    ours.networking.connect_timeout = 2.0
    ours.watching.server_timeout = STREAM_SECONDS  # sent as written, and the API server takes whole seconds only
    ours.watching.client_timeout = 270.0
    ours.watching.inactivity_timeout = 70.0
    ours.watching.reconnect_backoff = 0.1
    # Thousands of stored incidents are read at the start. Kopf keeps a page of them, and of each the last event, in a
    # worker of its own that waits this long for the next one.
    ours.watching.chunk_size = 100
    ours.queueing.idle_timeout = 0.2
    ours.queueing.error_delays = (0.2, 0.5, 1.0, 2.0, 5.0)
    ours.queueing.exit_timeout = 5.0
    ours.execution.default_backoff = 1.0
    ours.persistence.consistency_timeout = 0.0
    ours.posting.enabled = False
    ours.posting.loggers = False
    ours.peering.standalone = True
    ours.scanning.disabled = True
    ours.process.ultimate_exiting_timeout = 30.0
    return ours


def registry(engine: Engine, credentials: Credentials, *, pulse: Pulse, stop: asyncio.Event) -> kopf.OperatorRegistry:
    """The handlers: one per kind, each of them a bell; and a probe, which says how it is with the watches.

    `stop` is set in the end, whoever asked for it.
    """
    ours = kopf.OperatorRegistry()
    due = 0.0

    @kopf.on.login(registry=ours)
    async def login(**_: Any) -> kopf.AiohttpSession:
        nonlocal due
        # As long as a token is not taken, Kopf asks for the next one without a pause.
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, due - now))
        due = max(due, now) + LOGIN_AGAIN_SECONDS
        await credentials.renew()
        login = kopf.ConnectionInfo(
            server=credentials.server,
            ca_path=credentials.ca_file,
            token=await credentials.token(),
            certificate_path=credentials.cert_file,
            private_key_path=credentials.key_file,
        )
        return kopf.AiohttpSession(server=login.server, aiohttp_session=pulse.session(login))

    @kopf.on.probe(registry=ours, id="watches")
    async def watches(**_: Any) -> Mapping[str, float]:
        if dead := pulse.dead():
            raise kopf.PermanentError(f"nothing heard by the watches on {', '.join(dead)}")
        return {plural: round(age, 1) for plural, age in pulse.ages.items()}

    @kopf.on.startup(registry=ours)
    async def startup(**_: Any) -> None:
        engine.start()

    @kopf.on.cleanup(registry=ours)
    async def cleanup(**_: Any) -> None:
        await engine.stop()
        # Kopf leaves a task behind that waits for it, and would in turn wait 5 s for that task.
        stop.set()

    for kind in KINDS:
        _watch(ours, engine, kind)
    return ours


def _watch(ours: kopf.OperatorRegistry, engine: Engine, kind: type[Resource]) -> None:
    @kopf.on.event(GROUP, VERSION, kind.facts.plural, registry=ours, id=f"bell-{kind.facts.singular}")
    async def bell(event: Mapping[str, Any], **_: Any) -> None:
        engine.observe(kind, event["object"], deleted=event.get("type") == "DELETED")


async def run(
    engine: Engine, credentials: Credentials, *, liveness: str | None = None, pulse: Pulse | None = None
) -> None:
    """Run until a signal arrives, or until Kopf gives up watching: then the process must end.

    Raises `LazarettoError` when a watch is dead. If ending takes too long, it ends the process by itself.
    """
    pulse = pulse or Pulse()
    stop = asyncio.Event()
    found: list[str] = []

    def ended(dead: list[str]) -> None:
        log.critical("nothing heard by the watches on %s: this process ends", ", ".join(dead))
        found.extend(dead)
        stop.set()

    # Begun before Kopf begins, which waits in the end for all that began later.
    watching = asyncio.create_task(watch_over(pulse, ended=ended))
    ending = asyncio.create_task(_end_after(stop))
    try:
        await kopf.operator(
            registry=registry(engine, credentials, pulse=pulse, stop=stop),
            settings=settings(),
            clusterwide=True,
            standalone=True,
            stop_flag=stop,
            liveness_endpoint=liveness,
        )
    finally:
        watching.cancel()
        ending.cancel()
    if found:
        raise LazarettoError("a watch was dead")


async def _end_after(stop: asyncio.Event) -> None:
    """End the process that should have ended by itself."""
    await stop.wait()
    await asyncio.sleep(LAST_SECONDS)
    os._exit(1)
