"""The heartbeat at the receiver's door: seen, never an incident, and no cloak for one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lazaretto.domain.heartbeat import MARK, NAME
from tests.unit.receiver.conftest import OTHER_TOKEN, Running, Start, add_model, stored
from tests.unit.receiver.fake_api import FakeApi, failure
from tests.unit.receiver.listing import OFTEN, Listing
from tests.unit.receiver.payloads import alert, webhook
from tests.unit.receiver.scraping import samples

CAME = "heartbeat_timestamp_seconds"
LISTED = "heartbeat_listed_timestamp_seconds"


def heartbeat(*, ends: str = "", **labels: str) -> dict[str, Any]:
    """The heartbeat as the rule makes it; `labels` are more than it has."""
    made = alert(NAME, ends=ends)
    made["labels"] = {"alertname": NAME, MARK: "true", "ai_incident": "true", "severity": "none", **labels}
    del made["fingerprint"]
    return made


@pytest.mark.parametrize("path", ["/api/v1/alertmanager", "/api/v2/alerts"])
async def test_it_is_noted_and_becomes_no_incident(one: Running, path: str) -> None:
    assert samples(one, CAME) == {}
    before = time.time()
    sent = webhook(heartbeat()) if path == "/api/v1/alertmanager" else [heartbeat()]
    assert await one.post(sent, path=path) == (200, {"created": [], "extended": []})
    [(labels, moment)] = samples(one, CAME).items()
    assert labels == ("alertmanager",)
    assert before <= moment <= time.time()
    assert one.api.writes == []
    await one.post(sent, path=path)
    assert samples(one, CAME)[labels] > moment


async def test_each_sender_has_its_own(one: Running) -> None:
    await one.post(webhook(heartbeat()))
    await one.post(webhook(heartbeat()), token=OTHER_TOKEN)
    assert set(samples(one, CAME)) == {("alertmanager",), ("alertmanager-next",)}


async def test_alerts_beside_it_are_taken_in(one: Running) -> None:
    await one.post(webhook(heartbeat(), alert("A"), heartbeat(), alert("B")))
    [incident] = one.incidents()
    assert [entry["name"] for entry in incident["spec"]["alerts"]] == ["A", "B"]
    assert samples(one, CAME)


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_a_stranger_s_heartbeat_is_none(one: Running, token: str) -> None:
    assert (await one.post(webhook(heartbeat()), token=token))[0] == 401
    assert samples(one, CAME) == {}


async def test_one_that_has_ended_is_none(one: Running) -> None:
    assert (await one.post(webhook(heartbeat(ends="2026-01-02T04:04:05Z"))))[0] == 200
    assert samples(one, CAME) == {}
    assert one.incidents() == []


async def test_a_request_that_is_not_stored_is_no_heartbeat(one: Running) -> None:
    one.api.hook = lambda request: failure(403, "Forbidden") if request.method == "POST" else None
    assert (await one.post(webhook(heartbeat(), alert())))[0] == 503
    assert samples(one, CAME) == {}


async def test_a_receiver_that_is_not_ready_does_not_take_it(start: Start) -> None:
    api = FakeApi()
    api.hook = lambda request: failure(503, "ServiceUnavailable")
    running = await start(api=api, ready=False)
    assert (await running.post(webhook(heartbeat())))[0] == 503
    assert samples(running, CAME) == {}


@pytest.mark.parametrize(
    "labels",
    [
        {"namespace": "shop", "ai_model": "chat"},
        {"namespace": "shop", "ai_model": "chat", "ai_category": "DataLeakage", "ai_severity": "SEV1"},
        {"namespace": "shop", "service": "talk"},
        {"namespace": "lazaretto-system", "service": "ours"},
        {"namespace": "shop", "alertname": NAME, "severity": "none"},
    ],
    ids=str,
)
async def test_an_alert_of_a_model_is_one_whatever_mark_it_wears(start: Start, labels: dict[str, str]) -> None:
    """Matching goes first: also for models that are known by labels of other names, or by the heartbeat's own."""
    api = FakeApi()
    add_model(api, "shop", "chat")
    add_model(api, "shop", "talk", alerts={"matchLabels": {"service": "talk"}})
    add_model(api, "shop", "named", alerts={"matchLabels": {"alertname": NAME}})
    add_model(api, "lazaretto-system", "ours", alerts={"matchLabels": {"service": "ours"}})
    running = await start(api=api)
    assert (await running.post(webhook(heartbeat(**labels))))[0] == 200
    assert running.incidents()
    assert all(each["spec"]["target"] for each in running.incidents())
    assert samples(running, CAME) == {}


@pytest.mark.parametrize(
    "labels", [{"namespace": "shop"}, {"ai_model": "chat"}, {"ai_severity": "SEV1"}, {MARK: "yes"}], ids=str
)
async def test_what_is_not_quite_a_heartbeat_is_recorded(one: Running, labels: dict[str, str]) -> None:
    await one.post(webhook(heartbeat(**labels)))
    assert [each["metadata"]["name"] for each in one.incidents()] == ["unmatched-1"]
    assert samples(one, CAME) == {}


async def test_the_pull_says_that_it_fires_and_not_that_it_came(start: Start, listing: Listing) -> None:
    running = await start(alertmanagers=(listing.url,), pull_seconds=OFTEN)
    where = (listing.url.removeprefix("http://"),)
    assert samples(running, LISTED) == {where: 0.0}
    before = time.time()
    listing.list(heartbeat(), alert("Lost"))
    await stored(running, bool)
    await listing.looks(1)
    assert samples(running, LISTED)[where] >= before
    assert samples(running, CAME) == {}
    assert [each["metadata"]["name"] for each in running.incidents()] == ["chat-1"]


async def test_a_heartbeat_that_is_silenced_is_not_listed(start: Start, listing: Listing) -> None:
    running = await start(alertmanagers=(listing.url,), pull_seconds=OFTEN)
    listing.list(heartbeat(), state="suppressed")
    await listing.looks(4)
    assert set(samples(running, LISTED).values()) == {0.0}
