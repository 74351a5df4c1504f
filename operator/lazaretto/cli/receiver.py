"""`lazaretto receiver`: takes in alerts and stores incidents, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from lazaretto.cli import process
from lazaretto.cli.metrics_flag import add_metrics_flag, metrics_address
from lazaretto.errors import ConfigurationError
from lazaretto.kube.transport import connect
from lazaretto.receiver.server import Receiver
from lazaretto.receiver.settings import MIB, Address, Settings
from lazaretto.telemetry.endpoint import serving

POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `lazaretto receiver`."""
    add = parser.add_argument
    add("--listen", default="0.0.0.0:8443", metavar="HOST:PORT", help="where alerts are taken (default %(default)s)")
    add(
        "--health-listen",
        default="0.0.0.0:8081",
        metavar="HOST:PORT",
        help="where probes are answered (default %(default)s)",
    )
    add_metrics_flag(parser)
    add(
        "--tokens-dir",
        type=Path,
        metavar="DIR",
        help="one file a sender, holding its bearer token; read again on change",
    )
    add("--tls-cert", type=Path, metavar="FILE", help="certificate chain in PEM; read again on change")
    add("--tls-key", type=Path, metavar="FILE", help="its private key in PEM")
    add("--client-ca", type=Path, metavar="FILE", help="authority in PEM; its client certificates are let in as well")
    add("--insecure-http", action="store_true", help="serve without TLS on an address that others can reach")
    add(
        "--namespace-label",
        default="namespace",
        metavar="LABEL",
        help="alert label that your Prometheus enforces (default %(default)s)",
    )
    add("--namespace", metavar="NAME", help="where incidents go that no model matched (default: the pod's own)")
    add(
        "--alertmanager-url",
        action="append",
        default=[],
        metavar="URL",
        help="ask this Alertmanager for alerts that never arrived; may be given again",
    )
    add(
        "--alertmanager-interval",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how often; what fires twice in a row is taken in (default %(default)s)",
    )
    add(
        "--alertmanager-filter",
        default='ai_incident="true"',
        metavar="MATCHER",
        help="which of its alerts are taken in (default %(default)s)",
    )
    add("--alertmanager-token-file", type=Path, metavar="FILE", help="bearer token to show it; read again each time")
    add("--alertmanager-ca", type=Path, metavar="FILE", help="authority of its certificate in PEM")
    add("--kubeconfig", default="", metavar="FILE", help="default: KUBECONFIG, else the pod's service account")
    add("--max-body-bytes", type=int, default=4 * MIB, metavar="N", help="largest request body (default %(default)s)")
    add(
        "--read-timeout",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="time for a request body (default %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT; returns the exit status."""
    try:
        listen = metrics_address(args)
        process.run(_serve(settings_of(args), kubeconfig=args.kubeconfig, metrics=listen))
    except OSError as error:
        _log.error("cannot listen: %s", error)
        return 1
    return 0


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings that the flags stand for; raises `ConfigurationError`."""
    return Settings(
        listen=Address.parse(args.listen, flag="--listen"),
        health=Address.parse(args.health_listen, flag="--health-listen"),
        namespace=args.namespace or _own_namespace(),
        namespace_label=args.namespace_label,
        tokens=args.tokens_dir,
        certificate=args.tls_cert,
        key=args.tls_key,
        client_ca=args.client_ca,
        insecure_http=args.insecure_http,
        largest_body=args.max_body_bytes,
        bytes_at_once=max(64 * MIB, 4 * args.max_body_bytes),
        read_seconds=args.read_timeout,
        alertmanagers=tuple(args.alertmanager_url),
        pull_seconds=args.alertmanager_interval,
        alertmanager_filter=args.alertmanager_filter,
        alertmanager_token=args.alertmanager_token_file,
        alertmanager_ca=args.alertmanager_ca,
    )


async def _serve(settings: Settings, *, kubeconfig: str, metrics: Address | None) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    transport = await connect(kubeconfig)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(transport.close)
        receiver = Receiver(settings, transport=transport)
        if metrics is not None:
            await stack.enter_async_context(serving(receiver.metrics, host=metrics.host, port=metrics.port))
        await receiver.start()
        try:
            await _first(asyncio.ensure_future(stopped.wait()), asyncio.ensure_future(receiver.failed()))
        finally:
            _log.info("stopping")
            await receiver.stop()


async def _first(*waits: asyncio.Future[object]) -> None:
    """Waits for the first of these to complete, and raises what it raised."""
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for each in pending:
        each.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await each
    for each in done:
        each.result()


def _own_namespace() -> str:
    named = os.environ.get("POD_NAMESPACE", "")
    if named:
        return named
    try:
        return POD_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError("outside of a pod, say with --namespace where unmatched incidents go") from error
