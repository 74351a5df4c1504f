"""Finds every CEL rule that a kind states, by walking its Python types rather than what was printed from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from lazaretto.api.meta import ApiModel
from lazaretto.api.schema import Rule, Rules


def rules_of(model: type[ApiModel]) -> Iterator[Rule]:
    """Every rule of the model, of its fields, and of the models in them."""
    yield from model.rules
    for field in model.model_fields.values():
        for part in (field.annotation, *field.metadata):
            yield from _rules_in(part)


def _rules_in(part: Any) -> Iterator[Rule]:
    if isinstance(part, Rules):
        yield from part.rules
    elif isinstance(part, type) and issubclass(part, ApiModel):
        yield from rules_of(part)
    else:
        for inner in get_args(part):
            yield from _rules_in(inner)
