"""The election over an API server that answers late, never, or no: one leads, and the others know when to begin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from lazaretto.domain.election import Pace
from lazaretto.engine.election import Election
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.request import Request
from lazaretto.kube.transport import Response
from tests.engine.memory_api import MemoryApi, called, failure
from tests.engine.travelling_time import travelling

NAMESPACE = "lazaretto-system"
PATH = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/lazaretto-operator"
PACE = Pace()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


class Wall:
    """The machine's clock, which anybody may set."""

    def __init__(self) -> None:
        self.step = timedelta()

    def now(self) -> datetime:
        seconds = timedelta(seconds=asyncio.get_running_loop().time())
        return datetime(2026, 1, 2, 12, tzinfo=UTC) + seconds + self.step


class Line(MemoryApi):
    """One replica's way to a server that all share."""

    def __init__(self, server: MemoryApi) -> None:
        super().__init__()
        self.objects = server.objects
        self._server = server
        self.cut = False

    async def send(self, request: Request, *, timeout: float) -> Response:
        if self.cut:
            return failure(503, "made up")
        return await self._server.send(request, timeout=timeout)

    async def lines(self, request: Request, *, idle: float) -> AsyncIterator[bytes]:
        async for line in self._server.lines(request, idle=idle):
            yield line


class Replica:
    """An election, and what it tells."""

    def __init__(self, server: MemoryApi, name: str) -> None:
        self.line, self.wall = Line(server), Wall()
        loop = asyncio.get_running_loop()
        self.election = Election(ApiServer(self.line), identity=name, pace=PACE, clock=self.wall, steady=loop.time)
        self.told: list[int | None] = []
        self._tasks = [asyncio.create_task(self.election.work(NAMESPACE)), asyncio.create_task(self._hear())]

    async def _hear(self) -> None:
        async for term in self.election.terms():
            self.told.append(term)

    async def killed(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


Story = Callable[[MemoryApi, Callable[[str], Replica]], Awaitable[None]]


def run(story: Story, *, lease: bool = True) -> None:
    @asynccontextmanager
    async def stage() -> AsyncIterator[tuple[MemoryApi, Callable[[str], Replica]]]:
        server, made = MemoryApi(), []
        if lease:
            server.add(PATH, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"})

        def start(name: str) -> Replica:
            made.append(Replica(server, name))
            return made[-1]

        try:
            yield server, start
        finally:
            for each in made:
                await each.killed()

    async def scene() -> None:
        async with stage() as (server, start):
            await story(server, start)

    travelling(scene())


async def until(holds: Callable[[], object], *, seconds: float = 60.0) -> float:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not holds():
        await asyncio.sleep(0.01)
        assert loop.time() - begun < seconds
    return loop.time() - begun


def test_the_first_one_leads_at_once_and_goes_on_and_the_second_waits() -> None:
    async def story(server: MemoryApi, start: Callable[[str], Replica]) -> None:
        first, second = start("first"), start("second")
        assert await until(lambda: first.election.leads) < 0.1
        await asyncio.sleep(600.0)
        assert (first.told, second.told) == ([1], [])
        renewals = [r for r in server.writes if called(r) == "patch leases"]
        assert 200 <= len(renewals) <= 400, "one in two seconds or so"

    run(story)


def test_a_lease_that_is_given_up_is_taken_without_a_wait() -> None:
    async def story(server: MemoryApi, start: Callable[[str], Replica]) -> None:
        first, second = start("first"), start("second")
        await until(lambda: first.election.leads)
        await asyncio.sleep(3.0)
        await first.killed()
        await first.election.resign()
        assert not first.election.leads
        assert await until(lambda: second.election.leads) < 0.1
        assert second.told == [2]

    run(story)


@pytest.mark.parametrize("writes", [1, 3], ids=["the one that takes it", "a renewal"])
def test_one_that_ends_while_a_write_is_under_way_gives_up_what_that_has_made_of_the_lease(writes: int) -> None:
    async def story(server: MemoryApi, start: Callable[[str], Replica]) -> None:
        first = start("first")
        real, sent = first.line.send, [0]

        async def send(request: Request, *, timeout: float) -> Response:
            sent[0] += request.method == "PATCH"
            answer = await real(request, timeout=timeout)
            if request.method == "PATCH" and sent[0] == writes:
                await asyncio.sleep(1.0)
            return answer

        first.line.send = send  # type: ignore[method-assign]  # the test's own line
        await until(lambda: sent[0] == writes)
        await first.killed()
        await first.election.resign()
        second = start("second")
        assert await until(lambda: second.election.leads) < 0.1

    run(story)


def test_one_that_ends_does_not_give_up_what_is_another_ones() -> None:
    async def story(server: MemoryApi, start: Callable[[str], Replica]) -> None:
        first, second = start("first"), start("second")
        await until(lambda: first.election.leads)
        first.line.cut = True
        await until(lambda: second.election.leads)
        first.line.cut = False
        await first.killed()
        await first.election.resign()
        await asyncio.sleep(60.0)
        assert second.told == [2]

    run(story)


def test_one_that_is_killed_is_followed_after_the_lease() -> None:
    async def story(server: MemoryApi, start: Callable[[str], Replica]) -> None:
        first, second = start("first"), start("second")
        await until(lambda: first.election.leads)
        await first.killed()
        took = await until(lambda: second.election.leads)
        assert PACE.lease - 0.1 <= took <= PACE.lease + 2 * PACE.retry

    run(story)


def test_one_that_is_restarted_in_its_place_leads_at_once() -> None:
    async def story(server: MemoryApi, start: Callable[[str], Replica]) -> None:
        first = start("first")
        await until(lambda: first.election.leads)
        await first.killed()
        again = start("first")
        assert await until(lambda: again.election.leads) < 0.1
        assert again.told == [2]

    run(story)


def test_one_that_is_cut_off_stops_before_the_other_begins() -> None:
    async def story(server: MemoryApi, start: Callable[[str], Replica]) -> None:
        first, second = start("first"), start("second")
        await until(lambda: first.election.leads)
        await asyncio.sleep(30.0)
        first.line.cut = True
        stopped = await until(lambda: first.told[-1] is None)
        assert stopped <= PACE.renew + 0.1
        assert not second.election.leads
        await until(lambda: second.election.leads)
        first.line.cut = False
        await asyncio.sleep(60.0)
        assert (first.told, second.told) == ([1, None], [2])
        assert first.election.age() < 5.0

    run(story)


def test_a_loop_that_stands_still_does_not_lead() -> None:
    """The answer is computed when it is asked for: nothing has to run for it to become no."""

    async def story(server: MemoryApi, start: Callable[[str], Replica]) -> None:
        now = [0.0]
        line = Line(server)
        election = Election(ApiServer(line), identity="a", pace=PACE, clock=Wall(), steady=lambda: now[0])
        task = asyncio.create_task(election.work(NAMESPACE))
        await until(lambda: election.leads)
        assert election.holds(1)
        now[0] = 60.0
        assert not election.holds(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(story)


@pytest.mark.parametrize("hours", [-1, 1])
def test_whoever_sets_a_clock_by_an_hour_changes_nothing(hours: int) -> None:
    async def story(server: MemoryApi, start: Callable[[str], Replica]) -> None:
        first, second = start("first"), start("second")
        await until(lambda: first.election.leads)
        for replica in (first, second, first):
            replica.wall.step += timedelta(hours=hours)
            await asyncio.sleep(60.0)
        assert (first.told, second.told) == ([1], [])
        await first.killed()
        took = await until(lambda: second.election.leads)
        assert PACE.lease - 2 * PACE.retry <= took <= PACE.lease + 2 * PACE.retry

    run(story)


def test_answers_that_are_lost_cost_no_term() -> None:
    async def story(server: MemoryApi, start: Callable[[str], Replica]) -> None:
        first, second = start("first"), start("second")
        await until(lambda: first.election.leads)
        real, lost = first.line.send, [0]

        async def send(request: Request, *, timeout: float) -> Response:
            answer = await real(request, timeout=timeout)
            lost[0] += request.method == "PATCH"
            return failure(504, "made up") if request.method == "PATCH" and lost[0] % 2 else answer

        first.line.send = send  # type: ignore[method-assign]  # the test's own line
        await asyncio.sleep(300.0)
        assert lost[0] > 100
        assert (first.told, second.told) == ([1], [])

    run(story)


def test_without_the_lease_nobody_leads_and_when_it_is_there_somebody_does() -> None:
    async def story(server: MemoryApi, start: Callable[[str], Replica]) -> None:
        first = start("first")
        await asyncio.sleep(60.0)
        assert first.told == []
        server.add(PATH, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"})
        await until(lambda: first.election.leads, seconds=5.0)
        server.delete(PATH)
        await until(lambda: not first.election.leads, seconds=PACE.renew + 1.0)
        server.add(PATH, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"})
        await until(lambda: first.election.leads, seconds=5.0)

    run(story, lease=False)


def test_two_under_one_name_do_not_take_it_from_each_other_for_ever() -> None:
    async def story(server: MemoryApi, start: Callable[[str], Replica]) -> None:
        one = start("same")
        await until(lambda: one.election.leads)
        other = start("same")
        await asyncio.sleep(300.0)
        assert (one.told, other.told) == ([1, None], [2])

    run(story)
