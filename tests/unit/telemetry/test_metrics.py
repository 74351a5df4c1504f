"""Metrics in Prometheus' text format: served over HTTP, at nothing else than their path, and safe from bad names."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from lazaretto.errors import ConfigurationError
from lazaretto.telemetry.endpoint import serving
from lazaretto.telemetry.metrics import Metrics
from tests.cluster.process import free_ports

NASTY = 'a"b\\c\nd{}é'


@pytest.fixture
async def url() -> AsyncIterator[str]:
    metrics = Metrics()
    metrics.watch_model("bank", NASTY)
    metrics.fence_bypasses.labels("bank", "chat").inc()
    (port,) = free_ports(1)
    async with serving(metrics, host="127.0.0.1", port=port):
        yield f"http://127.0.0.1:{port}"


async def test_they_are_served_as_text_that_a_parser_reads_back(url: str) -> None:
    async with ClientSession() as session, session.get(f"{url}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        text = await answer.text()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    values = {s.labels["ai_model"]: s.value for s in families["lazaretto_fence_bypasses"].samples}
    assert values == {NASTY: 0.0, "chat": 1.0}
    assert "process_resident_memory_bytes" in families
    assert not [name for name in families if name.endswith("_created")]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405)])
async def test_there_is_nothing_else(url: str, method: str, path: str, status: int) -> None:
    async with ClientSession() as session, session.request(method, f"{url}{path}") as answer:
        assert answer.status == status


async def test_an_address_that_is_taken_is_named(url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    with pytest.raises(ConfigurationError, match=rf"--metrics-listen 127.0.0.1:{port}: .*in use"):
        async with serving(Metrics(), host=host, port=int(port)):
            pass
