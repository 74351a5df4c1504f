"""Where a transport leads and how it logs in: kubeconfigs, a pod's service account, and their tokens as they change."""

from __future__ import annotations

import base64
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.config import incluster_config

from lazaretto.errors import ConfigurationError, Unavailable
from lazaretto.kube import request as requests
from lazaretto.kube import transport as transport_module
from lazaretto.kube.resource import PODS
from lazaretto.kube.transport import AioTransport, connect
from tests.cluster.pki import CertificateAuthority
from tests.unit.kube.web import Site, kubeconfig, site

GET = requests.get(PODS, namespace="shop", name="a")
LONG = 30.0


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def connected(path: str = "") -> AsyncIterator[AioTransport]:
    transport = await connect(path)
    try:
        yield transport
    finally:
        await transport.close()


async def test_the_kubeconfig_of_the_environment_is_the_second_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "first").mkdir()
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, "http://second:1"))
    async with connected() as transport:
        assert transport.server == "http://second:1"
    async with connected(kubeconfig(tmp_path / "first", "http://first:1")) as transport:
        assert transport.server == "http://first:1"


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"[]",
        b"text",
        b"a: [",
        b"\xff\xfe\x00",
        b"kind: Config",
        b"{current-context: x, contexts: [], clusters: [], users: []}",
        b"{current-context: x, contexts: 5, clusters: {}, users: text}",
    ],
)
async def test_a_kubeconfig_that_is_none_is_named_with_a_remedy(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="--kubeconfig") as caught:
        await connect(str(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "cluster",
    [
        {"certificate-authority": "/nowhere/ca.crt"},
        {"certificate-authority-data": "not base64"},
        {"certificate-authority-data": base64.b64encode(b"not PEM").decode()},
    ],
)
async def test_an_authority_that_is_none_is_a_wrong_configuration(tmp_path: Path, cluster: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="kubeconfig"):
        await connect(kubeconfig(tmp_path, "https://127.0.0.1:1", **cluster))


async def test_a_folder_and_a_missing_token_file_are_wrong_configurations(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        await connect(str(tmp_path))
    with pytest.raises(ConfigurationError, match="nowhere"):
        await connect(kubeconfig(tmp_path, "http://127.0.0.1:1", user={"tokenFile": "/nowhere/token"}))


async def test_outside_of_a_pod_and_without_a_kubeconfig_there_is_no_way() -> None:
    with pytest.raises(ConfigurationError, match="service account"):
        await connect()


@pytest.mark.parametrize(
    ("user", "header", "token"),
    [({"token": "abc"}, "Bearer abc", "abc"), ({"token": "a b"}, "Bearer a b", "a b"), ({}, None, None)],
)
async def test_the_token_of_the_kubeconfig_is_ours_and_kopf_s(
    tmp_path: Path, user: dict[str, str], header: str | None, token: str | None
) -> None:
    async with site() as server, connected(kubeconfig(tmp_path, server.url, user=user)) as transport:
        await transport.send(GET, timeout=LONG)
        assert server.seen[0].headers.get("Authorization") == header
        assert await transport.token() == token


async def test_a_token_file_is_read_again_and_its_line_break_is_none_of_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "RENEW_SECONDS", 0.0)
    file = tmp_path / "token"
    file.write_text("first\n")
    async with (
        site() as server,
        connected(kubeconfig(tmp_path, server.url, user={"tokenFile": str(file)})) as transport,
    ):
        await transport.send(GET, timeout=LONG)
        file.write_text("second\n")
        await transport.send(GET, timeout=LONG)
        assert await transport.token() == "second"
        file.unlink()
        await transport.send(GET, timeout=LONG)
        sent = [each.headers["Authorization"] for each in server.seen]
        assert sent == ["Bearer first", "Bearer second", "Bearer second"]


async def test_a_token_file_is_not_read_for_every_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    async with connected(kubeconfig(tmp_path, "http://127.0.0.1:1", user={"tokenFile": str(file)})) as transport:
        file.write_text("second")
        assert await transport.token() == "first"


async def refuse(_: web.Request) -> web.StreamResponse:
    return web.Response(status=401)


async def test_a_token_that_is_not_taken_is_read_again_at_once_and_then_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    async with (
        site(refuse) as server,
        connected(kubeconfig(tmp_path, server.url, user={"tokenFile": str(file)})) as one,
    ):
        file.write_text("second")
        assert (await one.send(GET, timeout=LONG)).status == 401
        file.write_text("third")
        assert [(await one.send(GET, timeout=LONG)).status for _ in range(2)] == [401, 401]
        monkeypatch.setattr(transport_module, "RENEW_AGAIN_SECONDS", 0.0)
        await one.send(GET, timeout=LONG)
        assert await one.token() == "third"
        sent = [each.headers["Authorization"] for each in server.seen]
        assert sent == ["Bearer first", "Bearer second", "Bearer second", "Bearer second"]


@dataclass
class Pod:
    """A pod's service account folder, and the clock by which the client reads it again."""

    folder: Path
    authority: CertificateAuthority
    later: list[datetime.timedelta] = field(default_factory=lambda: [datetime.timedelta()])

    def now(self) -> datetime.datetime:
        return datetime.datetime(2026, 1, 2) + self.later[0]

    def wait(self, *, minutes: float) -> None:
        self.later[0] += datetime.timedelta(minutes=minutes)

    def put(self, token: str) -> None:
        (self.folder / "token").write_text(token)

    def serve(self) -> AbstractAsyncContextManager[Site]:
        pair = self.authority.serving("server", dns_names=[], addresses=["127.0.0.1"])
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(pair.certificate, pair.key)
        return site(tls=tls)


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    made = Pod(tmp_path, CertificateAuthority(tmp_path / "authority"))
    made.put("first")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(made.authority.certificate))
    clock: Any = SimpleNamespace(datetime=SimpleNamespace(now=made.now), timedelta=datetime.timedelta)
    monkeypatch.setattr(incluster_config, "datetime", clock)
    return made


def into(server: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    host, _, port = server.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)


async def test_in_a_pod_the_service_account_s_token_is_read_again(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pod.serve() as server:
        into(server, monkeypatch)
        async with connected() as transport:
            await transport.send(GET, timeout=LONG)
            pod.put("second\n")
            pod.wait(minutes=2)
            await transport.send(GET, timeout=LONG)
            assert await transport.token() == "second"
            assert transport.ca_file == str(pod.authority.certificate)
        sent = [each.headers["Authorization"].lower() for each in server.seen]
        assert sent == ["bearer first", "bearer second"]


async def test_in_a_pod_a_token_that_is_not_taken_is_read_again_at_once(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pod.serve() as server:
        into(server, monkeypatch)
        server.handler = refuse
        async with connected() as transport:
            pod.put("second")
            await transport.send(GET, timeout=LONG)
            assert await transport.token() == "second"


@pytest.mark.parametrize("emptied", [True, False])
async def test_a_token_that_is_gone_for_a_moment_is_worth_another_try(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, *, emptied: bool
) -> None:
    async with pod.serve() as server:
        into(server, monkeypatch)
        async with connected() as transport:
            pod.put("")
            if not emptied:
                (pod.folder / "token").unlink()
            pod.wait(minutes=2)
            with pytest.raises(Unavailable):
                await transport.send(GET, timeout=LONG)
            pod.put("second")
            assert (await transport.send(GET, timeout=LONG)).status == 200


async def test_a_server_of_another_authority_never_sees_the_token(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pod.serve() as server:
        into(server, monkeypatch)
        other = CertificateAuthority(pod.folder / "other")
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(other.certificate))
        async with connected() as transport:
            with pytest.raises(Unavailable):
                await transport.send(GET, timeout=LONG)
        assert server.seen == []
