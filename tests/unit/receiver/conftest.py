"""A receiver on a port of its own over the API server in memory."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from lazaretto.receiver.server import Receiver
from lazaretto.receiver.settings import Address, Settings
from tests.unit.receiver.fake_api import FakeApi
from tests.unit.receiver.listing import Listing

TOKEN = "correct-horse-battery"
OTHER_TOKEN = "staple-of-another"
GROUP = "/apis/lazaretto.dev/v1alpha1/namespaces"


@dataclass
class Running:
    """A receiver that runs, and what stands behind it."""

    receiver: Receiver
    api: FakeApi
    settings: Settings
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.receiver.address.port}"

    @property
    def port(self) -> int:
        return self.receiver.address.port

    async def post(
        self,
        payload: Any,
        *,
        path: str = "/api/v1/alertmanager",
        token: str = TOKEN,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Posts bytes as they are and anything else as JSON; returns status and parsed answer."""
        sent = {"Content-Type": "application/json", "Authorization": f"Bearer {token}", **(headers or {})}
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        async with self.session.post(self.url + path, data=io.BytesIO(body), headers=sent) as answer:
            return answer.status, json.loads(await answer.read())

    async def raw(self, data: bytes, *, seconds: float = 30.0) -> bytes:
        """Sends bytes, and nothing more, and returns everything up to the end of the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            return await asyncio.wait_for(reader.read(), seconds)
        finally:
            writer.close()

    def incidents(self) -> list[dict[str, Any]]:
        return self.api.all("aiincidents")


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    folder = tmp_path / "tokens"
    folder.mkdir()
    (folder / "alertmanager").write_text(TOKEN + "\n")
    (folder / "alertmanager-next").write_text(OTHER_TOKEN)
    return folder


@pytest.fixture
def settings(tokens: Path) -> Settings:
    nowhere = Address("127.0.0.1", 0)
    return Settings(listen=nowhere, health=nowhere, namespace="lazaretto-system", tokens=tokens)


@asynccontextmanager
async def running(settings: Settings, api: FakeApi) -> AsyncIterator[Running]:
    receiver = Receiver(settings, transport=api)
    await receiver.start()
    async with aiohttp.ClientSession() as session:
        try:
            yield Running(receiver, api, settings, session)
        finally:
            await receiver.stop(grace=1.0)
            await api.close()


@pytest.fixture
async def start(settings: Settings) -> AsyncIterator[Start]:
    """Starts a receiver; keyword arguments replace settings. One model, `chat` in `shop`, is there."""
    async with AsyncExitStack() as stack:

        async def begin(*, api: FakeApi | None = None, ready: bool = True, **changed: Any) -> Running:
            behind = api or FakeApi()
            if api is None:
                add_model(behind, "shop", "chat")
            one = await stack.enter_async_context(running(replace(settings, **changed), behind))
            while ready and one.receiver.unready():
                await asyncio.sleep(0.005)
            return one

        yield begin


@pytest.fixture
async def one(start: Start) -> Running:
    return await start()


@pytest.fixture
async def listing() -> AsyncIterator[Listing]:
    found = Listing()
    server = web.Server(found.handle)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield found
    listener.close()
    # Not 0, which means for as long as the client likes: 8 s here.
    await server.shutdown(0.05)


async def stored(running: Running, met: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    while not met(running.incidents()):
        await asyncio.sleep(0.005)
    return running.incidents()


def add_model(api: FakeApi, namespace: str, name: str, **spec: Any) -> None:
    body = {"metadata": {"namespace": namespace, "name": name}, "spec": {"workloads": [], **spec}}
    api.add(f"{GROUP}/{namespace}/protectedmodels/{name}", body)


def incident_path(name: str, *, namespace: str = "shop") -> str:
    return f"{GROUP}/{namespace}/aiincidents/{name}"
