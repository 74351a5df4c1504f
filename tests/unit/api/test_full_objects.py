"""The example objects that other tests build on are complete."""

from __future__ import annotations

import pytest

from lazaretto.api import KINDS, Resource
from lazaretto.crdgen import render
from tests.unit.api.full_objects import full_object, missing_fields

SCHEMA = {
    "properties": {
        "a": {"type": "string"},
        "list": {"items": {"properties": {"b": {"type": "string"}, "c": {"type": "string"}}}},
    }
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.facts.kind)
def test_the_full_object_of_a_kind_sets_every_field(kind: type[Resource]) -> None:
    schema = render(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert missing_fields(schema, values=[full_object(kind)]) == []


@pytest.mark.parametrize(
    ("value", "missing"),
    [
        ({"a": "x", "list": [{"b": "x"}, {"c": "x"}]}, []),
        ({"list": [{"b": "x", "c": "x"}]}, [".a"]),
        ({"a": "x", "list": [{"b": "x"}]}, [".list[].c"]),
        ({"a": "x", "list": []}, [".list[].b", ".list[].c"]),
    ],
)
def test_missing_fields_are_named(value: object, missing: list[str]) -> None:
    assert missing_fields(SCHEMA, values=[value]) == missing
