"""The flag by which both processes are told where to serve their metrics."""

from __future__ import annotations

import argparse

from lazaretto.receiver.settings import Address

FLAG = "--metrics-listen"


def add_metrics_flag(parser: argparse.ArgumentParser) -> None:
    """Adds the flag, which is off unless given."""
    parser.add_argument(
        FLAG, default="", metavar="HOST:PORT", help="serve metrics here, under /metrics; default: nowhere"
    )


def metrics_address(args: argparse.Namespace) -> Address | None:
    """Where to serve them, None for nowhere. Raises `ConfigurationError`."""
    return Address.parse(args.metrics_listen, flag=FLAG) if args.metrics_listen else None
