"""What Kopf is given in place of the engine and of a service account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lazaretto.api import Resource


class Account:
    """`Credentials` of which the token changes with every call."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def __init__(self, server: str) -> None:
        self.server = server
        self.asked = 0
        self.renewed = 0

    async def renew(self) -> None:
        self.renewed += 1

    async def token(self) -> str | None:
        self.asked += 1
        return f"token-{self.asked}"


class Recorder:
    """Stands in for the engine and notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.observed: list[tuple[type[Resource], Mapping[str, Any], bool]] = []

    def start(self) -> None:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")

    def observe(self, kind: type[Resource], body: Mapping[str, Any], *, deleted: bool) -> None:
        self.observed.append((kind, body, deleted))

    @property
    def heard(self) -> list[tuple[type[Resource], str, bool]]:
        """Kind and name of what was observed, and whether it is gone."""
        return [(kind, body["metadata"]["name"], deleted) for kind, body, deleted in self.observed]
