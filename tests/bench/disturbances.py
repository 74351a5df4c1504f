"""What goes on for longer than one incident: watches that break, an API server that restarts, a tool that reverts.

Each returns seconds, one figure for each incident or revert.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import aiohttp

from tests.bench.blows import SHIFT, Place
from tests.bench.client import BareClient
from tests.bench.observer import BAD
from tests.bench.outages import Chopped, Gone
from tests.faults.faults import REACHED_SECONDS

CUT_SECONDS = 0.1
REVERT_SECONDS = 2.0
PAUSE = 0.4
"""Between two incidents."""
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_POLL = 0.01


async def chopped(place: Place, namespaces: Sequence[str]) -> list[float]:
    """The watch on incidents is cut every 100 ms all the time: from the receiver's answer to the scale at zero."""
    found: list[float] = []
    with place.proxy.befallen(Chopped(place.proxy, every=CUT_SECONDS)) as fault:
        assert await asyncio.to_thread(fault.reached.wait, REACHED_SECONDS), "no watch was opened"
        for namespace in namespaces:
            await asyncio.sleep(PAUSE)
            stored = await place.report(namespace)
            found.append(await place.observer.scaled(namespace) - stored)
        assert fault.cuts > len(namespaces), "the watch was not cut"
    return found


async def gone(place: Place, namespaces: Sequence[str]) -> list[float]:
    """In the place of the incident the watch says 410 Gone: from then to the scale at zero."""
    found: list[float] = []
    with place.proxy.befallen(Gone(namespaces)) as fault:
        assert await asyncio.to_thread(fault.reached.wait, REACHED_SECONDS), "no watch was opened"
        for namespace in namespaces:
            await asyncio.sleep(PAUSE)
            await place.report(namespace)
            seen = await place.observer.scaled(namespace)
            found.append(seen - SHIFT - fault.said[namespace])
    return found


async def reverted(place: Place, client: BareClient, namespace: str, *, count: int) -> list[float]:
    """A tool applies the replicas that lie in Git every 2 s: from its answer to the scale at zero again."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    query = "?fieldManager=argocd-controller&force=true"
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": BAD}, "spec": {"replicas": 1}}
    # Where admission refuses it, no tool can revert.
    await unfence(client, namespace)
    await asyncio.sleep(1)
    await place.report(namespace)
    await place.observer.scaled(namespace)
    listed = await client.call("GET", path)
    seen: asyncio.Queue[tuple[float, int]] = asyncio.Queue()

    async def watch() -> None:
        async for event in client.watch(path, version=listed["metadata"]["resourceVersion"]):
            if event["object"]["metadata"]["name"] == BAD:
                seen.put_nowait((time.perf_counter(), event["object"]["spec"]["replicas"]))

    watching = asyncio.create_task(watch())
    found: list[float] = []
    try:
        for _ in range(count):
            await asyncio.sleep(REVERT_SECONDS)
            while not seen.empty():
                seen.get_nowait()
            await client.call("PATCH", f"{path}/{BAD}{query}", body, content_type=_APPLY)
            applied = time.perf_counter()
            found.append(await _undone(seen) - applied)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return found


async def _undone(seen: asyncio.Queue[tuple[float, int]]) -> float:
    up = False
    while True:
        at, replicas = await asyncio.wait_for(seen.get(), 60)
        if up and replicas == 0:
            return at
        up = up or replicas > 0


async def restarted(place: Place, client: BareClient, namespaces: Sequence[str]) -> dict[str, float]:
    """The API server is killed when incidents are stored, and started: from its start to each scale at zero.

    Beside them, under the empty name, until it is ready. No watch lasts that long, so both are asked for every 10 ms.
    """
    plane, operator = place.bench.plane, place.bench.operator
    operator.freeze()
    for namespace in namespaces:
        await place.report(namespace)
    await asyncio.to_thread(plane.stop_apiserver)
    operator.thaw()
    began = time.perf_counter()
    starting = asyncio.create_task(asyncio.to_thread(plane.start_apiserver))
    while not await _answers(client, "/readyz"):
        await asyncio.sleep(_POLL)
    ready = time.perf_counter()
    zero = await asyncio.gather(*(_at_zero(client, namespace) for namespace in namespaces))
    await starting
    return {"": ready - began} | {name: at - began for name, at in zip(namespaces, zero, strict=True)}


async def unfence(client: BareClient, namespace: str) -> None:
    """Admission refuses nothing there."""
    off = {"metadata": {"labels": {"lazaretto.dev/fence": "off"}}}
    await client.call("PATCH", f"/api/v1/namespaces/{namespace}", off, content_type=_MERGE)


async def _at_zero(client: BareClient, namespace: str) -> float:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{BAD}/scale"
    async with asyncio.timeout(120):
        while (await client.call("GET", path))["spec"].get("replicas", 0):
            await asyncio.sleep(_POLL)
    return time.perf_counter()


async def _answers(client: BareClient, path: str) -> bool:
    try:
        await client.raw(path)
    except (aiohttp.ClientError, RuntimeError):
        return False
    return True
