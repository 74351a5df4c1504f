"""Puts models back to where they were before a storm, by the documented way out.

The incidents are deleted, and break-glass marks every hold for release, so that the operator itself restores.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from tests.bench.client import BareClient
from tests.bench.observer import BAD
from tests.bench.world import MODEL

API = "/apis/lazaretto.dev/v1alpha1"
_PATCH = "application/json-patch+json"


async def clear(admin: BareClient, breaker: BareClient, namespaces: Collection[str], *, seconds: float = 300.0) -> None:
    """End all incidents of these namespaces without a trace; `breaker` belongs to the break-glass group."""
    gate = asyncio.Semaphore(8)
    deadline = time.monotonic() + seconds
    await asyncio.gather(*(_clear(admin, breaker, namespace, gate=gate) for namespace in namespaces))
    while True:
        held = await admin.call("GET", f"{API}/containments")
        deployments = await admin.call("GET", "/apis/apps/v1/deployments")
        left = {item["metadata"]["namespace"] for item in held["items"]}
        left |= {
            item["metadata"]["namespace"]
            for item in deployments["items"]
            if item["metadata"]["name"] == BAD and (item.get("status") or {}).get("readyReplicas", 0) != 1
        }
        left &= set(namespaces)
        if not left:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"still held: {sorted(left)[:5]} and {len(left)} in all")
        await asyncio.sleep(0.5)


async def _clear(admin: BareClient, breaker: BareClient, namespace: str, *, gate: asyncio.Semaphore) -> None:
    async with gate:
        await admin.call("DELETE", f"{API}/namespaces/{namespace}/aiincidents")
        while True:
            found = await admin.call("GET", f"{API}/namespaces/{namespace}/containments")
            holds = [hold for item in found["items"] for hold in item["spec"]["holds"]]
            if not holds:
                return
            path = f"{API}/namespaces/{namespace}/containments/{MODEL}"
            marks = [{"op": "add", "path": f"/spec/holds/{i}/releasing", "value": True} for i in range(len(holds))]
            try:
                await breaker.call("PATCH", path, marks, content_type=_PATCH)
            except RuntimeError:
                # The operator has written or removed it meanwhile.
                await asyncio.sleep(0.2)
                continue
            return
