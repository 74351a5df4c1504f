"""A bare client of the API server: one keep-alive TLS session and nothing else.

It is the floor that Lazaretto is measured against, and it furnishes and watches the world of a
run. It never retries: a failed call fails the run.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml


class BareClient:
    """See the module's text."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        self.server = config["clusters"][0]["cluster"]["server"]
        self._ssl = _context(config)
        token = config["users"][0]["user"].get("token")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=64, ssl=self._ssl, keepalive_timeout=300)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()
        # TLS takes leave of the server first, for which nobody waits.
        await asyncio.sleep(0.5)

    async def call(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """One call; raises on any answer that is not a success."""
        found: dict[str, Any] = json.loads(await self.raw(path, method=method, body=body, content_type=content_type))
        return found

    async def raw(
        self, path: str, *, method: str = "GET", body: Any = None, content_type: str = "application/json"
    ) -> bytes:
        """One call, and the answer as it came."""
        assert self._session is not None
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type, **self._headers}
        async with self._session.request(method, self.server + path, data=data, headers=headers) as answer:
            text = await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
            return text

    async def watch(self, path: str, *, version: str) -> AsyncIterator[dict[str, Any]]:
        """Watch events of a collection, from a resource version on."""
        assert self._session is not None
        query = {"watch": "1", "resourceVersion": version}
        async with self._session.get(self.server + path, params=query) as answer:
            answer.raise_for_status()
            answer.content._high_water = 2**24  # events of a busy collection come in bursts
            while line := await answer.content.readline():
                yield json.loads(line)


def _context(config: dict[str, Any]) -> ssl.SSLContext:
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = cluster.get("certificate-authority")
    data = cluster.get("certificate-authority-data")
    context = ssl.create_default_context(cafile=authority, cadata=base64.b64decode(data).decode() if data else None)
    if "client-certificate" in user:
        context.load_cert_chain(user["client-certificate"], user["client-key"])
    elif "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]) + b"\n")
            pair.write(base64.b64decode(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
    return context
