"""After a fault between the operator and the API server: how long until the model is out of service.

That it comes about, exactly once and with a true status, is proved by `tests/faults`. Here it is measured, with the
operator behind the same proxy. The faults come in an order of chance, each once in a round.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import aiohttp
import pytest

from tests.bench.blows import BLOWS, Place
from tests.bench.client import BareClient
from tests.bench.disturbances import PAUSE, chopped, gone, restarted, reverted, unfence
from tests.bench.figures import keep, summary
from tests.bench.observer import Observer
from tests.bench.stage import Bench, setting, staged, until_armed

SAMPLES = setting("FAULT_SAMPLES", 10)
CHOPPED = "the watch is cut every 100 ms, from the receiver's answer on"
GONE = "the watch says 410 in the place of the incident"
REVERTED = "a GitOps tool reverts the scale every 2 s"
READY = "the API server is killed and started: until it is ready"
RESTARTED = "the same, until the scale is at zero, without a fence"
FENCED = "the same, with a fence, by which it may refuse everything for 30 s (ADR 9)"
_LONG = 4
"""Kinds of faults that take one model for each sample, beside those that strike once."""
_AT_ONCE = 5
"""Models of each kind that one restart of the API server meets: with a fence each takes half a minute."""

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    models = (len(BLOWS) + _LONG) * SAMPLES + 1
    with staged(tmp_path_factory.mktemp("faults"), map(_model, range(models)), proxied=True) as bench:
        yield bench


def test_a_model_is_contained_soon_after_a_fault(bench: Bench) -> None:
    series = asyncio.run(_measure(bench))
    rows = {name: summary(samples) for name, samples in series.items()}
    for name, row in rows.items():
        print(f"{name:90}" + "".join(f"{row[share]:>9.0f}" for share in ("n", "p50", "p90", "max")))
    keep("fault-latency", {"figures": rows})
    assert {name for name, samples in series.items() if len(samples) < SAMPLES} - {READY} == set()


async def _measure(bench: Bench) -> dict[str, list[float]]:
    assert bench.proxy is not None
    fresh = iter(map(_model, range(10**6)))
    series: dict[str, list[float]] = {name: [] for name in BLOWS}
    async with BareClient(bench.plane.kubeconfig) as client, aiohttp.ClientSession() as sender:
        await until_armed(client, rest=5.0)
        observer = Observer(client)
        await observer.start()
        place = Place(bench, bench.proxy, observer, sender)
        for _ in range(SAMPLES):
            for name in random.sample(list(BLOWS), len(BLOWS)):
                await asyncio.sleep(random.uniform(PAUSE, 2 * PAUSE))
                series[name].append(await BLOWS[name](place, next(fresh)))
        series[CHOPPED] = await chopped(place, [next(fresh) for _ in range(SAMPLES)])
        series[GONE] = await gone(place, [next(fresh) for _ in range(SAMPLES)])
        series[REVERTED] = await reverted(place, client, next(fresh), count=SAMPLES)
        await observer.stop()
        series |= await _restarts(place, client, fresh)
    return series


async def _restarts(place: Place, client: BareClient, fresh: Iterator[str]) -> dict[str, list[float]]:
    series: dict[str, list[float]] = {READY: [], RESTARTED: [], FENCED: []}
    while len(series[FENCED]) < SAMPLES:
        names = [next(fresh) for _ in range(2 * min(_AT_ONCE, SAMPLES - len(series[FENCED])))]
        for name in names[::2]:
            await unfence(client, name)
        await asyncio.sleep(1)
        found = await restarted(place, client, names)
        series[READY].append(found[""])
        series[RESTARTED] += [found[name] for name in names[::2]]
        series[FENCED] += [found[name] for name in names[1::2]]
    return series


def _model(number: int) -> str:
    return f"bench-{number:04d}"
