"""Alerts that no webhook brought: an Alertmanager that is asked, in one process with the receiver."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.unit.receiver.conftest import Running, Start, stored
from tests.unit.receiver.fake_api import failure
from tests.unit.receiver.listing import OFTEN, Listing
from tests.unit.receiver.payloads import alert, webhook


@pytest.fixture
async def one(start: Start, listing: Listing) -> Running:
    return await start(alertmanagers=(listing.url + "/",), pull_seconds=OFTEN)


async def test_what_fires_and_never_arrived_is_taken_in_once(
    one: Running, listing: Listing, caplog: pytest.LogCaptureFixture
) -> None:
    listing.list(alert("A"), alert("B"))
    [incident] = await stored(one, bool)
    assert incident["spec"]["source"]["sender"] == f"pull/{listing.url.removeprefix('http://')}"
    assert [e["name"] for e in incident["spec"]["alerts"]] == ["A", "B"]
    await listing.looks(4)
    assert len(one.api.writes) == 1
    assert "alerts fire that no webhook brought; created shop/chat-1" in caplog.text
    asked = listing.asked[0]
    assert (asked.method, asked.path) == ("GET", "/api/v2/alerts")
    assert dict(asked.query) == {
        "filter": 'ai_incident="true"',
        "active": "true",
        "silenced": "false",
        "inhibited": "false",
    }


async def test_the_webhook_has_a_look_s_time_and_then_nothing_is_written(one: Running, listing: Listing) -> None:
    first = alert(starts="2026-01-02T03:04:05.678901234Z")
    assert (await one.post(webhook(first)))[0] == 200
    listing.list({**first, "startsAt": "2026-01-02T03:04:05.678Z"})
    await listing.looks(4)
    assert len(one.api.writes) == 1


async def test_a_webhook_that_comes_after_all_writes_nothing(one: Running, listing: Listing) -> None:
    listing.list(alert(starts="2026-01-02T03:04:05.678Z"))
    await stored(one, bool)
    await one.post(webhook(alert(starts="2026-01-02T03:04:05.678901234Z")))
    assert len(one.api.writes) == 1


async def test_what_fires_at_one_look_only_is_left_to_the_webhook(one: Running, listing: Listing) -> None:
    for number in range(6):
        listing.list(alert(f"Passing{number}"))
        await listing.looks(1)
    assert one.incidents() == []


@pytest.mark.parametrize("state", ["suppressed", "unprocessed"])
async def test_silenced_and_unprocessed_alerts_are_left_alone(one: Running, listing: Listing, state: str) -> None:
    listing.list(alert(), state=state)
    await listing.looks(4)
    assert one.incidents() == []


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (500, [], "500 Alertmanager did not list its alerts"),
        (302, [], "302 Alertmanager did not list its alerts"),
        (200, b"<html>", "answer of Alertmanager, body"),
        (200, {"status": "success"}, "answer of Alertmanager, answer"),
        (200, [{"labels": {"a": 1}}], "answer of Alertmanager, answer[0].labels.a"),
        (200, b"[" * 100 + b"]" * 100, "nested more than 32"),
        (200, b" " * (17 * 1024 * 1024), "larger than 16777216 bytes"),
    ],
)
async def test_an_answer_that_is_none_is_told_once_and_asked_for_again(
    one: Running, listing: Listing, caplog: pytest.LogCaptureFixture, status: int, answer: Any, reason: str
) -> None:
    caplog.set_level(logging.WARNING)
    listing.status, listing.answer = status, answer
    await listing.looks(4)
    told = [r.getMessage() for r in caplog.records if r.name == "lazaretto.receiver.pull"]
    assert len(told) == 1
    assert reason in told[0]
    assert (await one.post(webhook(alert("Meanwhile"))))[0] == 200
    listing.status = 200
    listing.list(alert("Later"))
    await stored(one, lambda found: bool(found) and len(found[0]["spec"]["alerts"]) == 2)


async def test_nobody_there_is_no_harm(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    running = await start(alertmanagers=("http://127.0.0.1:1",), pull_seconds=OFTEN)
    while "Alertmanager did not answer" not in caplog.text:
        await asyncio.sleep(0.005)
    assert (await running.post(webhook(alert())))[0] == 200


async def test_what_the_api_server_did_not_take_is_offered_again(one: Running, listing: Listing) -> None:
    one.api.hook = lambda request: failure(403, "Forbidden") if request.method == "POST" else None
    listing.list(alert())
    await listing.looks(4)
    assert one.incidents() == []
    one.api.hook = None
    await stored(one, bool)


async def test_it_shows_its_token_as_the_file_has_it_now(start: Start, listing: Listing, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    await start(alertmanagers=(listing.url,), pull_seconds=OFTEN, alertmanager_token=token)
    await listing.looks(1)
    token.write_text("second\n")
    await listing.looks(2)
    assert [listing.asked[n].headers["Authorization"] for n in (0, -1)] == ["Bearer first", "Bearer second"]
