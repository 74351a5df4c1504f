"""Storms: many alerts for many models at once. Nothing is lost, and what they cost depends on the models alone.

A critical incident that arrives while a storm is worked off is contained nearly as fast as an idle one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Iterator

import aiohttp
import pytest

from tests.bench.alerts import CRITICAL, firing, webhook
from tests.bench.clearing import clear
from tests.bench.client import BareClient
from tests.bench.figures import keep, percentile, summary
from tests.bench.observer import Observer
from tests.bench.scrape import LAG_SECONDS
from tests.bench.stage import Bench, post, setting, staged, until_armed
from tests.bench.storm_floor import storm_floor
from tests.bench.storms import Cell, Result, Shape, throw

MODELS = setting("STORM_MODELS", 100)
ALERTS = setting("STORM_ALERTS", 10_000)
IDLE = setting("STORM_IDLE", 30)
PROBES = setting("STORM_PROBES", 10)
MOST_WRITES = 100
"""For one model. An incident takes 64 alerts, and each may have come by itself."""
RUNS = setting("STORM_RUNS", 5)
"""Of the storms with the most alerts in one request. All others come once: those of many requests take minutes."""
_SHAPES: tuple[Shape, ...] = ("fat", "small", "twins")

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]


def cells() -> list[Cell]:
    """From few to many; the shapes for the most."""
    amounts = sorted({n for n in (100, 1000, ALERTS) if n <= ALERTS})
    models = sorted({m for m in (1, 10, 100, MODELS) if m <= MODELS})
    found = {Cell(n, m, "fat") for n in amounts for m in models if m <= n}
    found |= {Cell(ALERTS, min(MODELS, 100), shape) for shape in _SHAPES}
    if wanted := os.environ.get("LAZARETTO_BENCH_STORM_SHAPES"):
        found = {cell for cell in found if cell.shape in wanted.split(",") and cell.alerts == ALERTS}
    return sorted(found, key=lambda c: (c.shape, c.alerts, c.models))


def runs() -> list[list[Cell]]:
    """The storms of each run, in an order of chance."""
    every = cells()
    largest = [cell for cell in every if cell.shape == "fat" and cell.alerts == ALERTS]
    return [random.sample(each, len(each)) for each in (every, *([largest] * (RUNS - 1)))]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with staged(tmp_path_factory.mktemp("storm"), [*map(_model, range(MODELS)), *map(_probe, range(PROBES))]) as bench:
        yield bench


def test_storms_lose_nothing_and_cost_what_their_models_cost(bench: Bench) -> None:
    idle, results = asyncio.run(_measure(bench))
    for result in results:
        print(
            f"{result.cell}: last {max(result.contained):.2f} s, answered {result.answered:.2f} s,"
            f" floor {result.floor:.2f} s, lag {result.lag:.2f} s, lost {result.lost}, flagged {result.flagged},"
            f" wrong {result.wrong}, uncounted {result.uncounted}, early {result.early},"
            f" writes {sum(result.writes.values())},"
            f" critical {[round(c * 1000) for c in result.critical]} ms,"
            f" stored {[round(c * 1000) for c in result.critical_stored]} ms, cpu {result.cpu}, peak {result.peak}"
        )
    print("idle", summary(idle))
    keep("storm", {"idle": summary(idle), "cells": [result.dump() for result in results]})
    assert [r.cell for r in results if r.lost or r.wrong or r.uncounted or r.early] == []
    for result in results:
        concerned = result.cell.models + len(result.critical)
        assert sum(result.writes.values()) <= MOST_WRITES * concerned, (result.cell, result.writes)


async def _measure(bench: Bench) -> tuple[list[float], list[Result]]:
    breaker = bench.plane.user_kubeconfig("breaker", groups=("system:masters", "lazaretto:break-glass"))
    async with BareClient(bench.plane.kubeconfig) as client, BareClient(breaker) as glass:
        await until_armed(client)
        observer = Observer(client)
        await observer.start()
        idle = await _idle(bench, client, glass, observer)
        results: list[Result] = []
        for run in runs():
            for cell in run:
                names = list(map(_model, range(cell.models)))
                probes = list(map(_probe, range(PROBES)))
                floor = await storm_floor(client, glass, bench, namespaces=names)
                # What the operator tells of its lag must not be of before.
                await asyncio.sleep(LAG_SECONDS + 1)
                observer.forget()
                results.append(
                    await throw(cell, bench=bench, client=client, observer=observer, namespaces=names, probes=probes)
                )
                results[-1].floor = floor
                print(f"{cell}: {max(results[-1].contained):.2f} s", flush=True)
                await clear(client, glass, [*names, *probes])
                await asyncio.sleep(5)
        await observer.stop()
    return idle, results


async def _idle(bench: Bench, client: BareClient, glass: BareClient, observer: Observer) -> list[float]:
    """The same critical incidents, one after the other, with nothing beside them."""
    loop = asyncio.get_running_loop()
    samples: list[float] = []
    async with aiohttp.ClientSession() as sender:
        while len(samples) < IDLE:
            probes = list(map(_probe, range(min(PROBES, IDLE - len(samples)))))
            for name in probes:
                await asyncio.sleep(random.uniform(0.8, 1.2))
                body = json.dumps(webhook([firing(name, severity=CRITICAL)])).encode()
                began = loop.time()
                await post(sender, bench, body)
                samples.append(await observer.contained(name) - began)
            await clear(client, glass, probes)
            observer.forget()
            await asyncio.sleep(2)
    print(f"idle: p50 {percentile(samples, 0.5) * 1000:.1f} ms, p99 {percentile(samples, 0.99) * 1000:.1f} ms")
    return samples


def _model(number: int) -> str:
    return f"bench-{number:04d}"


def _probe(number: int) -> str:
    return f"probe-{number:04d}"
