"""One storm: alerts thrown at the receiver in one of several shapes, and what became of them."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import aiohttp

from tests.bench.alerts import CRITICAL, firing, portions, storm, webhook
from tests.bench.clearing import API
from tests.bench.client import BareClient
from tests.bench.footprint import Footprint
from tests.bench.observer import Observer
from tests.bench.scrape import LagWatch, scraped
from tests.bench.stage import SYSTEM, Bench, post
from tests.bench.storm_floor import CONNECTIONS
from tests.bench.tally import tally, told
from tests.cluster.audit import Mark

Shape = Literal["fat", "small", "twins"]
_SAMPLED = 20
_BETWEEN = 0.3
"""Seconds from the beginning, or from the containment of a critical incident, to the next critical one."""
_WRITES = ("create", "patch", "update", "delete")
_OURS = tuple(f"system:serviceaccount:{SYSTEM}:lazaretto-{name}" for name in ("operator", "receiver"))


@dataclass(frozen=True, slots=True)
class Cell:
    """What is thrown: one fat POST, many small ones over 32 connections, or two peers that both send all."""

    alerts: int
    models: int
    shape: Shape

    def __str__(self) -> str:
        """As tables show it."""
        return f"{self.alerts} alerts, {self.models} models, {self.shape}"


@dataclass(slots=True)
class Result:
    """Seconds from the first byte, counts, and bytes."""

    cell: Cell
    answered: float = 0.0
    contained: list[float] = field(default_factory=list)
    critical: list[float] = field(default_factory=list)
    """Of incidents that arrived while the storm was worked off, one at a time: seconds from POST to containment."""
    critical_stored: list[float] = field(default_factory=list)
    """Of the same, seconds until the receiver had answered: the rest is the operator's."""
    floor: float = 0.0
    """Seconds that a bare client took just before for the least that must be written for so many models."""
    lag: float = 0.0
    """The longest that the operator's event loop was late."""
    lost: int = 0
    flagged: int = 0
    """Alerts that are told by the flag of a full list alone; see `tally`."""
    wrong: int = 0
    """Alerts that are listed twice, or that nobody sent."""
    uncounted: int = 0
    """Alerts that were sent and answered, and that the receiver has not counted."""
    early: int = 0
    """Sampled answers 200 whose alert was not stored at that moment."""
    writes: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    cpu: dict[str, float] = field(default_factory=dict)
    peak: dict[str, int] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


async def throw(
    cell: Cell,
    *,
    bench: Bench,
    client: BareClient,
    observer: Observer,
    namespaces: Sequence[str],
    probes: Sequence[str],
) -> Result:
    """Throw it at fresh models, wait until all are contained, and count. `probes` are free for critical incidents."""
    result = Result(cell)
    alerts = storm(list(namespaces[: cell.models]), alerts=cell.alerts)
    parts = _parts(alerts, cell)
    bodies = [json.dumps(webhook(part)).encode() for part in parts]
    mark = bench.plane.audit.mark()
    before = _footprints(bench)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with (
        aiohttp.ClientSession(connector=connector) as sender,
        aiohttp.ClientSession() as other,
        LagWatch.over(bench.operator_metrics) as lag,
    ):
        counted = await _counted(other, bench)
        began = time.perf_counter()
        sending = asyncio.create_task(_send_all(sender, bench, bodies, client=client, result=result))
        over = asyncio.Event()
        critical = asyncio.create_task(_criticals(other, bench, observer, probes=probes, over=over))
        concerned = sorted({alert["labels"]["namespace"] for alert in alerts})
        seen = [observer.contained(namespace, seconds=300) for namespace in concerned]
        result.contained = [moment - began for moment in await asyncio.gather(*seen)]
        result.answered = await sending - began
        over.set()
        outcomes = await critical
        result.critical_stored = [stored for stored, _ in outcomes]
        result.critical = [contained for _, contained in outcomes]
        await asyncio.sleep(3)
        sent = sum(map(len, parts)) + len(outcomes)
        result.uncounted = max(0, sent - int(await _counted(other, bench) - counted))
    result.lag = lag.longest
    await _account(client, alerts, result=result)
    _count(result, bench, mark, before=before)
    return result


def _parts(alerts: list[dict[str, Any]], cell: Cell) -> list[list[dict[str, Any]]]:
    if cell.shape == "fat":
        return [alerts]
    small = list(portions(alerts, size=max(1, cell.alerts // 1000)))
    random.shuffle(small)
    # Two peers of Alertmanager send the same, each in an order of its own.
    return small if cell.shape == "small" else [*small, *random.sample(small, len(small))]


async def _send_all(
    sender: aiohttp.ClientSession, bench: Bench, bodies: list[bytes], *, client: BareClient, result: Result
) -> float:
    gate = asyncio.Semaphore(CONNECTIONS)

    async def one(number: int, body: bytes) -> float:
        async with gate:
            answered = await post(sender, bench, body)
            if number % max(1, len(bodies) // _SAMPLED) == 0:
                alert = random.choice(json.loads(body)["alerts"])
                result.early += not await _stored(client, alert)
            return answered

    return max(await asyncio.gather(*(one(number, body) for number, body in enumerate(bodies))))


async def _criticals(
    sender: aiohttp.ClientSession, bench: Bench, observer: Observer, *, probes: Sequence[str], over: asyncio.Event
) -> list[tuple[float, float]]:
    """Of critical incidents, one at a time while the storm is worked off: seconds to be stored, and contained."""
    outcomes: list[tuple[float, float]] = []
    for namespace in probes:
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), _BETWEEN)
            break
        body = json.dumps(webhook([firing(namespace, severity=CRITICAL)])).encode()
        began = time.perf_counter()
        answered = await post(sender, bench, body)
        outcomes.append((answered - began, await observer.contained(namespace, seconds=300) - began))
    return outcomes


async def _stored(client: BareClient, alert: dict[str, Any]) -> bool:
    found = await client.call("GET", f"{API}/namespaces/{alert['labels']['namespace']}/aiincidents")
    return told(alert, incidents=found["items"])


async def _counted(session: aiohttp.ClientSession, bench: Bench) -> float:
    return await scraped(session, bench.receiver_metrics, name="lazaretto_receiver_alerts_total", way="webhook")


async def _account(client: BareClient, alerts: Sequence[dict[str, Any]], *, result: Result) -> None:
    found = (await client.call("GET", f"{API}/aiincidents"))["items"]
    account = tally(alerts, incidents=found, at_once=result.cell.shape == "fat")
    result.lost, result.flagged, result.wrong = account.lost, account.flagged, account.wrong


def _footprints(bench: Bench) -> dict[str, Footprint]:
    return {
        name: Footprint.of(process.pid)
        for name, process in (("operator", bench.operator), ("receiver", bench.receiver))
    }


def _count(result: Result, bench: Bench, mark: Mark, *, before: dict[str, Footprint]) -> None:
    writes: Counter[str] = Counter()
    for record in bench.plane.audit.since(mark, users=_OURS):
        if record.verb in _WRITES and not record.dry_run and record.resource != "selfsubjectaccessreviews":
            writes[f"{record.verb} {record.resource}{'/' if record.subresource else ''}{record.subresource}"] += 1
        result.refused += record.code == 429
    result.writes = dict(writes.most_common())
    after = _footprints(bench)
    result.cpu = {name: after[name].cpu_seconds - before[name].cpu_seconds for name in after}
    result.peak = {name: after[name].peak for name in after}
