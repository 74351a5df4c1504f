"""The page explains what its table speaks of."""

from __future__ import annotations

from tests.faults.mutations import MUTATIONS
from tests.faults.oracle import PROPERTIES
from tests.faults.page import MARKER, PAGE


def test_every_property_and_every_mutation_is_explained() -> None:
    told, _, _ = PAGE.read_text().partition(MARKER)
    assert not [key for key, what in PROPERTIES.items() if f"| {key} | {what} |" not in told]
    assert not [mutation.rule for mutation in MUTATIONS if f"| {mutation.rule} | {mutation.shown_by} |" not in told]
