"""An independent observer: its own watches, its own clock, no knowledge of the operator."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.bench.client import BareClient
from tests.bench.world import MODEL

_COLLECTIONS = {
    "scale": "/apis/apps/v1/deployments",
    "route": "/apis/gateway.networking.k8s.io/v1/httproutes",
    "autoscaler": "/apis/autoscaling/v2/horizontalpodautoscalers",
}
BAD = f"{MODEL}-v2"


class Observer:
    """Notes when each part of a namespace's containment was first seen."""

    def __init__(self, client: BareClient) -> None:
        self._client = client
        self._seen: dict[str, dict[str, float]] = {}
        self._complete: dict[str, asyncio.Event] = {}
        self._scaled: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the watches."""
        for part, path in _COLLECTIONS.items():
            listed = await self._client.call("GET", f"{path}?limit=1")
            version = listed["metadata"]["resourceVersion"]
            self._tasks.append(asyncio.create_task(self._watch(part, path, version)))

    async def stop(self) -> None:
        """Close them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def forget(self) -> None:
        """Begin anew: what was contained is contained no more."""
        self._seen.clear()
        self._complete.clear()
        self._scaled.clear()

    async def contained(self, namespace: str, *, seconds: float = 30.0) -> float:
        """When (perf_counter) the last of the containment's writes was seen."""
        event = self._complete.setdefault(namespace, asyncio.Event())
        await asyncio.wait_for(event.wait(), seconds)
        return max(self._seen[namespace].values())

    async def scaled(self, namespace: str, *, seconds: float = 30.0) -> float:
        """When (perf_counter) the bad revision was first seen at zero."""
        event = self._scaled.setdefault(namespace, asyncio.Event())
        await asyncio.wait_for(event.wait(), seconds)
        return self._seen[namespace]["scale"]

    async def _watch(self, part: str, path: str, version: str) -> None:
        async for event in self._client.watch(path, version=version):
            now = time.perf_counter()
            obj = event["object"]
            if _held(part, obj):
                namespace = obj["metadata"]["namespace"]
                seen = self._seen.setdefault(namespace, {})
                seen.setdefault(part, now)
                if part == "scale":
                    self._scaled.setdefault(namespace, asyncio.Event()).set()
                if len(seen) == len(_COLLECTIONS):
                    self._complete.setdefault(namespace, asyncio.Event()).set()


def _held(part: str, obj: dict[str, Any]) -> bool:
    spec = obj.get("spec") or {}
    if part == "scale":
        return bool(obj["metadata"]["name"] == BAD and spec.get("replicas") == 0)
    if part == "autoscaler":
        return bool(((spec.get("behavior") or {}).get("scaleUp") or {}).get("selectPolicy") == "Disabled")
    weights = {ref["name"]: ref.get("weight", 1) for rule in spec["rules"] for ref in rule["backendRefs"]}
    return bool(weights.get(BAD) == 0)
