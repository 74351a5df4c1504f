"""TLS, client certificates, and their replacement while the receiver runs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from lazaretto.errors import ConfigurationError
from lazaretto.receiver.settings import Settings
from lazaretto.receiver.tls import ServerTls
from tests.cluster.pki import CertificateAuthority, KeyPair
from tests.unit.receiver.conftest import TOKEN, Running, Start
from tests.unit.receiver.payloads import alert, webhook


class Site:
    """Two authorities, and files as a mounted Secret has them."""

    def __init__(self, root: Path) -> None:
        self.servers = CertificateAuthority(root / "servers")
        self.clients = CertificateAuthority(root / "clients")
        self.others = CertificateAuthority(root / "others")
        self.certificate, self.key, self.client_ca = (root / name for name in ("tls.crt", "tls.key", "ca.crt"))
        self.install("first")
        self.trust(self.clients)

    def install(self, name: str) -> None:
        pair = self.servers.serving(name, dns_names=[name], addresses=["127.0.0.1"])
        _replace(pair.certificate, self.certificate)
        _replace(pair.key, self.key)

    def trust(self, authority: CertificateAuthority) -> None:
        _replace(authority.certificate, self.client_ca)


def _replace(source: Path, target: Path) -> None:
    new = target.with_suffix(".new")
    shutil.copy(source, new)
    os.replace(new, target)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


@pytest.fixture
async def secure(start: Start, site: Site) -> Running:
    return await start(certificate=site.certificate, key=site.key, client_ca=site.client_ca)


async def _post(one: Running, site: Site, *, client: KeyPair | None = None, token: str = "") -> tuple[int, str]:
    """Status, and the common name of the server's certificate."""
    context = ssl.create_default_context(cafile=site.servers.certificate)
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    body = json.dumps(webhook(alert())).encode()
    lines = [
        "POST /api/v1/alertmanager HTTP/1.1",
        "Host: receiver",
        "Connection: close",
        f"Content-Length: {len(body)}",
    ]
    lines += ["Content-Type: application/json", *([f"Authorization: Bearer {token}"] if token else []), "", ""]
    reader, writer = await asyncio.open_connection("127.0.0.1", one.port, ssl=context)
    try:
        subject = writer.get_extra_info("peercert")["subject"]
        writer.write("\r\n".join(lines).encode() + body)
        answer = await reader.read()
        if not answer:
            raise ConnectionError("closed without an answer")
        return int(answer.split(b" ", 2)[1]), dict(part[0] for part in subject)["commonName"]
    finally:
        writer.close()


async def test_a_client_certificate_is_enough(secure: Running, site: Site) -> None:
    assert (await _post(secure, site, client=site.clients.client("mon:prometheus")))[0] == 200
    assert secure.incidents()[0]["spec"]["source"]["sender"] == "mon:prometheus"


async def test_a_token_is_enough(secure: Running, site: Site) -> None:
    assert (await _post(secure, site, token=TOKEN))[0] == 200
    assert (await _post(secure, site, token="wrong"))[0] == 401
    assert (await _post(secure, site))[0] == 401


async def test_certificates_of_others_are_refused(secure: Running, site: Site) -> None:
    for client in (site.others.client("prometheus"), site.servers.client("prometheus")):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await _post(secure, site, client=client)
    assert secure.incidents() == []


async def test_without_client_ca_no_certificate_counts(start: Start, site: Site) -> None:
    one = await start(certificate=site.certificate, key=site.key)
    assert (await _post(one, site, client=site.clients.client("x")))[0] == 401


async def test_files_are_taken_over_while_it_runs(secure: Running, site: Site) -> None:
    tls = secure.receiver._tls
    assert tls is not None
    old, new = site.clients.client("old"), site.others.client("new")
    assert await _post(secure, site, client=old) == (200, "first")
    site.install("second")
    site.trust(site.others)
    assert tls.refresh()
    assert await _post(secure, site, client=new) == (200, "second")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await _post(secure, site, client=old)
    assert not tls.refresh()


async def test_half_a_rotation_leaves_the_former_files_in_use(secure: Running, site: Site) -> None:
    tls = secure.receiver._tls
    assert tls is not None
    stray = site.servers.serving("stray", dns_names=["stray"], addresses=["127.0.0.1"])
    _replace(stray.certificate, site.certificate)
    assert not tls.refresh()
    assert await _post(secure, site, token=TOKEN) == (200, "first")
    _replace(stray.key, site.key)
    assert tls.refresh()
    assert await _post(secure, site, token=TOKEN) == (200, "stray")


async def test_old_protocols_are_refused(secure: Running, site: Site) -> None:
    context = ssl.create_default_context(cafile=site.servers.certificate)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", secure.port, ssl=context)


def test_files_that_do_not_fit_end_the_start(site: Site, tmp_path: Path) -> None:
    for certificate, key in ((tmp_path / "none", site.key), (site.key, site.certificate)):
        with pytest.raises(ConfigurationError, match="PEM"):
            ServerTls(certificate=certificate, key=key)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"tokens": None}, "--tokens-dir"),
        ({"certificate": Path("x")}, "--tls-cert"),
        ({"key": Path("x")}, "--tls-key"),
        ({"client_ca": Path("x")}, "--client-ca"),
        ({"largest_body": 0}, "--max-body-bytes"),
        ({"read_seconds": 0.0}, "--read-timeout"),
    ],
)
def test_settings_that_do_not_fit_name_the_flag(settings: Settings, changed: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        replace(settings, **changed).check()  # type: ignore[arg-type]
