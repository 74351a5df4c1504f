"""The line between an operator and its API server, on which one chosen call goes wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum

from lazaretto.errors import Unavailable
from lazaretto.kube.request import Request
from lazaretto.kube.transport import Response
from tests.engine.memory_api import MemoryApi, called, failure, place_of


class Fault(Enum):
    """What goes wrong."""

    LOST = "lost"
    """The request never arrives."""
    UNANSWERED = "unanswered"
    """It is carried out, and the answer is lost."""
    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    KILLED_BEFORE = "killed before"
    """The process dies; the request never arrives."""
    KILLED_AFTER = "killed after"
    """The process dies; the request is carried out."""


READ_FAULTS = (Fault.LOST, Fault.FORBIDDEN, Fault.KILLED_BEFORE)
"""An answer that is lost, or a process that dies, before or after a read makes no difference to anybody."""


@dataclass(frozen=True, slots=True)
class Call:
    """The n-th time that a process asks this."""

    what: str
    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.what} {self.name} #{self.number}"

    @property
    def reads(self) -> bool:
        return self.what.split()[0] in ("get", "list", "watch")

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults that make sense for it: a POST meets no conflict, except one that the server itself gives."""
        if self.reads:
            return READ_FAULTS
        return tuple(f for f in Fault if f is not Fault.CONFLICT or not self.what.startswith("create"))


class FaultyLine:
    """`Transport` to a server; `fault` befalls the call `at`, once."""

    def __init__(self, server: MemoryApi, *, at: Call | None = None, fault: Fault = Fault.LOST) -> None:
        self.calls: list[Call] = []
        self.dead = asyncio.Event()
        self._server = server
        self._at = at
        self._fault = fault
        self._counts: Counter[tuple[str, str]] = Counter()

    async def send(self, request: Request, *, timeout: float) -> Response:
        fault = self._fault if self._note(request) == self._at else None
        if fault is Fault.LOST:
            raise Unavailable(0, "lost", request=str(request))
        if fault is Fault.CONFLICT:
            return failure(409, "Conflict")
        if fault is Fault.FORBIDDEN:
            return failure(403, "Forbidden")
        if fault is Fault.KILLED_BEFORE:
            await self._die()
        answer = await self._server.send(request, timeout=timeout)
        if fault is Fault.UNANSWERED:
            raise Unavailable(0, "no answer", request=str(request))
        if fault is Fault.KILLED_AFTER:
            await self._die()
        return answer

    def lines(self, request: Request, *, idle: float) -> AsyncIterator[bytes]:
        self._note(request)
        return self._server.lines(request, idle=idle)

    async def close(self) -> None:
        """Nothing to close."""

    def _note(self, request: Request) -> Call:
        what, name = called(request), place_of(request.path).name
        if request.method == "POST" and isinstance(request.body, dict):
            name = str(request.body.get("metadata", {}).get("name", ""))
        self._counts[what, name] += 1
        self.calls.append(Call(what, name, self._counts[what, name]))
        return self.calls[-1]

    async def _die(self) -> None:
        """Whoever asked never comes back."""
        self.dead.set()
        await asyncio.Event().wait()
