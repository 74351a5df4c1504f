"""Accepts connections, as many as there is room for, and negotiates TLS before HTTP begins.

A connection costs memory before it has said a word, most of it for TLS. So one counts from the
moment it is accepted, and one too many is closed before anything was spent on it: whoever opens
connections and stays silent takes room from others, and never memory beyond the bound.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from contextlib import suppress

from lazaretto.receiver.settings import Address

HANDSHAKE_SECONDS = 5.0
BACKLOG = 256
BUFFER = 32 * 1024
"""Bytes for what a TLS connection has received; two records of TLS, which are 16 KiB at most."""
_PAUSE_SECONDS = 1.0

# asyncio takes 256 KiB for each connection when it begins, which some hundred silent ones would multiply.
SSLProtocol.max_size = BUFFER

_log = logging.getLogger(__name__)


class Listener:
    """Listens on every address that a host stands for. `made` makes the protocol of one connection."""

    def __init__(self, made: Callable[[], asyncio.BaseProtocol], *, limit: int, established: Callable[[], int]) -> None:
        """`limit` bounds the connections that are `established` and those on their way there, together."""
        self._made = made
        self._limit = limit
        self._established = established
        self._arriving: set[asyncio.Task[None]] = set()
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []

    @property
    def address(self) -> Address:
        """Where it listens; tells the port when 0 was asked for."""
        host, port = self._sockets[0].getsockname()[:2]
        return Address(host, port)

    async def open(self, address: Address, *, tls: ssl.SSLContext | None = None) -> None:
        """Listens when it returns. Raises `OSError` if the address cannot be had."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, where in {(family, where[:2]) for family, _, _, _, where in found}:
            listening = socket.create_server((str(where[0]), int(where[1])), family=family, backlog=BACKLOG)
            listening.setblocking(False)
            self._sockets.append(listening)
            self._accepting.append(loop.create_task(self._accept(listening, tls=tls), name="listener"))

    async def close(self) -> None:
        """Ends listening, and the connections that are not established yet."""
        tasks = [*self._accepting, *self._arriving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listening in self._sockets:
            listening.close()

    async def _accept(self, listening: socket.socket, *, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:
                # Too many open files, say: those who are in may leave.
                _log.warning("connections are not accepted for a moment: %s", error.strerror or error)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if self._established() + len(self._arriving) >= self._limit:
                connection.close()
            else:
                task = loop.create_task(self._let_in(connection, tls=tls))
                self._arriving.add(task)
                task.add_done_callback(self._arriving.discard)
            # A flood is accepted one by one, so that those who are in get their turn.
            await asyncio.sleep(0)

    async def _let_in(self, connection: socket.socket, *, tls: ssl.SSLContext | None) -> None:
        with suppress(OSError):  # a client that ends, is too slow, or speaks no TLS of ours
            await asyncio.get_running_loop().connect_accepted_socket(
                self._made, connection, ssl=tls, ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None
            )
