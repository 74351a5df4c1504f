"""`lazaretto operator`: the process that contains and releases."""

from __future__ import annotations

import argparse
import socket
from contextlib import AsyncExitStack

from lazaretto.cli import process
from lazaretto.cli.metrics_flag import add_metrics_flag, metrics_address
from lazaretto.domain.election import Pace
from lazaretto.engine.census import Census
from lazaretto.engine.clock import SystemClock
from lazaretto.engine.election import LEASE, Election
from lazaretto.engine.engine import Engine
from lazaretto.engine.leadership import Leadership
from lazaretto.errors import ConfigurationError
from lazaretto.kopf_app.operator import run as run_kopf
from lazaretto.kopf_app.pulse import Pulse
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.transport import AioTransport, connect
from lazaretto.receiver.settings import Address
from lazaretto.signals.prometheus import Prometheus
from lazaretto.telemetry.endpoint import serving
from lazaretto.telemetry.metrics import Metrics

SHORTEST_LEASE = 3
"""Whatever is shorter is lost to the first slow answer."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the operator."""
    parser.add_argument("--kubeconfig", default="", help="kubeconfig file; default: KUBECONFIG, else the pod's account")
    parser.add_argument(
        "--liveness", default="", metavar="URL", help="serve liveness here, such as http://0.0.0.0:8080/healthz"
    )
    add_metrics_flag(parser)
    parser.add_argument(
        "--prometheus-url",
        default="",
        metavar="URL",
        help="ask this Prometheus since when an alert was pending, and whether a revision carries traffic",
    )
    parser.add_argument("--namespace-label", default="namespace", help="label that carries an alert's namespace")
    parser.add_argument(
        "--identity",
        default="",
        metavar="NAME",
        help="who this replica is: no other may have that name, and one that ran under it before is dead;"
        " default: the host's name, which is the pod's",
    )
    parser.add_argument(
        "--lease",
        default=LEASE,
        metavar="NAME",
        help=f"Lease of this namespace by which replicas elect; default: {LEASE}",
    )
    parser.add_argument(
        "--lease-seconds",
        default=Pace().lease,
        type=int,
        metavar="N",
        help=f"how long others wait for a leader that is not heard of; default: {Pace().lease}",
    )


def run(args: argparse.Namespace) -> int:
    """Run the operator until it is told to stop."""
    listen = metrics_address(args)
    if args.lease_seconds < SHORTEST_LEASE:
        raise ConfigurationError(f"--lease-seconds {args.lease_seconds}: at least {SHORTEST_LEASE}")
    process.run(_run(args, listen))
    return 0


async def _run(args: argparse.Namespace, listen: Address | None) -> None:
    url = args.prometheus_url
    prometheus = Prometheus(url, namespace_label=args.namespace_label) if url else None
    onset, traffic = (prometheus.active_since, prometheus.is_positive) if prometheus else (None, None)
    async with AsyncExitStack() as stack:
        # Status and Events must never wait in front of a containment, and neither of them behind watches.
        fast, slow = [await _connected(args.kubeconfig, stack) for _ in range(2)]
        watches = await _connected(args.kubeconfig, stack, most_connections=0)
        metrics = Metrics()
        election = Election(
            ApiServer(watches),
            identity=args.identity or socket.gethostname(),
            name=args.lease,
            pace=Pace(args.lease_seconds),
        )
        engine = Engine(
            ApiServer(fast),
            ApiServer(slow),
            watches=ApiServer(watches),
            onset=onset,
            traffic=traffic,
            metrics=metrics,
            election=election,
        )
        pulse = Pulse()
        metrics.add(pulse)
        metrics.add(Leadership(election))
        metrics.add(Census(engine.store, clock=SystemClock()))
        if listen is not None:
            await stack.enter_async_context(serving(metrics, host=listen.host, port=listen.port))
        await run_kopf(engine, fast, liveness=args.liveness or None, pulse=pulse)


async def _connected(kubeconfig: str, stack: AsyncExitStack, **bounds: int) -> AioTransport:
    transport = await connect(kubeconfig, **bounds)
    stack.push_async_callback(transport.close)
    return transport
