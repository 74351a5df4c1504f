"""Serves metrics over HTTP to whoever may reach the port; a NetworkPolicy says who that is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from lazaretto.errors import ConfigurationError
from lazaretto.telemetry.exposition import Exposition

PATH = "/metrics"


@asynccontextmanager
async def serving(metrics: Exposition, *, host: str, port: int) -> AsyncIterator[None]:
    """Answer `GET /metrics` meanwhile. Raises `ConfigurationError` if the address cannot be had."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application(client_max_size=1024)
    application.router.add_get(PATH, answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ConfigurationError(f"--metrics-listen {host}:{port}: {error.strerror or error}") from error
        yield
    finally:
        await runner.cleanup()
