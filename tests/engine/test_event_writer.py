"""Kubernetes Events: each entry of a timeline once, never in anybody's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lazaretto.api.aiincident import TimelineEntry
from lazaretto.engine import event_writer
from lazaretto.engine.event_writer import WARNINGS, EventWriter
from lazaretto.kube.api_server import ApiServer
from tests.engine.faulty_line import Call, Fault, FaultyLine
from tests.engine.memory_api import MemoryApi, Object
from tests.engine.world import ONCE
from tests.unit.domain.objects import at, incident

ABOUT = incident("chat-1", uid="0123456789")


def entry(number: int = 1, **more: Any) -> TimelineEntry:
    return TimelineEntry(
        seq=number, at=at(5), type=more.pop("type", "Acted"), message=more.pop("message", "done"), **more
    )


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi()


@pytest.fixture
async def events(api: MemoryApi) -> AsyncIterator[EventWriter]:
    writer = EventWriter(ApiServer(api, policy=ONCE))
    task = asyncio.create_task(writer.work())
    yield writer
    task.cancel()


async def posted(api: MemoryApi) -> list[Object]:
    for _ in range(200):
        await asyncio.sleep(0)
    return api.all("events")


async def test_an_event_says_what_the_timeline_says(api: MemoryApi, events: EventWriter) -> None:
    events.announce(ABOUT, [entry(7)])
    (event,) = await posted(api)
    assert event["metadata"]["name"] == "chat-1.01234567.7"
    assert event["metadata"]["namespace"] == event["involvedObject"]["namespace"] == "shop"
    assert event["involvedObject"] == {
        "apiVersion": "lazaretto.dev/v1alpha1",
        "kind": "AIIncident",
        "namespace": "shop",
        "name": "chat-1",
        "uid": "0123456789",
    }
    assert (event["type"], event["reason"], event["message"], event["count"]) == ("Normal", "Acted", "done", 1)
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-02T05:00:00Z"
    assert event["source"] == {"component": "lazaretto"}


@pytest.mark.parametrize("type_", [*sorted(WARNINGS), "Released"])
async def test_what_a_person_should_look_at_is_a_warning(api: MemoryApi, events: EventWriter, type_: str) -> None:
    events.announce(ABOUT, [entry(type=type_)])
    (event,) = await posted(api)
    assert event["type"] == ("Normal" if type_ == "Released" else "Warning")


async def test_the_same_entry_is_posted_once(api: MemoryApi, events: EventWriter) -> None:
    events.announce(ABOUT, [entry(1), entry(2)])
    events.announce(ABOUT, [entry(2), entry(3)])
    assert len(await posted(api)) == 3
    assert events.dropped == 0


async def test_names_and_messages_keep_to_their_bounds(api: MemoryApi, events: EventWriter) -> None:
    events.announce(incident("a" * 253, uid="0123456789"), [entry(12, message="m" * 1024)])
    events.post(ABOUT, "Warning", "Stalled", "m" * 2000, at=at(5), identity="stalled-1")
    first, second = await posted(api)
    assert len(first["metadata"]["name"]) < 253
    assert [len(event["message"]) for event in (first, second)] == [1024, 1024]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.FORBIDDEN])
async def test_one_that_fails_is_counted_and_the_next_is_posted(api: MemoryApi, fault: Fault) -> None:
    line = FaultyLine(api, at=Call("create events", "chat-1.01234567.1", 1), fault=fault)
    writer = EventWriter(ApiServer(line, policy=ONCE))
    task = asyncio.create_task(writer.work())
    writer.announce(ABOUT, [entry(1), entry(2)])
    assert [event["metadata"]["name"] for event in await posted(api)] == ["chat-1.01234567.2"]
    assert writer.dropped == 1
    task.cancel()


async def test_what_does_not_fit_is_dropped_and_counted(api: MemoryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_writer, "BOUND", 3)
    writer = EventWriter(ApiServer(api, policy=ONCE))
    writer.announce(ABOUT, [entry(number) for number in range(1, 6)])
    assert writer.dropped == 2
    task = asyncio.create_task(writer.work())
    assert len(await posted(api)) == 3
    task.cancel()
