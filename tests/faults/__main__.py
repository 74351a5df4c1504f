"""Writes the table of the results into the page: `python -m tests.faults FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.faults.page import MARKER, PAGE
from tests.faults.table import Line, table


def main(folder: str) -> None:
    """Puts the results of a whole run, of all its workers, behind the page's marker."""
    files = sorted(Path(folder).glob("*.json"))
    lines = [Line(**line) for path in files for line in json.loads(path.read_text())]
    above, _, _ = PAGE.read_text().partition(MARKER)
    PAGE.write_text(f"{above}{MARKER}\n\n{table(lines)}")
    print(f"{len(lines)} plans, {sum(bool(line.broken) for line in lines)} of them red: see {PAGE.name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
