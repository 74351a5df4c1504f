"""Sends requests through `kubernetes.aio`; the one module that knows that client.

Answers are taken raw: the generated models validate strictly, and would turn a write that
the API server stored into an exception. Connections are kept alive, because a TLS handshake
at the moment of an incident costs more than the write. Proxy variables of the environment
are ignored: our token goes to the API server and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import yaml
from aiohttp.http_exceptions import HttpProcessingError  # what a line beyond the buffer raises
from kubernetes.aio import client as aio_client
from kubernetes.aio import config as aio_config
from kubernetes.aio.client.rest import RESTClientObject

from lazaretto.errors import ConfigurationError, Unavailable
from lazaretto.kube.request import Request

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 300.0
RENEW_SECONDS = 60.0
RENEW_AGAIN_SECONDS = 1.0
"""How often credentials are read again that the API server does not take."""

_UNREADABLE = (aio_config.ConfigException, OSError)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The parsed body; an empty or unreadable one is `{}`: the status already says what happened."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


class Credentials(Protocol):
    """What another client in this process needs to log in to the same API server."""

    server: str
    ca_file: str | None
    cert_file: str | None
    key_file: str | None

    async def token(self) -> str | None:
        """The bearer token as it is now; service account tokens are replaced while we run."""

    async def renew(self) -> None:
        """Read the token again, because the API server does not take it; at most once a second."""


class Transport(Protocol):
    """The seam between requests as data and a socket. Tests put their own here."""

    async def send(self, request: Request, *, timeout: float) -> Response:
        """Send and return the answer of any status. Raises `Unavailable` when there is none."""

    def lines(self, request: Request, *, idle: float) -> AsyncIterator[bytes]:
        """Stream the answer line by line. Raises `Unavailable` after `idle` seconds of silence."""

    async def close(self) -> None:
        """Close all connections."""


class _Rest(RESTClientObject):  # type: ignore[misc]  # the base class is untyped
    """The client's pool with connections that stay open."""

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=self.maxsize, ssl=self.ssl_context, keepalive_timeout=KEEP_ALIVE_SECONDS)


class _Renewal:
    """Reads a token file, or runs a plugin, again: credentials are replaced while we run."""

    def __init__(self, reread: Callable[[], Awaitable[None]]) -> None:
        self._reread = reread
        # What was read at first may be refused at once.
        self._read = asyncio.get_running_loop().time() - RENEW_AGAIN_SECONDS

    async def due(self, seconds: float) -> None:
        """Read them, unless they were read less than so many seconds ago; what fails is said, and they stay."""
        now = asyncio.get_running_loop().time()
        if now - self._read < seconds:
            return
        self._read = now
        try:
            await self._reread()
        except _UNREADABLE as error:
            log.warning("credentials not read again, the last ones stay in use: %s", error)


class AioTransport:
    """`Transport` over `kubernetes.aio`. One instance is one connection pool: one lane."""

    def __init__(self, configuration: Any, *, renewal: _Renewal | None = None) -> None:
        """`renewal` brings the configuration's credentials up to date."""
        configuration.client_session_kwargs = {"trust_env": False}
        self._configuration = configuration
        self._renewal = renewal
        self._rest = _Rest(configuration)
        self.server: str = configuration.host
        self.ca_file: str | None = configuration.ssl_ca_cert
        self.cert_file: str | None = configuration.cert_file
        self.key_file: str | None = configuration.key_file

    async def token(self) -> str | None:
        """See `Credentials.token`."""
        for setting in (await self._configuration.auth_settings()).values():
            scheme, _, value = str(setting["value"]).strip().partition(" ")
            return value if scheme.lower() == "bearer" else scheme
        return None

    async def renew(self) -> None:
        """See `Credentials.renew`."""
        if self._renewal is not None:
            await self._renewal.due(RENEW_AGAIN_SECONDS)

    async def send(self, request: Request, *, timeout: float) -> Response:
        """See `Transport.send`."""
        answer = await self._open(request, timeout=timeout)
        try:
            async with asyncio.timeout(timeout):
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(0, f"answer cut off: {_said(error)}", request=str(request)) from error
        return Response(answer.status, answer.headers, body)

    async def lines(self, request: Request, *, idle: float) -> AsyncIterator[bytes]:
        """See `Transport.lines`."""
        answer = await self._open(request, timeout=aiohttp.ClientTimeout(total=None, connect=2.0, sock_read=idle))
        stream = answer.response
        try:
            if answer.status != 200:
                yield await stream.read()
                return
            while line := await stream.content.readline():
                yield line
        except (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(0, f"stream broken: {_said(error)}", request=str(request)) from error
        finally:
            stream.close()

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._rest.close()

    async def _open(self, request: Request, *, timeout: float | aiohttp.ClientTimeout) -> Any:
        headers = {"Content-Type": request.content_type, "Accept": "application/json", "User-Agent": "lazaretto"}
        limit = aiohttp.ClientTimeout(total=timeout) if isinstance(timeout, int | float) else timeout
        try:
            for setting in (await self._configuration.auth_settings()).values():
                # A token file may end in a line break, which no header may hold.
                headers["Authorization"] = setting["value"].strip()
            url = f"{self._configuration.host}{request.url}"
            answer = await self._rest.request(request.method, url, headers, request.body, _request_timeout=limit)
            if answer.status == 401:
                await self.renew()
            return answer
        except (aiohttp.ClientError, aio_config.ConfigException, TimeoutError, OSError) as error:
            raise Unavailable(0, f"no answer: {_said(error)}", request=str(request)) from error


def _said(error: Exception) -> str:
    """The error for a log: not its `repr`, which shows the request's headers, and our token among them."""
    return f"{type(error).__name__} {error}".strip()


async def connect(kubeconfig: str = "", *, most_connections: int = 100) -> AioTransport:
    """A transport for the given kubeconfig, else `KUBECONFIG`, else the pod's service account.

    Requests beyond `most_connections` wait for one another; 0 means no bound, for watches.
    Raises `ConfigurationError` when none of them is usable.
    """
    configuration = aio_client.Configuration()
    configuration.connection_pool_maxsize = most_connections
    path = kubeconfig or os.environ.get("KUBECONFIG", "")
    try:
        if path:
            loader = await aio_config.load_kube_config(config_file=path, client_configuration=configuration)
            renewal = _Renewal(lambda: loader.load_and_set(configuration))
            # Before each request. In a pod the client does as much by itself.
            configuration.refresh_api_key_hook = lambda _: renewal.due(RENEW_SECONDS)
            return AioTransport(configuration, renewal=renewal)
        aio_config.load_incluster_config(configuration)

        async def reread() -> None:
            aio_config.load_incluster_config(configuration)

        return AioTransport(configuration, renewal=_Renewal(reread))
    except (aio_config.ConfigException, yaml.YAMLError, OSError, KeyError, TypeError, ValueError) as error:
        source = f"kubeconfig {path!r} is not usable" if path else "there is no service account"
        raise ConfigurationError(
            f"no way to reach an API server, {source} ({error}); run in a pod with a service account,"
            " or pass --kubeconfig"
        ) from error
