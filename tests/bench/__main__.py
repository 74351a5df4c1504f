"""`python -m tests.bench [folder]`: docs/reference/performance.md, its figure and its JSON, from `make bench`.

A benchmark of which there is no new result keeps the one that is in the JSON, with its date.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench.figures import RESULTS
from tests.bench.page import figure, kept, page, read

_REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def main() -> None:
    """Reads the folder that is named, else where `make bench` leaves its results."""
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS, to=_REFERENCE)


def write(folder: Path, *, to: Path) -> None:
    """The three files, from the results of a folder and what the JSON has of earlier ones."""
    earlier = to / "performance.json"
    results = {**(json.loads(earlier.read_text()) if earlier.exists() else {}), **read(folder)}
    earlier.write_text(kept(results))
    (to / "performance.md").write_text(page(results))
    (to / "performance.svg").write_text(figure(results))


if __name__ == "__main__":
    main()
