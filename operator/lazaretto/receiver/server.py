"""The receiver as a whole: two local copies, one public port, one for probes.

`start` returns when both ports listen; requests are answered 503 until the copies are
complete. `stop` lets requests in progress end. `failed` completes only if a part that must
run for ever has ended by itself; the process should then end as well and be restarted.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.mirror import Mirror
from lazaretto.kube.resource import INCIDENTS, MODELS
from lazaretto.kube.retry import RetryPolicy
from lazaretto.kube.transport import Transport
from lazaretto.receiver.credentials import TokenFiles
from lazaretto.receiver.endpoints import Endpoints
from lazaretto.receiver.listener import Listener
from lazaretto.receiver.matching import Matcher, model_keys, read_model
from lazaretto.receiver.pull import Pull
from lazaretto.receiver.settings import Address, Settings
from lazaretto.receiver.store import IncidentStore, incident_keys, read_incident
from lazaretto.receiver.tls import ServerTls
from lazaretto.telemetry.intake import IntakeMetrics

INTAKE = RetryPolicy(per_try=2.0, deadline=6.0)
"""A sender waits for us, and repeats if we give up."""
TLS_LOOK_SECONDS = 5.0
LONGEST_LINE = 4096
LONGEST_HEADER = 8190
MOST_HEADERS = 64

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)


class _Quiet(logging.LoggerAdapter[logging.Logger]):
    """The HTTP library's log without tracebacks: its parse errors quote headers, and headers hold tokens."""

    def process(self, msg: object, kwargs: dict[str, object]) -> tuple[object, dict[str, object]]:  # type: ignore[override]
        return msg, {**kwargs, "exc_info": None}


class Receiver:
    """One receiver; see the module's text."""

    def __init__(self, settings: Settings, *, transport: Transport) -> None:
        """Reads tokens and certificates; raises `ConfigurationError`. What it counts is in `metrics`."""
        settings.check()
        self._settings = settings
        self.metrics = IntakeMetrics(urlsplit(url).netloc for url in settings.alertmanagers)
        api = ApiServer(transport, policy=INTAKE)
        self._models = Mirror(api, resource=MODELS, read=read_model, keys=model_keys)
        self._incidents = Mirror(api, resource=INCIDENTS, read=read_incident, keys=incident_keys)
        self._tls: ServerTls | None = None
        if settings.certificate is not None and settings.key is not None:
            self._tls = ServerTls(certificate=settings.certificate, key=settings.key, client_ca=settings.client_ca)
        self._matcher = Matcher(
            self._models, namespace_label=settings.namespace_label, own_namespace=settings.namespace
        )
        self._store = IncidentStore(api, incidents=self._incidents)
        self._endpoints = Endpoints(
            settings,
            tokens=TokenFiles(settings.tokens) if settings.tokens else None,
            matcher=self._matcher,
            store=self._store,
            metrics=self.metrics,
            ready=self.unready,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._public: _Port | None = None
        self._health: _Port | None = None

    @property
    def address(self) -> Address:
        """Where the public port listens; tells the port when 0 was asked for."""
        return _known(self._public).address

    @property
    def health_address(self) -> Address:
        """Where the port for probes listens."""
        return _known(self._health).address

    async def start(self) -> None:
        """Opens both ports and begins to fill the copies."""
        self._health = _Port(self._probe, limit=64, idle=10.0)
        await self._health.open(self._settings.health)
        self._public = _Port(
            self._endpoints.handle, limit=self._settings.connections, idle=self._settings.header_seconds
        )
        await self._public.open(self._settings.listen, tls=self._tls.listening if self._tls else None)
        self._tasks = [
            asyncio.create_task(self._models.run(), name="models"),
            asyncio.create_task(self._incidents.run(), name="incidents"),
            asyncio.create_task(self._watch_tls(), name="tls"),
        ]
        for url in self._settings.alertmanagers:
            pull = Pull(
                url,
                self._settings,
                matcher=self._matcher,
                store=self._store,
                metrics=self.metrics,
                ready=self.unready,
            )
            self._tasks.append(asyncio.create_task(pull.run(), name=pull.sender))
        _log.info("listening on %s:%d", self.address.host, self.address.port)

    async def failed(self) -> None:
        """Raises what ended a part that must not end."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self, *, grace: float = 10.0) -> None:
        """Stops listening, lets requests in progress end for up to `grace` seconds, then ends."""
        for port in (self._public, self._health):
            if port is not None:
                await port.close(grace=grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def unready(self) -> str:
        """Why alerts cannot be taken now; empty when they can."""
        for name, mirror in (("ProtectedModels", self._models), ("AIIncidents", self._incidents)):
            if not mirror.synced.is_set():
                return f"{name} are not known yet"
            if mirror.age() > self._settings.silence_seconds:
                return f"{name} have not been heard of for {mirror.age():.0f} s"
        return ""

    async def _probe(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/healthz":
            ended = [task.get_name() for task in self._tasks if task.done()]
            return web.Response(status=500 if ended else 200, text=f"ended: {', '.join(ended)}\n" if ended else "ok\n")
        if request.path == "/readyz":
            reason = self.unready()
            return web.Response(status=503 if reason else 200, text=f"{reason or 'ok'}\n")
        return web.Response(status=404, text="/healthz and /readyz\n")

    async def _watch_tls(self) -> None:
        while True:
            await asyncio.sleep(TLS_LOOK_SECONDS)
            if self._tls is not None:
                self._tls.refresh()


class _Port:
    """One listening port with a bounded number of connections."""

    def __init__(self, handler: Handler, *, limit: int, idle: float) -> None:
        self._server = web.Server(
            handler,
            keepalive_timeout=idle,
            # A body that nobody wants is not read after the answer either.
            lingering_time=0.0,
            auto_decompress=False,
            access_log=None,
            logger=_Quiet(logging.getLogger("lazaretto.receiver.http"), {}),
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_HEADER,
            max_headers=MOST_HEADERS,
        )
        self._listener = Listener(self._server, limit=limit, established=lambda: len(self._server.connections))

    async def open(self, address: Address, *, tls: ssl.SSLContext | None = None) -> None:
        await self._listener.open(address, tls=tls)

    @property
    def address(self) -> Address:
        return self._listener.address

    async def close(self, *, grace: float) -> None:
        await self._listener.close()
        self._server.pre_shutdown()
        await self._server.shutdown(grace)


def _known(port: _Port | None) -> _Port:
    if port is None:
        raise RuntimeError("the receiver was not started")
    return port
