"""The line between an operator and its API server, on which the first call of one kind stands still for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from lazaretto.kube.request import Request
from lazaretto.kube.transport import Response
from tests.engine.memory_api import MemoryApi, called


class Gate:
    """`Transport` to a server. The call stands before it is carried out, or `answered`: before its answer is heard."""

    def __init__(self, server: MemoryApi, *, at: str, answered: bool) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()
        self._server = server
        self._at = at
        self._answered = answered

    async def send(self, request: Request, *, timeout: float) -> Response:
        stands = called(request) == self._at and not self.reached.is_set()
        if stands and not self._answered:
            await self._stand()
        answer = await self._server.send(request, timeout=timeout)
        if stands and self._answered:
            await self._stand()
        return answer

    def lines(self, request: Request, *, idle: float) -> AsyncIterator[bytes]:
        return self._server.lines(request, idle=idle)

    async def close(self) -> None:
        """Nothing to close."""

    async def _stand(self) -> None:
        self.reached.set()
        await self.open.wait()
