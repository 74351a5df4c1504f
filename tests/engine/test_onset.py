"""When the trouble began is asked a few times, late, and never in anybody's way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from lazaretto.api import AIIncident
from lazaretto.engine.onset import PATIENCE, PAUSE, TRIES, Onset
from lazaretto.engine.status_writer import StatusWriter
from lazaretto.engine.store import Store
from lazaretto.errors import Unavailable
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.resource import INCIDENTS
from tests.engine.memory_api import MemoryApi
from tests.engine.travelling_time import travelling
from tests.engine.world import ONCE
from tests.unit.domain.objects import NAMESPACE, alert, at, incident

PATH = INCIDENTS.path(namespace=NAMESPACE, name="chat-1")


class Inquiry:
    """An onset with one incident; answers are given out one after the other, the last one for ever."""

    def __init__(self, *answers: Any, **more: Any) -> None:
        self.api, self.store = MemoryApi(), Store()
        self.answers = list(answers)
        self.asked: list[float] = []
        self.statuses = StatusWriter(ApiServer(self.api, policy=ONCE), self.store)
        self.onset = Onset(self._lookup, self.store, self.statuses)
        self.put(incident("chat-1", **{"alerts": [alert()], **more}))

    def put(self, made: AIIncident) -> None:
        self.store.put(AIIncident, self.api.add(PATH, {"kind": "AIIncident", **made.dump()}))

    @property
    def copy(self) -> AIIncident:
        return AIIncident.read(self.api.objects[PATH])

    def ask(self) -> None:
        self.onset.ask(self.copy)

    async def _lookup(self, about: AIIncident) -> datetime | None:
        self.asked.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        found: datetime | None = answer
        return found


def inquired(inquiry: Inquiry, story: Callable[[Inquiry], Awaitable[None]] | None = None) -> Inquiry:
    async def scene() -> None:
        tasks = [asyncio.create_task(work) for work in (inquiry.onset.work(), inquiry.statuses.work())]
        inquiry.ask()
        if story is not None:
            await story(inquiry)
        await asyncio.sleep(1000.0)
        assert not any(task.done() for task in tasks)

    travelling(scene())
    return inquiry


def test_it_is_asked_after_everything_urgent_and_written_once() -> None:
    found = inquired(Inquiry(at(0.5)))
    assert found.asked == [PATIENCE]
    assert found.copy.status.times.active_at == at(0.5)
    assert len(found.api.history) == 1


@pytest.mark.parametrize(
    ("more", "occurred"),
    [
        ({}, at(0.5)),
        ({"status": {"times": {"occurredAt": "2026-01-02T01:00:00Z"}}}, at(0.5)),
        ({"status": {"times": {"occurredAt": "2026-01-02T00:15:00Z"}}}, at(0.25)),
        (
            {
                "occurred_at": {"value": "2026-01-02T01:00:00Z"},
                "status": {"times": {"occurredAt": "2026-01-02T01:00:00Z"}},
            },
            at(1),
        ),
    ],
    ids=["nothing assumed", "assumed later", "assumed earlier", "stated by somebody"],
)
def test_when_the_trouble_began(more: dict[str, Any], occurred: datetime) -> None:
    times = inquired(Inquiry(at(0.5), **more)).copy.status.times
    assert (times.active_at, times.occurred_at) == (at(0.5), occurred)


@pytest.mark.parametrize(
    "failing", [None, Unavailable(0, "made up"), RuntimeError("made up")], ids=["unknown", "down", "defect"]
)
def test_what_gives_no_answer_is_not_asked_for_ever(failing: Any) -> None:
    found = inquired(Inquiry(failing))
    times = [PATIENCE + n * PAUSE for n in range(TRIES)]
    assert found.asked == (times[:1] if isinstance(failing, RuntimeError) else times)
    assert found.api.history == []


def test_an_answer_that_comes_later_counts() -> None:
    found = inquired(Inquiry(None, Unavailable(0, "made up"), at(0.5)))
    assert found.copy.status.times.active_at == at(0.5)


@pytest.mark.parametrize(
    "more",
    [
        {"alerts": []},
        {"status": {"times": {"closedAt": "2026-01-02T03:00:00Z"}}},
        {"status": {"times": {"activeAt": "2026-01-02T00:30:00Z"}}},
    ],
    ids=["no alert", "ended", "known"],
)
def test_nobody_is_asked_about(more: dict[str, Any]) -> None:
    assert inquired(Inquiry(at(0.5), **more)).asked == []


def test_an_incident_is_asked_about_once_however_often_it_rings() -> None:
    async def story(inquiry: Inquiry) -> None:
        for _ in range(5):
            inquiry.ask()
            await asyncio.sleep(PATIENCE)

    assert len(inquired(Inquiry(None), story).asked) == TRIES


def test_an_incident_that_is_gone_is_not_asked_about_and_its_successor_is() -> None:
    async def story(inquiry: Inquiry) -> None:
        inquiry.store.drop(AIIncident, NAMESPACE, "chat-1")
        await asyncio.sleep(2 * PATIENCE)
        assert inquiry.asked == []
        inquiry.put(incident("chat-1", alerts=[alert()]))
        inquiry.ask()

    assert inquired(Inquiry(at(0.5)), story).copy.status.times.active_at == at(0.5)


def test_what_somebody_else_found_out_meanwhile_stays() -> None:
    async def story(inquiry: Inquiry) -> None:
        status = {"times": {"activeAt": "2026-01-02T00:15:00Z"}}
        inquiry.api.change(PATH, lambda body: body.update(status=status))

    assert inquired(Inquiry(at(0.5)), story).copy.status.times.active_at == at(0.25)
