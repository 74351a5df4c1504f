"""Statuses are computed at the last moment, written only if they differ, and lost to nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lazaretto.api import AIIncident
from lazaretto.api.aiincident import AIIncidentStatus
from lazaretto.engine.status_writer import TRIES, StatusWriter
from lazaretto.engine.store import Store
from lazaretto.errors import Conflict, Unavailable
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.request import Request
from lazaretto.kube.resource import INCIDENTS
from lazaretto.kube.transport import Response
from tests.engine.memory_api import MemoryApi, Object, failure
from tests.engine.world import ONCE
from tests.unit.domain.objects import NAMESPACE, incident

NAME = "chat-1"


class Lane:
    """A status writer over an API server with one incident, with as many workers as a test starts."""

    def __init__(self) -> None:
        self.api = MemoryApi()
        self.store = Store()
        self.statuses = StatusWriter(ApiServer(self.api, policy=ONCE), self.store)
        self.tasks: list[asyncio.Task[None]] = []
        self.add(NAME)

    def add(self, name: str, **spec: Any) -> Object:
        body = self.api.add(path(name), {"kind": "AIIncident", **incident(name, **spec).dump()})
        self.store.put(AIIncident, body)
        return body

    def work(self, workers: int = 1) -> None:
        self.tasks = [asyncio.create_task(self.statuses.work()) for _ in range(workers)]

    def submit(self, build: Callable[[AIIncident], AIIncidentStatus], *, name: str = NAME, **more: Any) -> Any:
        return self.statuses.submit(AIIncident, NAMESPACE, name, build, **more)

    def status(self, name: str = NAME) -> Object:
        found: Object = self.api.objects[path(name)].get("status", {})
        return found

    @property
    def patches(self) -> int:
        return sum(request.method == "PATCH" for request in self.api.requests)


def path(name: str) -> str:
    return INCIDENTS.path(namespace=NAMESPACE, name=name)


def state(text: str) -> Callable[[AIIncident], AIIncidentStatus]:
    return lambda newest: newest.status.model_copy(update={"state": text})


def moved_on(lane: Lane, name: str = NAME) -> None:
    """Somebody else writes the incident; no watch tells of it."""
    lane.api.change(path(name), lambda body: body["spec"].update(summary=f"{body['metadata']['resourceVersion']}"))


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    made = Lane()
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_a_status_goes_through_its_own_door_and_holds_nothing_empty(lane: Lane) -> None:
    lane.work()
    await lane.submit(state("Contained"))
    (stored,) = lane.api.history
    assert stored.call == "patch aiincidents/status"
    assert stored.request.query["fieldManager"] == "lazaretto-status"
    assert lane.status() == {"state": "Contained"}
    newest = lane.store.get(AIIncident, NAMESPACE, NAME)
    assert newest is not None
    assert newest.status.state == "Contained", "the next decision sees it without waiting for the watch"


async def test_nothing_is_written_when_nothing_differs(lane: Lane) -> None:
    lane.work()
    await lane.submit(lambda newest: newest.status)
    await lane.submit(state("Contained"))
    await lane.submit(state("Contained"))
    assert lane.patches == 1


async def test_of_those_that_wait_the_latest_is_computed_and_all_are_told(lane: Lane) -> None:
    computed: list[str] = []

    def build(text: str) -> Callable[[AIIncident], AIIncidentStatus]:
        def now(newest: AIIncident) -> AIIncidentStatus:
            computed.append(text)
            return state(text)(newest)

        return now

    futures = [lane.submit(build(text)) for text in ("a", "b", "c")]
    lane.work()
    await asyncio.gather(*futures)
    assert (computed, lane.status(), lane.patches) == (["c"], {"state": "c"}, 1)


async def test_authors_add_to_each_other_and_each_is_told(lane: Lane) -> None:
    told: list[tuple[str, str, str]] = []

    def stored(author: str) -> Callable[[AIIncident, AIIncident], None]:
        return lambda old, new: told.append((author, old.status.state, new.status.state))

    lane.submit(state("old"), author="a", stored=stored("a"))
    lane.submit(lambda newest: newest.status.model_copy(update={"reason": "why"}), author="b", stored=stored("b"))
    future = lane.submit(state("new"), author="a", stored=stored("a"))
    lane.work()
    await future
    assert (lane.status(), lane.patches) == ({"state": "new", "reason": "why"}, 1)
    assert sorted(told) == [("a", "", "new"), ("b", "", "new")]


async def test_what_is_submitted_during_a_write_is_written_after_it(lane: Lane) -> None:
    lane.api.delay = 0.01
    lane.work(2)
    first = lane.submit(state("a"))
    while not lane.api.requests:
        await asyncio.sleep(0)
    second = lane.submit(state("b"))
    await asyncio.gather(first, second)
    assert (lane.status(), lane.patches) == ({"state": "b"}, 2)


async def test_a_lost_race_is_run_again_from_the_newest(lane: Lane) -> None:
    seen: list[str] = []

    def build(newest: AIIncident) -> AIIncidentStatus:
        seen.append(newest.metadata.resource_version)
        return state("Contained")(newest)

    moved_on(lane)
    lane.work()
    await lane.submit(build)
    assert lane.status() == {"state": "Contained"}
    assert len(seen) == 2
    assert seen[0] < seen[1]


async def test_a_race_that_is_always_lost_is_given_up_and_said(lane: Lane) -> None:
    def always(request: Request) -> Response | None:
        return failure(409, "Conflict") if request.method == "PATCH" else None

    lane.api.hook = always
    lane.work()
    with pytest.raises(Conflict, match=f"lost {TRIES} races"):
        await lane.submit(state("Contained"))
    assert lane.patches == TRIES
    lane.api.hook = None
    await lane.submit(state("Contained"))
    assert lane.status() == {"state": "Contained"}


async def test_one_that_fails_is_told_and_stops_no_other(lane: Lane) -> None:
    lane.add("chat-2")
    lane.api.forbidden = set()
    lane.api.hook = lambda request: failure(503, "ServiceUnavailable") if NAME in request.path else None
    lane.work()
    failed, fine = lane.submit(state("a")), lane.submit(state("b"), name="chat-2")
    with pytest.raises(Unavailable):
        await failed
    await fine
    assert lane.status("chat-2") == {"state": "b"}


async def test_a_defect_in_one_computation_stops_no_worker(lane: Lane) -> None:
    lane.work()

    def defect(newest: AIIncident) -> AIIncidentStatus:
        raise RuntimeError("made up")

    for _ in range(3):
        with pytest.raises(RuntimeError):
            await lane.submit(defect)
    await lane.submit(state("Contained"))
    assert lane.status() == {"state": "Contained"}


async def test_an_error_that_nobody_asks_for_disturbs_nobody(lane: Lane) -> None:
    lane.api.forbidden = {"patch aiincidents/status"}
    lane.work()
    lane.submit(state("a"))
    await asyncio.sleep(0.01)
    lane.api.forbidden = set()
    await lane.submit(state("b"))
    assert lane.status() == {"state": "b"}


async def test_an_unknown_object_has_no_status(lane: Lane) -> None:
    lane.work()
    await lane.submit(state("a"), name="chat-9")
    assert lane.patches == 0


@pytest.mark.parametrize("moved", [False, True], ids=["found by the write", "found by the second look"])
async def test_an_object_that_is_gone_is_forgotten(lane: Lane, moved: bool) -> None:
    if moved:
        # The first write meets a conflict, and the object goes before it is read again.
        lane.api.hook = lambda request: failure(409, "Conflict") if request.method == "PATCH" else None
    lane.api.delete(path(NAME))
    lane.work()
    await lane.submit(state("a"))
    assert lane.store.get(AIIncident, NAMESPACE, NAME) is None


async def test_a_successor_that_nobody_has_seen_is_computed_anew(lane: Lane) -> None:
    lane.api.delete(path(NAME))
    lane.api.add(path(NAME), {"kind": "AIIncident", **incident(NAME, uid="another").dump()})
    seen: list[str] = []

    def build(newest: AIIncident) -> AIIncidentStatus:
        seen.append(newest.metadata.uid)
        return state("a")(newest)

    lane.work()
    await lane.submit(build)
    assert seen == [f"uid-of-{NAME}", "another"]
