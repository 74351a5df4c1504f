"""The work queue: each key at most once, urgent ones first, one worker a key, and no request is lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lazaretto.engine.queue import CRITICAL, IDLE, NORMAL, URGENT, WorkQueue
from tests.engine.travelling_time import TravellingLoop, travelling

KEYS = st.sampled_from("abc")
PRIORITIES = st.sampled_from([CRITICAL, URGENT, NORMAL, IDLE])


async def taken(queue: WorkQueue[str]) -> str | None:
    """The next key, None if there is none now."""
    task = asyncio.create_task(queue.take())
    for _ in range(3):
        await asyncio.sleep(0)
    if task.done():
        return task.result()
    task.cancel()
    return None


async def drained(queue: WorkQueue[str]) -> str:
    found = ""
    while (key := await taken(queue)) is not None:
        queue.done(key)
        found += key
    return found


class QueueAgainstModel(RuleBasedStateMachine):
    """The queue beside the plainest description of what it must do."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=TravellingLoop)
        self.queue: WorkQueue[str] = WorkQueue()
        self.waiting: dict[str, int] = {}
        self.running: set[str] = set()
        self.again: dict[str, int] = {}
        self.timers: dict[str, tuple[float, int]] = {}
        self.now = 0.0

    def teardown(self) -> None:
        self.runner.close()

    def _added(self, key: str, priority: int) -> None:
        self.timers.pop(key, None)
        table = self.again if key in self.running else self.waiting
        table[key] = min(priority, table.get(key, priority))

    @rule(key=KEYS, priority=PRIORITIES)
    def add(self, key: str, priority: int) -> None:
        self.queue.add(key, priority=priority)
        self._added(key, priority)

    @rule(key=KEYS, priority=PRIORITIES, delay=st.integers(1, 5))
    def add_after(self, key: str, priority: int, delay: int) -> None:
        async def ask() -> None:
            self.queue.add_after(key, delay, priority=priority)

        self.runner.run(ask())
        due = self.now + delay
        if key not in self.timers or due < self.timers[key][0]:
            self.timers[key] = (due, priority)

    @rule(seconds=st.integers(1, 3))
    def time_passes(self, seconds: int) -> None:
        # Half a second past the full one, so that no timer is due exactly now.
        self.runner.run(asyncio.sleep(self.now + seconds + 0.5 - self._loop_time()))
        self.now += seconds
        for key, (due, priority) in sorted(self.timers.items(), key=lambda item: item[1][0]):
            if due <= self.now:
                self._added(key, priority)

    def _loop_time(self) -> float:
        return self.runner.get_loop().time()

    @rule()
    def take(self) -> None:
        key = self.runner.run(taken(self.queue))
        assert (key is None) == (not self.waiting)
        if key is not None:
            assert key not in self.running, "two workers on one key"
            assert self.waiting.pop(key) <= min(self.waiting.values(), default=IDLE), "something more urgent waits"
            self.running.add(key)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.queue.done(key)
        self.running.discard(key)
        if key in self.again:
            self._added(key, self.again.pop(key))

    @invariant()
    def as_many_wait(self) -> None:
        assert len(self.queue) == len(self.waiting)


TestQueueAgainstModel = QueueAgainstModel.TestCase
TestQueueAgainstModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


async def test_urgent_keys_come_first_and_equal_ones_in_their_order() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key, priority in [("a", IDLE), ("b", NORMAL), ("c", URGENT), ("d", NORMAL), ("e", URGENT)]:
        queue.add(key, priority=priority)
    assert await drained(queue) == "cebda"


async def test_a_key_becomes_more_urgent_and_never_less() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a", priority=NORMAL)
    queue.add("b", priority=NORMAL)
    queue.add("b", priority=URGENT)
    queue.add("b", priority=IDLE)
    assert await drained(queue) == "ba"


async def test_a_key_added_while_it_is_worked_on_runs_once_more_as_urgently_as_asked() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await taken(queue) == "a"
    for priority in (IDLE, URGENT, NORMAL):
        queue.add("a", priority=priority)
    assert await taken(queue) is None
    queue.add("b", priority=NORMAL)
    queue.done("a")
    assert await drained(queue) == "ab"


async def test_a_worker_for_critical_keys_takes_no_other_and_is_woken_by_them() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a", priority=URGENT)
    waiting = asyncio.create_task(queue.take(critical=True))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    queue.add("b", priority=CRITICAL)
    assert await waiting == "b"
    assert queue.priority_of("b") == CRITICAL
    assert await taken(queue) == "a"
    assert queue.priority_of("a") == URGENT


async def test_a_worker_that_stops_waiting_takes_nothing_along() -> None:
    queue: WorkQueue[str] = WorkQueue()
    patient, impatient = (asyncio.create_task(queue.take()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    queue.add("a")
    assert await patient == "a"


@pytest.mark.parametrize(
    ("requests", "seconds"),
    [
        ([3.0], 3.0),
        ([3.0, 5.0], 3.0),
        ([3.0, 1.0], 1.0),
        ([0.0], 0.0),
        ([3.0, None], 0.0),
    ],
    ids=["one", "an earlier one stands", "an earlier one comes", "at once", "an event cuts it short"],
)
def test_delayed_request(requests: list[float | None], seconds: float) -> None:
    async def scene() -> tuple[float, int]:
        queue: WorkQueue[str] = WorkQueue()
        for delay in requests:
            queue.add("a") if delay is None else queue.add_after("a", delay)
        queue.done(await queue.take())
        when = asyncio.get_running_loop().time()
        await asyncio.sleep(10.0)
        return when, len(queue)

    assert travelling(scene()) == (seconds, 0)


def test_a_delayed_request_that_falls_due_at_work_runs_once_more() -> None:
    async def scene() -> str | None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        key = await queue.take()
        queue.add_after("a", 1.0)
        await asyncio.sleep(2.0)
        assert len(queue) == 0
        queue.done(key)
        return await taken(queue)

    assert travelling(scene()) == "a"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcde"), PRIORITIES, st.integers(0, 3)), max_size=30), st.integers(1, 4))
def test_many_workers_miss_no_request_and_never_meet(requests: list[tuple[str, int, int]], workers: int) -> None:
    async def scene() -> None:
        queue: WorkQueue[str] = WorkQueue()
        at_work: Counter[str] = Counter()
        asked: dict[str, int] = {}
        begun: dict[str, int] = {}

        async def work() -> None:
            while True:
                key = await queue.take()
                at_work[key] += 1
                assert at_work[key] == 1, "two workers on one key"
                begun[key] = asked[key]
                await asyncio.sleep(1.5)
                at_work[key] -= 1
                queue.done(key)

        crew = [asyncio.create_task(work()) for _ in range(workers)]
        for number, (key, priority, pause) in enumerate(requests):
            asked[key] = number
            queue.add(key, priority=priority)
            await asyncio.sleep(pause)
        await asyncio.sleep(1000.0)
        assert begun == asked, "a request was not worked on after it was made"
        assert not any(task.done() for task in crew)
        for task in crew:
            task.cancel()

    travelling(scene())
