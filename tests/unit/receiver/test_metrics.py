"""What the receiver counts, and that nothing that an alert says is part of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any, get_args

import pytest

from lazaretto.telemetry.intake import MOST_SENDERS, OTHERS, IntakeMetrics, Result
from tests.unit.receiver.conftest import Running, Start, stored
from tests.unit.receiver.fake_api import failure
from tests.unit.receiver.listing import OFTEN, Listing
from tests.unit.receiver.payloads import alert, webhook
from tests.unit.receiver.scraping import above_zero, samples

REQUESTS = "requests_total"


def test_everything_that_can_happen_is_shown_from_zero_on() -> None:
    text = IntakeMetrics(["am:9093"]).text().decode()
    for result in get_args(Result):
        assert f'lazaretto_receiver_requests_total{{result="{result}"}} 0.0' in text
    assert 'lazaretto_receiver_found_by_pull_total{alertmanager="am:9093"} 0.0' in text
    assert 'lazaretto_receiver_store_failures_total{way="pull"} 0.0' in text
    assert 'lazaretto_receiver_pull_timestamp_seconds{alertmanager="am:9093"} 0.0' in text


async def test_requests_that_were_taken(one: Running) -> None:
    before = time.time()
    await one.post(webhook(alert("A"), alert("B", ends="2026-01-02T04:04:05Z"), truncatedAlerts=3))
    await one.post(webhook(alert("A")))
    await one.post([alert("C")], path="/api/v2/alerts")
    assert above_zero(one, REQUESTS) == {("stored",): 2.0, ("duplicate",): 1.0}
    assert samples(one, "alerts_total") == {("webhook",): 3.0, ("posted",): 1.0}
    assert above_zero(one, "alerts_cut_total") == {("webhook",): 3.0}
    # What wrote nothing is no measure of storing.
    assert samples(one, "store_seconds_count") == {("webhook",): 1.0, ("posted",): 1.0}
    assert samples(one, "request_timestamp_seconds")["alertmanager",] >= before


@pytest.mark.parametrize(
    ("how", "result"),
    [
        ({"token": "wrong"}, "unauthorized"),
        ({"path": "/metrics"}, "misdirected"),
        ({"path": "/api/v1/alerts"}, "misdirected"),
        ({"headers": {"Content-Type": "text/plain"}}, "unsupported"),
        ({"headers": {"Content-Encoding": "gzip"}}, "unsupported"),
        ({"payload": b"{"}, "malformed"),
        ({"payload": b" " * 5000}, "too_large"),
    ],
    ids=str,
)
async def test_requests_that_were_refused(start: Start, how: dict[str, Any], result: str) -> None:
    running = await start(largest_body=4096)
    status, _ = await running.post(**{"payload": webhook(alert()), **how})
    assert status >= 400
    assert above_zero(running, REQUESTS) == {(result,): 1.0}
    assert above_zero(running, "alerts_total") == {}
    assert samples(running, "request_timestamp_seconds") == {}


async def test_incidents_that_were_not_stored(one: Running) -> None:
    one.api.hook = lambda request: failure(403, "Forbidden") if request.method == "POST" else None
    body = webhook(alert("A"), alert("B", ai_category="ModelDrift"))
    assert (await one.post(body))[0] == 503
    assert above_zero(one, REQUESTS) == {("unavailable",): 1.0}
    assert above_zero(one, "store_failures_total") == {("webhook",): 2.0}
    assert samples(one, "request_timestamp_seconds") == {}


async def test_a_request_that_fails_by_our_fault(one: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("lazaretto.receiver.store.IncidentStore.record", broken)
    async with one.session.post(
        f"{one.url}/api/v1/alertmanager",
        json=webhook(alert()),
        headers={"Authorization": "Bearer correct-horse-battery"},
    ) as answer:
        assert answer.status == 500
    assert above_zero(one, REQUESTS) == {("failed",): 1.0}


async def test_what_the_pull_alone_found(start: Start, listing: Listing) -> None:
    running = await start(alertmanagers=(listing.url,), pull_seconds=OFTEN)
    where = (listing.url.removeprefix("http://"),)
    await running.post(webhook(alert("Brought")))
    listing.list(alert("Brought"))
    await listing.looks(4)
    assert samples(running, "found_by_pull_total") == {where: 0.0}
    listing.list(alert("Brought"), alert("Lost"))
    await stored(running, lambda found: len(found[0]["spec"]["alerts"]) == 2)
    await listing.looks(2)
    assert samples(running, "found_by_pull_total") == {where: 1.0}
    assert above_zero(running, "alerts_total") == {("webhook",): 1.0}


async def test_when_an_alertmanager_answered_last(start: Start, listing: Listing) -> None:
    listing.status = 500
    running = await start(alertmanagers=(listing.url,), pull_seconds=OFTEN)
    await listing.looks(3)
    assert set(samples(running, "pull_timestamp_seconds").values()) == {0.0}
    before = time.time()
    listing.status = 200
    await listing.looks(2)
    assert all(moment >= before for moment in samples(running, "pull_timestamp_seconds").values())


async def test_what_the_pull_could_not_store(start: Start, listing: Listing) -> None:
    running = await start(alertmanagers=(listing.url,), pull_seconds=OFTEN)
    running.api.hook = lambda request: failure(403, "Forbidden") if request.method == "POST" else None
    listing.list(alert())
    while not above_zero(running, "store_failures_total"):
        await asyncio.sleep(0.005)
    assert set(above_zero(running, "store_failures_total")) == {("pull",)}
    assert above_zero(running, "found_by_pull_total") == {}


async def test_nothing_that_an_alert_or_a_stranger_says_is_shown(one: Running) -> None:
    secret = "squeamish-ossifrage"
    labels = {secret.replace("-", "_"): secret, "ai_category": secret, "ai_severity": secret, "instance": secret}
    await one.post(webhook(alert(secret, summary=secret, **labels)))
    await one.post(webhook(alert(secret)), path=f"/{secret}")
    await one.post(webhook(alert(secret)), token=secret, headers={"X-Forwarded-For": secret})
    await one.post({"version": secret})
    text = one.receiver.metrics.text().decode()
    assert secret not in text
    assert "chat" not in text
    assert "shop" not in text


def test_senders_are_bounded() -> None:
    metrics = IntakeMetrics()
    for number in range(3 * MOST_SENDERS):
        metrics.took("webhook", sender=f"s{number}", wrote=False, heartbeat=True, seconds=0.0)
    metrics.took("webhook", sender="s0", wrote=False, heartbeat=True, seconds=0.0)
    [family] = [f for f in metrics.registry.collect() if f.name == "lazaretto_receiver_heartbeat_timestamp_seconds"]
    assert {s.labels["sender"] for s in family.samples} == {*(f"s{n}" for n in range(MOST_SENDERS)), OTHERS}


async def test_the_ports_for_alerts_and_probes_do_not_show_them(one: Running) -> None:
    for address in (one.receiver.address, one.receiver.health_address):
        async with one.session.get(f"http://127.0.0.1:{address.port}/metrics") as answer:
            assert answer.status == 404
            assert "lazaretto_receiver" not in await answer.text()
