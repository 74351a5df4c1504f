"""Asks an Alertmanager what fires, through its API (v2).

The URL, the filter and the credentials come from whoever runs Lazaretto, never from an alert.
Proxy variables of the environment and redirects are not followed, and an answer is read up to a
bound and no further.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from lazaretto.errors import ConfigurationError, Unavailable

DEADLINE = 8.0
_CONNECT = 3.0


class AlertmanagerApi:
    """One Alertmanager. Requires a running event loop; `close` ends its connection."""

    def __init__(
        self, url: str, *, filter: str, largest: int, token: Path | None = None, ca: Path | None = None
    ) -> None:
        """Asks for alerts that match `filter`; reads answers of at most `largest` bytes.

        Raises `ConfigurationError` when `ca` is no readable certificate.
        """
        try:
            context = ssl.create_default_context(cafile=ca) if ca else True
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"--alertmanager-ca {ca}: {error}; name a file of certificates in PEM") from error
        self.address = urlsplit(url).netloc
        self._url = f"{url.rstrip('/')}/api/v2/alerts"
        self._query = {"filter": filter, "active": "true", "silenced": "false", "inhibited": "false"}
        self._largest = largest
        self._token = token
        self._session = aiohttp.ClientSession(
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=DEADLINE, connect=_CONNECT),
            connector=aiohttp.TCPConnector(limit=1, ssl=context),
        )

    async def firing(self) -> bytes:
        """The answer, as JSON text. Raises `Unavailable` when there is none in time, or another than 200."""
        try:
            headers = {"Authorization": f"Bearer {self._token.read_text().strip()}"} if self._token else {}
            async with self._session.get(
                self._url, params=self._query, headers=headers, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    raise Unavailable(answer.status, "Alertmanager did not list its alerts")
                body = bytearray()
                async for chunk in answer.content.iter_any():
                    body += chunk
                    if len(body) > self._largest:
                        raise Unavailable(answer.status, f"Alertmanager's list is larger than {self._largest} bytes")
                return bytes(body)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(0, f"Alertmanager did not answer: {type(error).__name__} {error}"[:300]) from error

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()
