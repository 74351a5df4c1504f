"""The page that shows the table."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "faults.md"
MARKER = "<!-- Written by `make faults`. -->"
