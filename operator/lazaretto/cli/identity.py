"""`lazaretto identity`: what a pipeline puts into a ModelRevision that it attests."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lazaretto.cli.manifest import documents
from lazaretto.domain.identity import identity_of
from lazaretto.errors import InvalidInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    parser.add_argument("-f", "--filename", required=True, help="manifest with one workload; - for standard input")


def run(args: argparse.Namespace) -> int:
    """Print the identity of the manifest's pod template as the operator computes it."""
    try:
        text = sys.stdin.read() if args.filename == "-" else Path(args.filename).read_text(encoding="utf-8")
        specs = [d.get("spec") for d in documents(text) if isinstance(d, dict)]
    except OSError as error:
        raise InvalidInput("filename", args.filename, f"give a file that can be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInput("filename", args.filename, f"not YAML that can be read: {error}") from error
    templates = [s["template"] for s in specs if isinstance(s, dict) and isinstance(s.get("template"), dict)]
    if len(templates) != 1:
        raise InvalidInput("filename", args.filename, f"holds {len(templates)} workloads; give exactly one")
    try:
        identity = identity_of(templates[0])
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        # YAML knows more than JSON does, such as dates, and a manifest may have any shape.
        raise InvalidInput("filename", args.filename, f"give a pod template that is valid JSON: {error}") from error
    sys.stdout.write(f"{identity}\n")
    return 0
