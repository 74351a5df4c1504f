"""One incident at a time: webhook POST sent to last containment write seen, beside the floor.

The floor is a bare keep-alive TLS client that POSTs an incident and then PATCHes a scale: what
no software on top of this API server could undercut. Both are measured in turn in the same
run, because the machine's speed drifts. While the floor is measured the operator is stopped
(SIGSTOP), so that it does not compete for what the floor creates. Between two incidents there is
a second, in which controllers, status and proof of the one before come to rest; what was contained
before stays held, and is looked after all the time.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.bench.client import BareClient
from tests.bench.figures import report
from tests.bench.observer import Observer
from tests.bench.world import MODEL, furnish
from tests.cluster.binaries import gateway_crds
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operator import OperatorProcess
from tests.cluster.receiver import ReceiverProcess

INCIDENTS = int(os.environ.get("LAZARETTO_BENCH_INCIDENTS", "200"))
BLOCK = 20
BAR = 3.0
"""p50 at most three times the floor."""
_REPOSITORY = Path(__file__).parents[2]
_RESULTS = _REPOSITORY / ".build" / "bench" / "single-incident.json"
_SYSTEM = "lazaretto-system"
_INCIDENTS = "/apis/lazaretto.dev/v1alpha1/namespaces/{}/aiincidents"

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]


@dataclass(frozen=True, slots=True)
class Bench:
    """What runs."""

    plane: ControlPlane
    operator: OperatorProcess
    receiver: ReceiverProcess


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A control plane of its own with fsync on, and both processes under their service accounts."""
    root = tmp_path_factory.mktemp("bench")
    with ControlPlane(root / "plane", fsync=True, hpa_sync_seconds=15.0) as plane:
        plane.apply_definitions(*gateway_crds())
        plane.ensure_nodes(4)
        for folder in ("crds", "manifests/base"):
            plane.apply_folder(_REPOSITORY / folder)
        asyncio.run(_furnish(plane))
        accounts = {name: plane.service_account_kubeconfig(_SYSTEM, name) for name in _ACCOUNTS}
        operator = OperatorProcess(root / "operator", accounts["lazaretto-operator"])
        receiver = ReceiverProcess(
            root / "receiver", accounts["lazaretto-receiver"], namespace=_SYSTEM, tokens={"alertmanager": "secret"}
        )
        with operator, receiver:
            yield Bench(plane, operator, receiver)


_ACCOUNTS = ("lazaretto-operator", "lazaretto-receiver")


async def _furnish(plane: ControlPlane) -> None:
    started = time.monotonic()
    async with BareClient(plane.kubeconfig) as client:
        await furnish(client, [*map(_namespace, range(INCIDENTS)), "floor"])
    print(f"furnished {INCIDENTS} models in {time.monotonic() - started:.0f} s")


def test_an_incident_is_contained_within_three_floors(bench: Bench) -> None:
    series = asyncio.run(_measure(bench))
    rows = report(f"{INCIDENTS} single incidents", series, floor="floor", to=_RESULTS)
    assert rows["alert to containment"]["p50"] <= BAR * rows["floor"]["p50"]


async def _measure(bench: Bench) -> dict[str, list[float]]:
    series: dict[str, list[float]] = {"floor": [], "alert to containment": [], "of it: answer of the receiver": []}
    async with BareClient(bench.plane.kubeconfig) as client, aiohttp.ClientSession() as sender:
        await _until_armed(client)
        observer = Observer(client)
        await observer.start()
        gc.disable()  # a collection of this process is none of the measured
        for first in range(0, INCIDENTS, BLOCK):
            numbers = list(range(first, min(first + BLOCK, INCIDENTS)))
            random.shuffle(numbers)
            await _floor_block(client, bench, series["floor"])
            for number in numbers:
                await asyncio.sleep(random.uniform(0.8, 1.2))
                sent, answered, seen = await _incident(sender, bench, observer, number)
                series["alert to containment"].append(seen - sent)
                series["of it: answer of the receiver"].append(answered - sent)
            print(f"{first + len(numbers)} of {INCIDENTS}", flush=True)
        gc.enable()
        await observer.stop()
    return series


async def _floor_block(client: BareClient, bench: Bench, samples: list[float]) -> None:
    """POST an incident, PATCH a scale; the operator stands still meanwhile."""
    bench.operator.freeze()
    try:
        for _ in range(BLOCK):
            await asyncio.sleep(random.uniform(0.02, 0.05))
            name = f"floor-{time.time_ns()}"
            started = time.perf_counter()
            await client.call("POST", _INCIDENTS.format("floor"), _bare_incident(name))
            await client.call(
                "PATCH",
                f"/apis/apps/v1/namespaces/floor/deployments/{MODEL}-v2/scale",
                {"spec": {"replicas": len(samples) % 2}},
                content_type="application/merge-patch+json",
            )
            samples.append(time.perf_counter() - started)
    finally:
        bench.operator.thaw()
    # What piled up meanwhile is worked off before anything else is measured.
    await asyncio.sleep(1.5)


async def _incident(
    sender: aiohttp.ClientSession, bench: Bench, observer: Observer, number: int
) -> tuple[float, float, float]:
    namespace = _namespace(number)
    body = json.dumps(_webhook(namespace)).encode()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer secret"}
    sent = time.perf_counter()
    async with sender.post(bench.receiver.webhook_url, data=body, headers=headers) as answer:
        await answer.read()
        answered = time.perf_counter()
        assert answer.status == 200, await answer.text()
    return sent, answered, await observer.contained(namespace)


async def _until_armed(client: BareClient) -> None:
    """Wait until every model could be answered; then let the machine come to rest."""
    deadline = time.monotonic() + 300
    path = "/apis/lazaretto.dev/v1alpha1/protectedmodels"
    while time.monotonic() < deadline:
        found = await client.call("GET", path)
        armed = sum((m.get("status") or {}).get("state") == "Armed" for m in found["items"])
        if armed == len(found["items"]):
            await asyncio.sleep(10)
            return
        await asyncio.sleep(2)
    raise TimeoutError(f"{armed} of {len(found['items'])} models armed")


def _namespace(number: int) -> str:
    return f"bench-{number:04d}"


def _bare_incident(name: str) -> dict[str, Any]:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    alert = {"fingerprint": "ab12", "name": "Leak", "startsAt": moment, "receivedAt": moment}
    return {
        "apiVersion": "lazaretto.dev/v1alpha1",
        "kind": "AIIncident",
        "metadata": {"name": name},
        "spec": {"source": {"type": "Tool"}, "category": "DataLeakage", "alerts": [alert]},
    }


def _webhook(namespace: str) -> dict[str, Any]:
    labels = {
        "alertname": "GuardrailOutputLeak",
        "namespace": namespace,
        "ai_incident": "true",
        "ai_model": MODEL,
        "ai_category": "DataLeakage",
    }
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "answers contain personal data"},
        "startsAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{int(namespace[6:]):016x}",
    }
    return {
        "version": "4",
        "groupKey": f"{{}}:{namespace}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "lazaretto",
        "groupLabels": {},
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": [alert],
    }
