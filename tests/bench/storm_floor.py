"""The floor of a storm: the least that must be written for so many models, by a bare client.

One incident and one scale for each, over as many connections as a storm has. What follows from the scales, the
controllers' work, is part of it. The operator is stopped meanwhile (SIGSTOP).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from tests.bench.clearing import API, clear
from tests.bench.client import BareClient
from tests.bench.incidents import bare_incident
from tests.bench.observer import BAD
from tests.bench.stage import Bench

CONNECTIONS = 32
_MERGE = "application/merge-patch+json"


async def storm_floor(client: BareClient, breaker: BareClient, bench: Bench, *, namespaces: Sequence[str]) -> float:
    """Seconds until the last model's scale was answered; afterwards all is as it was."""
    gate = asyncio.Semaphore(CONNECTIONS)

    async def scale(namespace: str, replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{BAD}/scale"
        await client.call("PATCH", path, {"spec": {"replicas": replicas}}, content_type=_MERGE)

    async def contain(namespace: str) -> None:
        async with gate:
            await client.call("POST", f"{API}/namespaces/{namespace}/aiincidents", bare_incident("floor"))
            await scale(namespace, 0)

    bench.operator.freeze()
    try:
        began = time.perf_counter()
        await asyncio.gather(*map(contain, namespaces))
        took = time.perf_counter() - began
        await asyncio.gather(*(scale(namespace, 1) for namespace in namespaces))
    finally:
        bench.operator.thaw()
    await clear(client, breaker, namespaces)
    return took
