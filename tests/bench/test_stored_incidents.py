"""Thousands of incidents of the past: what they cost an operator that has nothing to do, and one that starts."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.bench.alerts import firing, webhook
from tests.bench.archive import fill
from tests.bench.clearing import API, clear
from tests.bench.client import BareClient
from tests.bench.figures import keep
from tests.bench.footprint import Footprint
from tests.bench.incidents import floor_block, one_incident
from tests.bench.listing import pages_asked, weighed
from tests.bench.observer import Observer
from tests.bench.stage import SYSTEM, Bench, post, setting, staged, until_armed

STORED = setting("STORED", 10_000)
IDLE_SECONDS = setting("STORED_IDLE_SECONDS", 120)
MODELS = setting("STORED_MODELS", 10)
RESTARTS = setting("STORED_RESTARTS", 4)
SINGLES = setting("STORED_SINGLES", 20)
_SPENT = 2 * (RESTARTS + SINGLES) + 1
"""Models of which something is contained, beside those that have a past."""
_OPERATOR = f"system:serviceaccount:{SYSTEM}:lazaretto-operator"

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with staged(tmp_path_factory.mktemp("stored"), map(_model, range(MODELS + _SPENT))) as bench:
        yield bench


def test_stored_incidents_cost_nothing_while_nothing_happens(bench: Bench) -> None:
    figures = asyncio.run(_measure(bench))
    print(json.dumps(figures, indent=2))
    keep("stored", figures)


async def _measure(bench: Bench) -> dict[str, Any]:
    async with BareClient(bench.plane.kubeconfig) as client, aiohttp.ClientSession() as sender:
        await until_armed(client)
        observer = Observer(client)
        await observer.start()
        fresh = iter(map(_model, range(MODELS, MODELS + _SPENT)))
        without = await _state(bench)
        pattern = await _pattern(client, sender, bench, observer, next(fresh))
        without |= await _singles(client, sender, bench, observer, fresh)
        without["restart"] = await _restarts(client, sender, bench, observer, fresh)
        # Both times nothing is held.
        breaker = bench.plane.user_kubeconfig("breaker", groups=("system:masters", "lazaretto:break-glass"))
        async with BareClient(breaker) as glass:
            await clear(client, glass, list(map(_model, range(MODELS, MODELS + 1 + SINGLES + RESTARTS))))
        # What it would find open, before it is said to be closed, it would contain.
        bench.operator.stop()
        began = time.monotonic()
        account = bench.plane.service_account_kubeconfig(SYSTEM, "lazaretto-operator")
        async with BareClient(account) as operator:
            names = list(map(_model, range(MODELS)))
            size = await fill(client, operator, pattern=pattern, namespaces=names, count=STORED)
        print(f"stored {STORED} incidents, {size} bytes, in {time.monotonic() - began:.0f} s", flush=True)
        bench.operator.start()
        await asyncio.sleep(40)
        stored = await _state(bench)
        stored |= await _singles(client, sender, bench, observer, fresh)
        stored["restart"] = await _restarts(client, sender, bench, observer, fresh)
        await observer.stop()
    return {"stored": STORED, "listBytes": size, "idleSeconds": IDLE_SECONDS, "none": without, "many": stored}


async def _pattern(
    client: BareClient, sender: aiohttp.ClientSession, bench: Bench, observer: Observer, namespace: str
) -> dict[str, Any]:
    """An incident as it is when its model is held."""
    await post(sender, bench, json.dumps(webhook([firing(namespace)])).encode())
    await observer.contained(namespace)
    await asyncio.sleep(5)
    found = await client.call("GET", f"{API}/namespaces/{namespace}/aiincidents")
    pattern: dict[str, Any] = found["items"][0]
    return {"apiVersion": found["apiVersion"], "kind": "AIIncident", **pattern}


async def _state(bench: Bench) -> dict[str, Any]:
    """Memory, processor time and calls of an idle while."""
    mark = bench.plane.audit.mark()
    before = {name: Footprint.of(pid) for name, pid in _pids(bench).items()}
    await asyncio.sleep(IDLE_SECONDS)
    after = {name: Footprint.of(pid) for name, pid in _pids(bench).items()}
    calls = Counter(f"{r.verb} {r.resource}" for r in bench.plane.audit.since(mark, users=[_OPERATOR]))
    return {
        name: {
            "cores": (after[name].cpu_seconds - before[name].cpu_seconds) / IDLE_SECONDS,
            "resident": after[name].resident,
            "peak": after[name].peak,
        }
        for name in after
    } | {"calls": dict(calls.most_common(12))}


async def _singles(
    client: BareClient, sender: aiohttp.ClientSession, bench: Bench, observer: Observer, fresh: Iterator[str]
) -> dict[str, list[float]]:
    """Seconds from POST to containment of incidents that come one by one, and the floor before and after them."""
    found: list[float] = []
    floor: list[float] = []
    await floor_block(client, bench, floor, count=SINGLES)
    for _ in range(SINGLES):
        await asyncio.sleep(1)
        found.append((await one_incident(bench, observer, next(fresh), sender=sender)).contained)
    await floor_block(client, bench, floor, count=SINGLES)
    return {"single": found, "floor": floor}


async def _restarts(
    client: BareClient, sender: aiohttp.ClientSession, bench: Bench, observer: Observer, fresh: Iterator[str]
) -> dict[str, Any]:
    """Seconds from a killed operator's start until it is ready, and until an incident of meanwhile is contained.

    Also the pages in which it read the incidents that there were, the last time.
    """
    ready: list[float] = []
    contained: list[float] = []
    pages: list[str] = []
    for _ in range(RESTARTS):
        namespace = next(fresh)
        bench.operator.kill()
        await post(sender, bench, json.dumps(webhook([firing(namespace)])).encode())
        mark = bench.plane.audit.mark()
        began = time.perf_counter()
        starting = asyncio.create_task(asyncio.to_thread(bench.operator.start))
        contained.append(await observer.contained(namespace, seconds=180) - began)
        await starting
        ready.append(time.perf_counter() - began)
        await asyncio.sleep(5)
        pages = pages_asked(bench.plane.audit, mark, user=_OPERATOR)
    return {"ready": ready, "contained": contained, "read": await weighed(client, pages)}


def _pids(bench: Bench) -> dict[str, int]:
    return {"operator": bench.operator.pid, "receiver": bench.receiver.pid}


def _model(number: int) -> str:
    return f"bench-{number:04d}"
