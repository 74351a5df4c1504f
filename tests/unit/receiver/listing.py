"""An Alertmanager that is asked what fires."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

OFTEN = 0.02
"""Seconds between two looks."""


class Listing:
    """What stands in for an Alertmanager; `tests/cluster/test_receiver_pull.py` asks the real one."""

    def __init__(self) -> None:
        self.url = ""
        self.answer: Any = []
        self.status = 200
        self.asked: list[web.BaseRequest] = []

    def list(self, *alerts: dict[str, Any], state: str = "active") -> None:
        """From now on these are listed."""
        self.answer = [{**one, "status": {"state": state, "silencedBy": [], "inhibitedBy": []}} for one in alerts]

    async def looks(self, times: int) -> None:
        """Waits until it was asked so often from now on."""
        wanted = len(self.asked) + times
        while len(self.asked) < wanted:
            await asyncio.sleep(0.005)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request)
        body = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        return web.Response(status=self.status, body=body, headers={"Location": "http://127.0.0.1:1/"})
