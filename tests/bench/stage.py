"""What runs: a control plane of its own with fsync on, and both processes under their service accounts."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.bench.client import BareClient
from tests.bench.outages import CuttingProxy
from tests.bench.world import furnish
from tests.cluster.binaries import gateway_crds
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operator import OperatorProcess
from tests.cluster.process import free_ports
from tests.cluster.receiver import ReceiverProcess

REPOSITORY = Path(__file__).parents[2]
SYSTEM = "lazaretto-system"
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer secret"}
_MODELS = "/apis/lazaretto.dev/v1alpha1/protectedmodels"


@dataclass(frozen=True, slots=True)
class Bench:
    """What runs."""

    plane: ControlPlane
    operator: OperatorProcess
    receiver: ReceiverProcess
    operator_metrics: str
    receiver_metrics: str
    """Where each of them serves its metrics."""
    proxy: CuttingProxy | None = None
    """Stands between the operator and the API server, if anything is to go wrong there."""


def setting(name: str, default: int) -> int:
    """A parameter of a run, from the environment: `LAZARETTO_BENCH_` and the name."""
    return int(os.environ.get(f"LAZARETTO_BENCH_{name}", str(default)))


@contextmanager
def staged(root: Path, namespaces: Iterable[str], *, proxied: bool = False) -> Iterator[Bench]:
    """A bench with one model in each of the namespaces."""
    names = list(namespaces)
    with ControlPlane(root / "plane", fsync=True, hpa_sync_seconds=15.0) as plane, ExitStack() as stack:
        plane.apply_definitions(*gateway_crds())
        plane.ensure_nodes(max(4, len(names) // 100))
        for folder in ("crds", "manifests/base"):
            plane.apply_folder(REPOSITORY / folder)
        asyncio.run(_furnish(plane, names))
        operator_account, receiver_account = (
            plane.service_account_kubeconfig(SYSTEM, name) for name in ("lazaretto-operator", "lazaretto-receiver")
        )
        proxy = stack.enter_context(CuttingProxy(operator_account, root / "proxied")) if proxied else None
        shown = [f"127.0.0.1:{port}" for port in free_ports(2)]
        operator = OperatorProcess(
            root / "operator",
            root / "proxied" if proxied else operator_account,
            flags=("--metrics-listen", shown[0]),
        )
        receiver = ReceiverProcess(
            root / "receiver",
            receiver_account,
            namespace=SYSTEM,
            tokens={"alertmanager": "secret"},
            flags=("--metrics-listen", shown[1]),
        )
        stack.enter_context(operator)
        stack.enter_context(receiver)
        told = [f"http://{each}/metrics" for each in shown]
        yield Bench(plane, operator, receiver, operator_metrics=told[0], receiver_metrics=told[1], proxy=proxy)


async def _furnish(plane: ControlPlane, namespaces: list[str]) -> None:
    started = time.monotonic()
    async with BareClient(plane.kubeconfig) as client:
        await furnish(client, [*namespaces, "floor"])
    print(f"furnished {len(namespaces)} models in {time.monotonic() - started:.0f} s", flush=True)


async def until_armed(client: BareClient, *, rest: float = 10.0) -> None:
    """Wait until every model could be answered; then let the machine come to rest."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        found = await client.call("GET", _MODELS)
        armed = sum((m.get("status") or {}).get("state") == "Armed" for m in found["items"])
        if armed == len(found["items"]):
            await asyncio.sleep(rest)
            return
        await asyncio.sleep(2)
    raise TimeoutError(f"{armed} of {len(found['items'])} models armed")


async def post(sender: aiohttp.ClientSession, bench: Bench, body: bytes) -> float:
    """Send one notification until it is taken, as Alertmanager does; when the answer was there."""
    while True:
        # A large body is sent by pieces, or it would keep the event loop that measures.
        async with sender.post(bench.receiver.webhook_url, data=io.BytesIO(body), headers=HEADERS) as answer:
            text = await answer.text()
            if answer.status == 200:
                return time.perf_counter()
            assert answer.status == 503, text
        await asyncio.sleep(0.5)
