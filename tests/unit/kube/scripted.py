"""A transport that answers from a script and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from lazaretto.kube.request import Request
from lazaretto.kube.transport import Response


class Scripted:
    """`kube.transport.Transport` that gives one answer after another; an exception is raised in its place."""

    def __init__(self, *answers: Response | Exception, lines: Sequence[bytes | Exception] = ()) -> None:
        self._answers = list(answers)
        self._lines = lines
        self.requests: list[Request] = []
        self.timeouts: list[float] = []
        self.closed = False

    async def send(self, request: Request, *, timeout: float) -> Response:
        self.requests.append(request)
        self.timeouts.append(timeout)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def lines(self, request: Request, *, idle: float) -> AsyncIterator[bytes]:
        self.requests.append(request)
        self.timeouts.append(idle)
        for line in self._lines:
            if isinstance(line, Exception):
                raise line
            yield line

    async def close(self) -> None:
        self.closed = True


def ok(body: Any) -> Response:
    """A success that carries this JSON."""
    return Response(200, {}, json.dumps(body).encode())
