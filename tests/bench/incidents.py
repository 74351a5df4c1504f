"""One incident at a time, and the floor beside it.

The floor is a bare keep-alive TLS client that POSTs an incident and then PATCHes a scale: what no software on top of
this API server could undercut. The machine's speed drifts, so both are measured in turn in the same run. While the
floor is measured the operator is stopped (SIGSTOP), so that it does not compete for what the floor creates.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from tests.bench.alerts import firing, webhook
from tests.bench.clearing import API
from tests.bench.client import BareClient
from tests.bench.observer import Observer
from tests.bench.stage import Bench, post
from tests.bench.world import MODEL

FLOOR = "floor"
_SCALE = f"/apis/apps/v1/namespaces/{FLOOR}/deployments/{MODEL}-v2/scale"


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds from the moment before the webhook was sent."""

    answered: float
    contained: float


async def one_incident(bench: Bench, observer: Observer, namespace: str, *, sender: aiohttp.ClientSession) -> Sample:
    """Send one alert about a model, and wait until the last of its containment's writes was seen."""
    body = json.dumps(webhook([firing(namespace)])).encode()
    sent = time.perf_counter()
    answered = await post(sender, bench, body)
    return Sample(answered - sent, await observer.contained(namespace, seconds=180) - sent)


async def floor_block(client: BareClient, bench: Bench, samples: list[float], *, count: int) -> None:
    """Add `count` samples: POST an incident, PATCH a scale; the operator stands still meanwhile."""
    bench.operator.freeze()
    try:
        for _ in range(count):
            await asyncio.sleep(random.uniform(0.02, 0.05))
            body = bare_incident(f"floor-{time.time_ns()}")
            replicas = {"spec": {"replicas": len(samples) % 2}}
            started = time.perf_counter()
            await client.call("POST", f"{API}/namespaces/{FLOOR}/aiincidents", body)
            await client.call("PATCH", _SCALE, replicas, content_type="application/merge-patch+json")
            samples.append(time.perf_counter() - started)
    finally:
        bench.operator.thaw()
    # What piled up meanwhile is worked off before anything else is measured.
    await asyncio.sleep(1.5)


def bare_incident(name: str) -> dict[str, Any]:
    """The least that can be stored: one alert, and no target, so that nothing is done about it."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    alert = {"fingerprint": "ab12", "name": "Leak", "startsAt": moment, "receivedAt": moment}
    return {
        "apiVersion": "lazaretto.dev/v1alpha1",
        "kind": "AIIncident",
        "metadata": {"name": name},
        "spec": {"source": {"type": "Tool"}, "category": "DataLeakage", "alerts": [alert]},
    }
