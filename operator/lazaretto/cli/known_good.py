"""`lazaretto known-good`: what would take over from a model's compromised revision now, and why nothing else."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from lazaretto.api import ProtectedModel
from lazaretto.api.protectedmodel import ObservedRecord, ObservedWorkload
from lazaretto.errors import InvalidInput, NotFound
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.resource import MODELS
from lazaretto.kube.transport import connect

_HEAD = ("WORKLOAD", "REVISION", "READY", "DIGESTS", "TAKES OVER")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    parser.add_argument("model", help="name of the ProtectedModel")
    parser.add_argument("-n", "--namespace", required=True, help="its namespace")
    parser.add_argument(
        "--kubeconfig", default="", help="default: KUBECONFIG, else ~/.kube/config, else the pod's account"
    )


def run(args: argparse.Namespace) -> int:
    """Print workloads of the model, and records of what none runs, with their candidacy; 1 if none could take over.

    What is printed is what the operator saw last, at the time in the last line.
    """
    model = asyncio.run(_read(args))
    sys.stdout.write(table(model))
    return 0 if model.status.known_good else 1


async def _read(args: argparse.Namespace) -> ProtectedModel:
    usual = Path.home() / ".kube" / "config"
    fallback = str(usual) if not os.environ.get("KUBECONFIG") and usual.exists() else ""
    transport = await connect(args.kubeconfig or fallback)
    try:
        return ProtectedModel.read(await ApiServer(transport).get(MODELS, namespace=args.namespace, name=args.model))
    except NotFound as error:
        remedy = f"name a ProtectedModel of this namespace: kubectl -n {args.namespace} get pm"
        raise InvalidInput("model", args.model, remedy) from error
    finally:
        await transport.close()


def table(model: ProtectedModel) -> str:
    """The table for people, with text from outside on one line and without control characters."""
    status = model.status
    rows = [_HEAD, *map(_row, status.workloads), *map(_record, status.records)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join((*map(str.ljust, row, widths), row[4])) for row in rows]
    seen = f", as of {status.checked_at:%Y-%m-%dT%H:%M:%SZ}" if status.checked_at else ", not looked at yet"
    lines.append(f"known-good: {status.known_good or 'none'}{seen}")
    return "".join(f"{''.join(c if c.isprintable() else '?' for c in line)}\n" for line in lines)


def _row(workload: ObservedWorkload) -> tuple[str, ...]:
    ready = f"{workload.ready}/{workload.replicas}"
    texts = (workload.revision, ready, workload.digest_confidence, workload.takes_over)
    return (workload.ref, *(text or "-" for text in texts))


def _record(record: ObservedRecord) -> tuple[str, ...]:
    texts = (record.revision, "", record.digest_confidence, record.takes_over)
    return ("none runs it", *(text or "-" for text in texts))
