"""Connections are bounded from the moment they are accepted, whatever they do next."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lazaretto.receiver import listener as module
from lazaretto.receiver.listener import Listener
from lazaretto.receiver.settings import Address
from tests.cluster.pki import CertificateAuthority

LIMIT = 3


class Greeting(asyncio.Protocol):
    """Says hello to whoever was let in."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")
        transport.close()


@pytest.fixture
async def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Listener]:
    """One that waits for TLS for ever."""
    monkeypatch.setattr(module, "HANDSHAKE_SECONDS", 3600.0)
    pair = CertificateAuthority(tmp_path).serving("receiver", dns_names=[], addresses=["127.0.0.1"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    one = Listener(Greeting, limit=LIMIT, established=lambda: 0)
    await one.open(Address("127.0.0.1", 0), tls=tls)
    yield one
    await one.close()


async def _greeted(listener: Listener) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.address.port, ssl=context)
    except OSError:
        return b""
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_who_never_begins_tls_takes_room_and_the_next_is_closed_at_once(listener: Listener) -> None:
    silent = [await asyncio.open_connection("127.0.0.1", listener.address.port) for _ in range(LIMIT)]
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.address.port)
    assert await asyncio.wait_for(reader.read(), 30) == b""
    assert await _greeted(listener) == b""
    writer.close()
    for _, each in silent:
        each.close()
    async with asyncio.timeout(30):
        while await _greeted(listener) != b"hello":
            await asyncio.sleep(0.01)


async def test_what_is_no_tls_makes_room_again(listener: Listener) -> None:
    for _ in range(2 * LIMIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.address.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(reader.read(), 30)
        writer.close()
    assert await _greeted(listener) == b"hello"


async def test_running_out_of_files_is_told_and_passes(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)
    loop = asyncio.get_running_loop()
    accept = loop.sock_accept
    refusals = [OSError(24, "Too many open files")]

    async def once(listening: socket.socket) -> tuple[socket.socket, object]:
        if refusals:
            raise refusals.pop()
        return await accept(listening)

    monkeypatch.setattr(loop, "sock_accept", once)
    # The accept that is under way already lets in one more.
    assert [await _greeted(listener) for _ in range(3)] == [b"hello"] * 3
    assert "Too many open files" in caplog.text


async def test_an_address_that_is_taken_is_an_error(listener: Listener) -> None:
    with pytest.raises(OSError, match="use"):
        await Listener(Greeting, limit=1, established=lambda: 0).open(listener.address)


async def test_nothing_listens_after_the_end(listener: Listener) -> None:
    address = listener.address
    silent = await asyncio.open_connection("127.0.0.1", address.port)
    await listener.close()
    assert await asyncio.wait_for(silent[0].read(), 30) == b""
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", address.port)
    silent[1].close()
