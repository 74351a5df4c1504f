"""`python -m lazaretto.crdgen [--check] DIR`: writes the files of `crds/`, or says which are stale.

Writing makes DIR hold exactly the definitions of today's kinds: files that differ are
replaced, definitions of kinds that are gone are removed, everything else stays untouched.
Checking writes nothing; the exit status is 1 when writing would change anything.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lazaretto.api import GROUP
from lazaretto.crdgen.render import render_all


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m lazaretto.crdgen", description="Writes the CRDs of Lazaretto.")
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the definitions are, usually crds/")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    arguments = parser.parse_args(argv)
    folder: Path = arguments.folder
    stale = stale_files(folder)
    if arguments.check:
        for name in stale:
            print(f"{folder / name} is stale", file=sys.stderr)
        if stale:
            print("run `make crds` and commit the result", file=sys.stderr)
        return 1 if stale else 0
    write_files(folder)
    return 0


def stale_files(folder: Path) -> list[str]:
    """Names of files in `folder` that are missing, differ, or define a kind that is gone."""
    wanted = render_all()
    differing = [name for name, text in wanted.items() if _text(folder / name) != text]
    return sorted([*differing, *_left_over(folder, wanted=wanted)])


def write_files(folder: Path) -> None:
    """Makes `folder` hold today's definitions and no others."""
    wanted = render_all()
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in _left_over(folder, wanted=wanted):
        (folder / name).unlink()


def _left_over(folder: Path, *, wanted: dict[str, str]) -> list[str]:
    return [path.name for path in folder.glob(f"{GROUP}_*.yaml") if path.name not in wanted]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
