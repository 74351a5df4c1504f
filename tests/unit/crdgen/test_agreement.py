"""The kinds as pydantic reads them and as the API server checks them are the same kinds.

Were the models stricter, the operator could not read what the server stored; were they
laxer, it could write what the server refuses. CEL rules are the server's alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator, ValidationError
from jsonschema.validators import extend
from pydantic import ValidationError as Refusal

from lazaretto.api import KINDS, Resource
from lazaretto.api.schema import JsonSchema
from lazaretto.crdgen import render
from tests.unit.crdgen.values import allowed, refused

quietly = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example]
)


def _pattern(_: Any, pattern: str, text: object, __: Any) -> Iterator[ValidationError]:
    # In RE2 `$` is the end of the text; in Python's re also the place before a last line break.
    if isinstance(text, str) and not re.search(pattern.replace("$", r"\Z"), text):
        yield ValidationError(f"{text!r} does not match {pattern!r}")


ServerLike = extend(Draft4Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


def checked_part(kind: type[Resource]) -> JsonSchema:
    """The schema of the kind without its metadata, which the API server checks itself."""
    schema = dict(render(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    schema["properties"] = {name: field for name, field in schema["properties"].items() if name != "metadata"}
    return schema


SCHEMAS = {kind: checked_part(kind) for kind in KINDS}
ALLOWED = {kind: allowed(schema) for kind, schema in SCHEMAS.items()}
REFUSED = {kind: refused(schema) for kind, schema in SCHEMAS.items()}

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.facts.kind)


def the_server_accepts(kind: type[Resource], value: Any) -> bool:
    return bool(ServerLike(SCHEMAS[kind]).is_valid(value))


def the_model_accepts(kind: type[Resource], value: Any) -> bool:
    try:
        kind.read(value)
    except Refusal:
        return False
    return True


@each_kind
@quietly
@given(data=st.data())
def test_both_accept_what_keeps_every_bound(kind: type[Resource], data: st.DataObject) -> None:
    value = data.draw(ALLOWED[kind])
    assert the_server_accepts(kind, value)
    assert the_model_accepts(kind, value)


@each_kind
@quietly
@given(data=st.data())
def test_both_refuse_what_crosses_one_bound(kind: type[Resource], data: st.DataObject) -> None:
    value = data.draw(REFUSED[kind])
    assert not the_server_accepts(kind, value)
    assert not the_model_accepts(kind, value)


@each_kind
@quietly
@given(data=st.data())
def test_what_a_model_writes_is_accepted_by_the_server(kind: type[Resource], data: st.DataObject) -> None:
    written = kind.read(data.draw(ALLOWED[kind])).dump()
    del written["metadata"]
    assert the_server_accepts(kind, written)
