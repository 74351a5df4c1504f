"""Certificates that are over, not begun, vouched for by nobody or for another name, on either side of the receiver."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.bad_certificates import ADDRESS, BAD, good, of_another_name
from tests.cluster.pki import CertificateAuthority, KeyPair
from tests.unit.receiver.conftest import TOKEN, Running, Start
from tests.unit.receiver.payloads import alert, webhook

Made = Callable[[CertificateAuthority], KeyPair]


@pytest.fixture
def servers(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "servers")


@pytest.fixture
def clients(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "clients")


def post(port: int, *, ca: Path, client: KeyPair | None = None, token: str = "") -> int:
    """What a careful client is answered; raises `ssl.SSLError` or `ConnectionError` if one side would not talk."""
    context = ssl.create_default_context(cafile=ca)
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    connection = HTTPSConnection(ADDRESS, port, timeout=30.0, context=context)
    shown = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        body = json.dumps(webhook(alert()))
        headers = {"Content-Type": "application/json", **shown}
        connection.request("POST", "/api/v1/alertmanager", body=body, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


async def posted(one: Running, **how: Any) -> int:
    return await asyncio.to_thread(post, one.port, **how)


async def served(start: Start, pair: KeyPair, *, client_ca: Path | None = None) -> Running:
    return await start(certificate=pair.certificate, key=pair.key, client_ca=client_ca)


@pytest.mark.parametrize("made", BAD)
@pytest.mark.parametrize("token", ["", TOKEN], ids=["alone", "beside a token"])
async def test_of_a_sender_it_ends_the_handshake(
    start: Start, servers: CertificateAuthority, clients: CertificateAuthority, made: Made, token: str
) -> None:
    one = await served(start, good(servers), client_ca=clients.certificate)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await posted(one, ca=servers.certificate, client=made(clients), token=token)
    assert one.incidents() == []
    assert await posted(one, ca=servers.certificate, client=good(clients)) == 200


@pytest.mark.parametrize("made", [*BAD, of_another_name])
async def test_of_the_receiver_itself_it_is_refused_before_a_token_is_shown(
    start: Start, servers: CertificateAuthority, made: Made
) -> None:
    """By a client that checks, as Alertmanager does with `ca_file`; its alert is not lost to somebody else."""
    one = await served(start, made(servers))
    with pytest.raises(ssl.SSLCertVerificationError):
        await posted(one, ca=servers.certificate, token=TOKEN)
    assert one.incidents() == []
