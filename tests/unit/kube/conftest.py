"""A server on this machine and a transport that is logged in to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lazaretto.kube.transport import AioTransport, connect
from tests.unit.kube.web import Site, kubeconfig, site


@pytest.fixture
async def server() -> AsyncIterator[Site]:
    async with site() as made:
        yield made


@pytest.fixture
async def transport(server: Site, tmp_path: Path) -> AsyncIterator[AioTransport]:
    made = await connect(kubeconfig(tmp_path, server.url, user={"token": "secret"}))
    yield made
    await made.close()
