"""The page shows what there is: each fault, as often as it strikes, and nothing broken."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults.clock import STEPS
from tests.faults.mutations import MUTATIONS
from tests.faults.oracle import PROPERTIES
from tests.faults.outages import OUTAGES
from tests.faults.page import MARKER, PAGE
from tests.faults.plans import FAILED, KILLED, STREAMED
from tests.faults.receiver_plans import RECEIVER_FAILED, RECEIVER_KILLED
from tests.faults.table import BROKEN, RECEIVED

STRIKES = Counter(
    [
        *(plan.fault for plan in (*KILLED, *FAILED, *STREAMED)),
        *(f"{RECEIVED}: {plan.fault}" for plan in (*RECEIVER_KILLED, *RECEIVER_FAILED)),
    ]
)
"""How often a fault strikes that strikes by plan; the others have stories of their own."""


@pytest.mark.parametrize("fault", [*STRIKES, *STEPS, *OUTAGES])
def test_every_fault_has_its_row(fault: str) -> None:
    _, _, shown = PAGE.read_text().partition(MARKER)
    (row,) = (line for line in shown.splitlines() if line.startswith(f"| {fault} |"))
    plans = int(row.split("|")[2])
    assert plans == STRIKES[fault] if fault in STRIKES else plans > 0
    assert BROKEN not in row


def test_every_property_and_every_mutation_is_explained() -> None:
    told, _, _ = PAGE.read_text().partition(MARKER)
    assert not [key for key, what in PROPERTIES.items() if f"| {key} | {what} |" not in told]
    assert not [mutation.rule for mutation in MUTATIONS if f"| {mutation.rule} | {mutation.shown_by} |" not in told]
