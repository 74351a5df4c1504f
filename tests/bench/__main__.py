"""`python -m tests.bench [folder]`: docs/reference/performance.md and its figure, from the results of `make bench`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench.figures import RESULTS
from tests.bench.page import figure, page, read

_REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def main() -> None:
    """Reads the folder that is named, else where `make bench` leaves its results."""
    results = read(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS)
    (_REFERENCE / "performance.md").write_text(page(results))
    (_REFERENCE / "performance.svg").write_text(figure(results))


if __name__ == "__main__":
    main()
