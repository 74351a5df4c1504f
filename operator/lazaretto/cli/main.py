"""The `lazaretto` command and its subcommands."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from lazaretto import __version__
from lazaretto.cli import identity, known_good, operator, receiver
from lazaretto.errors import ConfigurationError, LazarettoError
from lazaretto.telemetry.log import configure

log = logging.getLogger(__name__)

_COMMANDS = {
    "operator": (operator, "contain and release models"),
    "receiver": (receiver, "take in alerts and store incidents"),
    "known-good": (known_good, "show which revision would take over, and why no other"),
    "identity": (identity, "print the revision identity of a manifest"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; the exit status: 0 done, 1 failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="lazaretto", description="Contain compromised AI models on Kubernetes.")
    parser.add_argument("--version", action="version", version=f"lazaretto {__version__}")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--log-format", default="text", choices=["text", "json"])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, text) in _COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=text, description=text))
    args = parser.parse_args(argv)
    configure(level=args.log_level, json_lines=args.log_format == "json")
    try:
        return int(_COMMANDS[args.command][0].run(args))
    except LazarettoError as error:
        log.error("%s", error)
        return 2 if isinstance(error, ConfigurationError) else 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
