"""Requests about one model take turns; what waits for a turn is stored by one write, and nobody is in the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from lazaretto.kube.request import Request
from lazaretto.kube.transport import Response
from lazaretto.receiver.store import IncidentStore, Outcome
from tests.unit.receiver.conftest import Running, Start, add_model
from tests.unit.receiver.fake_api import FakeApi, failure
from tests.unit.receiver.payloads import alert, webhook

WAITING = 20


class Door:
    """Lets writes through once it is opened, and refuses those that hold a word. Counts who came to store."""

    def __init__(self, one: Running, monkeypatch: pytest.MonkeyPatch, *, refused: str = "") -> None:
        self.open = asyncio.Event()
        self.reached = asyncio.Event()
        self._refused = refused
        self.came = asyncio.Semaphore(0)
        self._send = one.api.send
        self._record = IncidentStore.record
        monkeypatch.setattr(one.api, "send", self.send)
        monkeypatch.setattr(IncidentStore, "record", lambda *args, **kwargs: self.record(*args, **kwargs))

    async def record(self, *args: Any, **kwargs: Any) -> Outcome:
        # Whoever waits for this goes on when the request has taken its place in the line.
        asyncio.get_running_loop().call_later(0.01, self.came.release)
        return await self._record(*args, **kwargs)

    async def send(self, request: Request, *, timeout: float) -> Response:
        if request.method in ("POST", "PATCH"):
            self.reached.set()
            await self.open.wait()
            if self._refused and self._refused in json.dumps(request.body):
                return failure(422, "Invalid")
        return await self._send(request, timeout=timeout)


async def crowd(one: Running, door: Door, *names: str) -> list[tuple[int, Any]]:
    """The first alert begins to be stored; the others arrive, and then writes go through."""
    first = asyncio.create_task(one.post(webhook(alert("first"))))
    await door.reached.wait()
    others = [asyncio.create_task(one.post(webhook(alert(name)))) for name in names]
    for _ in (first, *others):
        await door.came.acquire()
    door.open.set()
    return [await each for each in (first, *others)]


def stored(one: Running) -> set[str]:
    [incident] = one.incidents()
    return {entry["name"] for entry in incident["spec"]["alerts"]}


async def test_what_waits_is_stored_by_one_write(one: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"A{number}" for number in range(WAITING)]
    answers = await crowd(one, Door(one, monkeypatch), *names)
    assert [status for status, _ in answers] == [200] * (WAITING + 1)
    assert [answer["created"] for _, answer in answers if answer["created"]] == [["shop/chat-1"]]
    assert stored(one) == {"first", *names}
    assert len(one.api.writes) == 2


async def test_who_brings_what_is_refused_keeps_nobody_from_being_stored(
    one: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = await crowd(one, Door(one, monkeypatch, refused="poison"), "A", "poison", "B")
    assert [status for status, _ in answers] == [200, 200, 503, 200]
    assert stored(one) == {"first", "A", "B"}


async def test_who_hangs_up_takes_nothing_along(one: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(one, monkeypatch)
    first = asyncio.create_task(one.post(webhook(alert("first"))))
    await door.reached.wait()
    gone = asyncio.create_task(one.post(webhook(alert("gone"))))
    stays = asyncio.create_task(one.post(webhook(alert("stays"))))
    for _ in (first, gone, stays):
        await door.came.acquire()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    door.open.set()
    assert [(await each)[0] for each in (first, stays)] == [200, 200]
    assert {"first", "stays"} <= stored(one)
    assert (await one.post(webhook(alert("gone"))))[0] == 200
    assert stored(one) == {"first", "stays", "gone"}


async def test_the_worst_is_stored_first(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    models, api = [f"m{number:02}" for number in range(3 * WAITING)], FakeApi()
    for model in (*models, "worst"):
        add_model(api, "shop", model)
    one = await start(api=api)
    door = Door(one, monkeypatch)
    many = webhook(*(alert(model, ai_model=model, ai_category="PolicyViolation") for model in models))
    storm = asyncio.create_task(one.post(many))
    await door.reached.wait()
    critical = asyncio.create_task(one.post(webhook(alert("worst", ai_model="worst", ai_severity="critical"))))
    for _ in (storm, critical):
        await door.came.acquire()
    door.open.set()
    assert [(await each)[0] for each in (storm, critical)] == [200, 200]
    bodies = [request.body for request in one.api.writes if isinstance(request.body, Mapping)]
    created = [body["spec"]["target"]["model"] for body in bodies]
    assert created.index("worst") < len(models) / 2
