"""Whom the clients of Alertmanager and Prometheus take for the one they ask: nobody with a bad certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from lazaretto.errors import Unavailable
from lazaretto.signals.alertmanager_api import AlertmanagerApi
from lazaretto.signals.prometheus import Prometheus
from tests.cluster.bad_certificates import BAD, good, of_another_name
from tests.cluster.pki import CertificateAuthority, KeyPair

Made = Callable[[CertificateAuthority], KeyPair]
Ask = Callable[..., Awaitable[None]]
SERVERS = (*BAD, of_another_name)
SAID = "certificate verify failed|CERTIFICATE_VERIFY_FAILED"


@asynccontextmanager
async def serving(pair: KeyPair, *, heard: list[str]) -> AsyncIterator[str]:
    """The URL of a server that answers as either of them does, and writes down who got as far as to ask."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(str(request.headers))
        if request.path == "/api/v2/alerts":
            return web.json_response([])
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    server = web.Server(answer)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        await server.shutdown(0.05)


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "pki")


async def ask_alertmanager(url: str, *, ca: Path | None, token: Path) -> None:
    api = AlertmanagerApi(url, filter="", largest=1000, token=token, ca=ca)
    try:
        await api.firing()
    finally:
        await api.close()


async def ask_prometheus(url: str, *, ca: Path | None, token: Path) -> None:
    asked = Prometheus(url)
    if ca is not None:
        asked._connection._session.verify = str(ca)  # there is no flag for it
    await asked.is_positive("vector(1)")


async def asking(
    ask: Ask,
    *,
    made: Made,
    authority: CertificateAuthority,
    folder: Path,
    heard: list[str],
    ca: Path | None,
) -> None:
    """Asks a server that has the certificate which `made` makes."""
    file = folder / "token"
    file.write_text("one-long-secret-of-the-pull")
    async with serving(made(authority), heard=heard) as url:
        await ask(url, ca=ca, token=file)


ASKING = pytest.mark.parametrize("ask", [ask_alertmanager, ask_prometheus])


@ASKING
async def test_the_right_certificate_is_taken(ask: Ask, authority: CertificateAuthority, tmp_path: Path) -> None:
    heard: list[str] = []
    await asking(ask, made=good, authority=authority, folder=tmp_path, heard=heard, ca=authority.certificate)
    assert len(heard) == 1


@ASKING
@pytest.mark.parametrize("made", SERVERS)
async def test_another_one_is_refused_says_why_and_is_shown_no_token(
    ask: Ask, made: Made, authority: CertificateAuthority, tmp_path: Path
) -> None:
    heard: list[str] = []
    with pytest.raises(Unavailable, match=SAID):
        await asking(ask, made=made, authority=authority, folder=tmp_path, heard=heard, ca=authority.certificate)
    assert heard == []


@ASKING
async def test_without_an_authority_of_one_s_own_only_the_well_known_ones_count(
    ask: Ask, authority: CertificateAuthority, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match=SAID):
        await asking(ask, made=good, authority=authority, folder=tmp_path, heard=[], ca=None)
