"""Reads request bodies within bounds of form, size, time and memory.

What the headers already rule out is refused before a byte is read, in this order: encoding
(never decompressed: a few kilobytes can become gigabytes), type, stated size, room. A body
that grows beyond the bound while it comes in is refused the same way as one that said so.
A known sender that is refused has a moment to finish sending, because an answer to somebody
who is still writing is lost with the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError

from lazaretto.receiver.refusal import Refusal
from lazaretto.receiver.settings import Settings

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_DRAIN_SECONDS = 1.0
_DRAIN_BYTES = 1024 * 1024


class Bodies:
    """The bodies that are in memory at one time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._requests = 0
        self._bytes = 0

    @asynccontextmanager
    async def receive(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        """The whole body, while its room is reserved. Raises `Refusal`."""
        self._check_form(request)
        size = self._settings.largest_body if request.content_length is None else request.content_length
        if size > self._settings.largest_body:
            raise await self.refused(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._too_large)
        full = self._requests >= self._settings.requests_at_once
        if full or (self._bytes and self._bytes + size > self._settings.bytes_at_once):
            raise await self.refused(request, HTTPStatus.SERVICE_UNAVAILABLE, "too many requests at once")
        self._requests += 1
        self._bytes += size
        try:
            yield await self._read(request)
        finally:
            self._requests -= 1
            self._bytes -= size

    async def refused(self, request: web.BaseRequest, status: HTTPStatus, reason: str) -> Refusal:
        """The refusal to raise, after the sender had its moment to finish."""
        if request.headers.get("Expect") is None:
            with suppress(TimeoutError, ClientError, HttpProcessingError, OSError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await _drain(request)
        return Refusal(status, reason)

    @property
    def _too_large(self) -> str:
        return f"the body is larger than {self._settings.largest_body} bytes"

    def _check_form(self, request: web.BaseRequest) -> None:
        encodings = ",".join(request.headers.getall("Content-Encoding", [])).strip().lower()
        if encodings not in ("", "identity"):
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body without Content-Encoding")
        charset = (request.charset or "utf-8").lower()
        if request.content_type != "application/json" or charset not in ("utf-8", "utf8"):
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json in UTF-8")

    async def _read(self, request: web.BaseRequest) -> bytes:
        expected = request.headers.get("Expect", "").lower()
        if expected == "100-continue" and request.transport is not None:
            # Said only now, when the sender is known and there is room.
            request.transport.write(_CONTINUE)
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.read_seconds):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > self._settings.largest_body:
                        raise await self.refused(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._too_large)
        except TimeoutError as error:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the body came too slowly") from error
        except (ClientError, HttpProcessingError, web.RequestPayloadError, OSError) as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "the body ended early or is malformed") from error
        return bytes(body)


async def _drain(request: web.BaseRequest) -> None:
    left = _DRAIN_BYTES
    async for chunk in request.content.iter_any():
        left -= len(chunk)
        if left <= 0:
            return
