"""The page shows what there is: each fault, as often as it strikes, and nothing broken."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults.mutations import MUTATIONS
from tests.faults.oracle import PROPERTIES
from tests.faults.page import MARKER, PAGE
from tests.faults.plans import FAILED, KILLED, STREAMED
from tests.faults.table import BROKEN

STRIKES = Counter(plan.fault for plan in (*KILLED, *FAILED, *STREAMED))


@pytest.mark.parametrize("fault", STRIKES)
def test_every_fault_has_its_row(fault: str) -> None:
    _, _, shown = PAGE.read_text().partition(MARKER)
    (row,) = (line for line in shown.splitlines() if line.startswith(f"| {fault} |"))
    # The page is as old as the last whole run, and plans are only ever added.
    assert 0 < int(row.split("|")[2]) <= STRIKES[fault]
    assert BROKEN not in row


def test_every_property_and_every_mutation_is_explained() -> None:
    told, _, _ = PAGE.read_text().partition(MARKER)
    assert not [key for key, what in PROPERTIES.items() if f"| {key} | {what} |" not in told]
    assert not [mutation.rule for mutation in MUTATIONS if f"| {mutation.rule} | {mutation.shown_by} |" not in told]
