"""Command line of the demo: `python -m tests.demo`, and `python -m tests.demo down` after `KEEP=1`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.demo.keeping import down, keep, stay
from tests.demo.performance import Options, perform
from tests.demo.stage import REPOSITORY


def main() -> int:
    """Runs one command and returns the exit status: 0 done, 1 a step did not happen, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description="An alert contains a model.")
    parser.add_argument(
        "--deadline", type=float, default=60.0, metavar="SECONDS", help="longest wait in a step (default: %(default)s)"
    )
    parser.add_argument("--no-leak", action="store_true", help="leave the model healthy, to see a step fail")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("down", help="stop what KEEP=1 left running")
    staying = commands.add_parser("stay", help="what KEEP=1 runs in the background")
    staying.add_argument("descriptor", type=int)
    arguments = parser.parse_args()
    os.chdir(REPOSITORY)  # commands that are shown name files beneath it
    options = Options(deadline=arguments.deadline, leak=not arguments.no_leak)
    if arguments.command == "down":
        return down()
    if arguments.command == "stay":
        return stay(arguments.descriptor, options=options)
    if os.environ.get("KEEP", "") not in ("", "0"):
        return keep(sys.argv[1:])
    return perform(Path(tempfile.mkdtemp(prefix="lazaretto-demo-")), options=options)


if __name__ == "__main__":
    sys.exit(main())
