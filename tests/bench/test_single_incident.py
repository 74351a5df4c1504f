"""One incident at a time: webhook POST sent to last containment write seen, beside the floor, and the way back.

Between two incidents there is a second, in which controllers, status and proof of the one before come to rest; what
was contained before stays held, and is looked after all the time. The runs' parts come in an order of chance.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.bench.client import BareClient
from tests.bench.figures import report
from tests.bench.incidents import FLOOR, floor_block, one_incident
from tests.bench.observer import Observer
from tests.bench.restore import restored, specs
from tests.bench.stage import Bench, setting, staged, until_armed

INCIDENTS = setting("INCIDENTS", 200)
RUNS = setting("RUNS", 5)
BESIDE = setting("WRITES_BESIDE", 200)
"""Writes a second of others."""
BLOCK = 20
BARS = {"p50": 2.2, "p99": 4.0}
"""Of the idle operator, as times of the floor."""
IDLE, BUSY, COLD, RESTARTED = "idle", "writes beside", "cold connections", "first after restart"
ANSWER, RESTORE = "answer of the receiver", "approval to restored"

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with staged(tmp_path_factory.mktemp("single"), map(_namespace, range(INCIDENTS))) as bench:
        yield bench


def test_an_incident_is_contained_within_the_bars(bench: Bench) -> None:
    series = asyncio.run(_measure(bench))
    rows = report("single-incident", {name: found for name, found in series.items() if found}, floor=FLOOR)
    ratios = {share: rows[IDLE][share] / rows[FLOOR][share] for share in BARS}
    assert {share: ratio for share, ratio in ratios.items() if ratio > BARS[share]} == {}


async def _measure(bench: Bench) -> dict[str, list[float]]:
    names = (FLOOR, IDLE, BUSY, COLD, RESTARTED, ANSWER, RESTORE)
    series: dict[str, list[float]] = {name: [] for name in names}
    fresh = list(map(_namespace, range(INCIDENTS)))
    random.shuffle(fresh)
    async with BareClient(bench.plane.kubeconfig) as client:
        await until_armed(client)
        observer = Observer(client)
        await observer.start()
        gc.disable()  # a collection of this process is none of the measured
        for _ in range(RUNS):
            await floor_block(client, bench, series[FLOOR], count=BLOCK)
            parts = _parts()
            for part in random.sample(list(parts), len(parts)):
                await _part(part, bench, client, observer, names=[fresh.pop() for _ in range(parts[part])], to=series)
            print(f"{INCIDENTS - len(fresh)} of {INCIDENTS}", flush=True)
        gc.enable()
        await observer.stop()
    return series


def _parts() -> dict[str, int]:
    """How many incidents of each part make up one run."""
    run = INCIDENTS // RUNS
    return {COLD: 1, RESTARTED: 1, BUSY: (run - 2) // 3, IDLE: run - 2 - (run - 2) // 3}


async def _part(
    part: str, bench: Bench, client: BareClient, observer: Observer, *, names: list[str], to: dict[str, list[float]]
) -> None:
    if part == RESTARTED:
        bench.operator.stop()
        await asyncio.to_thread(bench.operator.start)
    if part == COLD:
        # The API server hangs up after 90 s of silence; freezing both takes their connections' warmth.
        await asyncio.sleep(setting("COLD_SECONDS", 100))
    async with aiohttp.ClientSession() as sender, _writes(client, BESIDE if part == BUSY else 0):
        for position, namespace in enumerate(names):
            await asyncio.sleep(random.uniform(0.8, 1.2))
            before = await specs(client, namespace)
            sample = await one_incident(bench, observer, namespace, sender=sender)
            to[part].append(sample.contained)
            if part == IDLE:
                to[ANSWER].append(sample.answered)
            if part == IDLE and position % 4 == 0:
                await asyncio.sleep(3)
                to[RESTORE].append(await _restored(bench, client, namespace, before=before))


async def _restored(bench: Bench, client: BareClient, namespace: str, *, before: dict[str, object]) -> float:
    names = ("alice", "bob")
    files = [bench.plane.user_kubeconfig(name, groups=("system:masters",)) for name in names]
    async with BareClient(files[0]) as first, BareClient(files[1]) as second:
        return await restored(client, list(zip(names, (first, second), strict=True)), namespace, before=before)


@asynccontextmanager
async def _writes(client: BareClient, rate: int) -> AsyncIterator[None]:
    """That many writes a second of others meanwhile."""

    async def write() -> None:
        path = f"/api/v1/namespaces/{FLOOR}/configmaps"
        due = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(10**9):
                body = {"metadata": {"name": f"beside-{time.time_ns()}-{number}"}, "data": {"a": "b"}}
                group.create_task(client.call("POST", path, body))
                due += 1 / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))

    if not rate:
        yield
        return
    task = asyncio.create_task(write())
    await asyncio.sleep(1)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _namespace(number: int) -> str:
    return f"bench-{number:04d}"
