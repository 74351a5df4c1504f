"""From pydantic's JSON schema to a structural one: what is converted how, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field, StringConstraints, create_model

from lazaretto.api.meta import ApiModel, LabelMap, Timestamp
from lazaretto.api.schema import Atomic, JsonSchema, ListMap, ListSet, Rule, Rules
from lazaretto.crdgen import SchemaError, structural

Short = Annotated[str, Field(max_length=8)]

SHORT = {"type": "string", "maxLength": 8}


class Pair(ApiModel):
    """Two words."""

    rules = (Rule("self.key != self.other", "the words differ"),)

    key: Short
    other: Short = "b"
    """The second
    word.

    Optional."""


class Words(ApiModel):
    first: Short = "a"
    second: Short | None = None


class Watched(ApiModel):
    rules = (Rule("self.key == oldSelf.key", "key never changes"),)

    key: Short


class Whole(Watched):
    written_whole = True


class Node(ApiModel):
    key: Short
    child: Node | None = None


class Closed(ApiModel):
    model_config = ConfigDict(extra="forbid")

    key: Short


PAIR_RULE = {"rule": "self.key != self.other", "message": "the words differ"}
PAIR = {
    "description": "Two words.",
    "type": "object",
    "required": ["key"],
    "properties": {
        "key": SHORT,
        "other": {"description": "The second word.\n\nOptional.", "type": "string", "maxLength": 8, "default": "b"},
    },
    "x-kubernetes-validations": [PAIR_RULE],
}


def convert(annotation: Any, *, default: Any = ...) -> JsonSchema:
    """The schema of a model `Sample` whose only field `x` has this type and default."""
    model = create_model("Sample", __base__=ApiModel, x=(annotation, default))
    return structural(model.model_json_schema(by_alias=True), path="Sample")


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Short, SHORT),
        (Annotated[str, Field(min_length=1, max_length=9, pattern="^a$")],
         {"type": "string", "pattern": "^a$", "minLength": 1, "maxLength": 9}),
        (Annotated[int, Field(ge=1, le=5)], {"type": "integer", "minimum": 1, "maximum": 5}),
        (bool, {"type": "boolean"}),
        (Timestamp, {"type": "string", "format": "date-time"}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["a"], {"type": "string", "enum": ["a"]}),
        (Pair, PAIR),
        (Annotated[Pair, Field(description="What for.")], {**PAIR, "description": "What for."}),
        (Annotated[dict[str, Short], Field(max_length=3)],
         {"type": "object", "maxProperties": 3, "additionalProperties": SHORT}),
        (Annotated[list[Short], Field(max_length=4), ListSet()],
         {"type": "array", "maxItems": 4, "items": SHORT, "x-kubernetes-list-type": "set"}),
        (Annotated[list[Pair], Field(min_length=1, max_length=4), Atomic()],
         {"type": "array", "minItems": 1, "maxItems": 4, "items": PAIR, "x-kubernetes-list-type": "atomic"}),
        (Annotated[list[Pair], Field(max_length=4), ListMap(("key", "other"))],
         {"type": "array", "maxItems": 4, "items": PAIR, "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["key", "other"]}),
        (Annotated[Short, Rules((Rule("self != 'a'", "not a"),))],
         {**SHORT, "x-kubernetes-validations": [{"rule": "self != 'a'", "message": "not a"}]}),
        (Annotated[Pair, Rules((Rule("self.key != 'a'", "not a"),))],
         {**PAIR, "x-kubernetes-validations": [PAIR_RULE, {"rule": "self.key != 'a'", "message": "not a"}]}),
    ],
)  # fmt: skip
def test_a_required_field_is_printed_as(annotation: Any, expected: JsonSchema) -> None:
    assert convert(annotation) == {"type": "object", "required": ["x"], "properties": {"x": expected}}


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        (Short, "", {**SHORT, "default": ""}),
        (bool, False, {"type": "boolean", "default": False}),
        (Annotated[int, Field(ge=0)], 0, {"type": "integer", "minimum": 0, "default": 0}),
        (Literal["a", "b"], "b", {"type": "string", "enum": ["a", "b"], "default": "b"}),
        (Annotated[list[Short], Field(max_length=4), ListSet()], [],
         {"type": "array", "maxItems": 4, "default": [], "items": SHORT, "x-kubernetes-list-type": "set"}),
        (Annotated[dict[str, Short], Field(max_length=3)], {},
         {"type": "object", "maxProperties": 3, "default": {}, "additionalProperties": SHORT}),
        (Short | None, None, SHORT),
        (Annotated[Short | None, Field(description="Why.")], None, {"description": "Why.", **SHORT}),
        (Literal["a", "b"] | None, None, {"type": "string", "enum": ["a", "b"]}),
        (Pair | None, None, PAIR),
        (Annotated[dict[str, Short], Field(max_length=3)] | None, None,
         {"type": "object", "maxProperties": 3, "additionalProperties": SHORT}),
        (Words, Words(), {"type": "object", "properties": {"first": {**SHORT, "default": "a"}, "second": SHORT}}),
    ],
)  # fmt: skip
def test_an_optional_field_is_printed_as(annotation: Any, default: Any, expected: JsonSchema) -> None:
    assert convert(annotation, default=default) == {"type": "object", "properties": {"x": expected}}


def test_the_keys_of_a_schema_come_in_one_order() -> None:
    printed = convert(Annotated[Pair, Field(description="What for.")])["properties"]["x"]
    assert list(printed) == ["description", "type", "required", "properties", "x-kubernetes-validations"]
    assert list(printed["x-kubernetes-validations"][0]) == ["rule", "message"]
    assert list(printed["properties"]) == ["key", "other"]


def test_a_transition_rule_on_the_items_of_a_list_map_is_kept() -> None:
    printed = convert(Annotated[list[Watched], Field(max_length=4), ListMap(("key",))])
    assert printed["properties"]["x"]["items"]["x-kubernetes-validations"] == [
        {"rule": "self.key == oldSelf.key", "message": "key never changes"}
    ]


def test_a_model_that_is_written_whole_has_one_owner_and_keeps_its_transition_rule() -> None:
    printed = convert(Annotated[list[Whole], Field(max_length=4), ListMap(("key",))])["properties"]["x"]["items"]
    assert printed["x-kubernetes-map-type"] == "atomic"
    assert printed["x-kubernetes-validations"] == [{"rule": "self.key == oldSelf.key", "message": "key never changes"}]


def test_the_same_model_may_stand_in_two_fields() -> None:
    model = create_model("Sample", __base__=ApiModel, x=(Pair, ...), y=(Pair | None, None))
    printed = structural(model.model_json_schema(by_alias=True))
    assert printed["properties"] == {"x": PAIR, "y": PAIR}


@pytest.mark.parametrize(
    ("annotation", "path", "why"),
    [
        (str, "Sample.x", "a string needs max_length"),
        (Annotated[str, Field(pattern="^a$")], "Sample.x", "a string needs max_length"),
        (Annotated[list[str], Field(max_length=2), ListSet()], "Sample.x[]", "a string needs max_length"),
        (Annotated[dict[str, str], Field(max_length=2)], "Sample.x{}", "a string needs max_length"),
        (Annotated[list[Short], ListSet()], "Sample.x", "a list needs max_length"),
        (dict[str, Short], "Sample.x", "a map needs max_length"),
        (Annotated[list[Short], Field(max_length=2)], "Sample.x", "must say ListMap, ListSet or Atomic"),
        (LabelMap | Short, "Sample.x", "anyOf is not supported"),
        (int | Short, "Sample.x", "anyOf is not supported"),
        (int | Short | None, "Sample.x", "a union"),
        (Short | None, "Sample.x", "must default to None"),
        (float, "Sample.x", "type number is not one of"),
        (None, "Sample.x", "type null is not one of"),
        (Any, "Sample.x", "type None is not one of"),
        (Decimal, "Sample.x", "anyOf is not supported"),
        (timedelta, "Sample.x", "format 'duration' is not supported"),
        (Annotated[bytes, Field(max_length=4)], "Sample.x", "format 'binary' is not supported"),
        (Annotated[int, Field(gt=0)], "Sample.x", "exclusiveMinimum is not supported: use ge"),
        (Annotated[int, Field(lt=0)], "Sample.x", "exclusiveMaximum is not supported: use le"),
        (Annotated[int, Field(multiple_of=2)], "Sample.x", "multipleOf on a field of type integer is not known"),
        (Literal[1, 2], "Sample.x", "enum on a field of type integer is not known"),
        (Annotated[set[Short], Field(max_length=4)], "Sample.x", "uniqueItems is not supported"),
        (tuple[Short, Short], "Sample.x", "prefixItems is not supported"),
        (Annotated[dict[Annotated[str, StringConstraints(pattern="^a$")], Short], Field(max_length=2)], "Sample.x",
         "patternProperties on a field of type object is not known"),
        (Annotated[dict[str, Any], Field(max_length=2)], "Sample.x", "a free-form object"),
        (dict[str, Any], "Sample.x", "a map needs max_length"),
        (Closed, "Sample.x", "additionalProperties cannot stand beside properties"),
        (Node, "Sample.x.child", "Node contains itself"),
        (Annotated[list[Pair], Field(max_length=2), ListSet()], "Sample.x", "a ListSet holds scalars only"),
        (Annotated[list[Pair], Field(max_length=2), ListMap(("nothing",))], "Sample.x", "have no field nothing"),
        (Annotated[list[Node], Field(max_length=2), ListMap(("key",))], "Sample.x[].child", "Node contains itself"),
        (Annotated[list[Watched], Field(max_length=2), Atomic()], "Sample.x[]", "a rule on oldSelf never runs"),
        (Annotated[Pair, Field(json_schema_extra={"type": "string"})], "Sample.x", "type is stated twice"),
        (Annotated[Short, Field(examples=["a"])], "Sample.x", "examples on a field of type string is not known"),
    ],
)  # fmt: skip
def test_a_required_field_is_refused(annotation: Any, path: str, why: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        convert(annotation)
    assert str(refusal.value).startswith(f"{path}: ")
    assert why in str(refusal.value)


class OptionalKey(ApiModel):
    key: Short | None = None


@pytest.mark.parametrize(
    ("annotation", "default", "path", "why"),
    [
        (Short | None, "a", "Sample.x", "must default to None"),
        (Short, None, "Sample.x", "the default is null"),
        (Pair, Pair(key="a", other="c"), "Sample.x", "the default sets key to 'a'"),
        (Annotated[list[OptionalKey], Field(max_length=2), ListMap(("key",))], [], "Sample.x",
         "key key of the ListMap must be required, or have a default"),
    ],
)  # fmt: skip
def test_an_optional_field_is_refused(annotation: Any, default: Any, path: str, why: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        convert(annotation, default=default)
    assert str(refusal.value).startswith(f"{path}: ")
    assert why in str(refusal.value)


def test_a_transition_rule_deep_below_an_atomic_list_is_refused() -> None:
    holder = create_model("Holder", __base__=ApiModel, inner=(Watched, ...))
    with pytest.raises(SchemaError, match=r"^Sample\.x\[\]\.inner: a rule on oldSelf never runs"):
        convert(Annotated[list[holder], Field(max_length=2), Atomic()])


def test_a_transition_rule_within_a_model_that_is_written_whole_is_refused() -> None:
    holder = create_model("Holder", __base__=Whole, inner=(Watched, ...))
    with pytest.raises(SchemaError, match=r"^Sample\.x\[\]\.inner: a rule on oldSelf never runs"):
        convert(Annotated[list[holder], Field(max_length=2), ListMap(("key",))])
