"""Turns the JSON schema that pydantic prints into the structural schema that a CRD accepts.

A caller may rely on three things. The result holds only keywords that the API server knows
and enforces. Every string, list and map in it is bounded, so that the server can estimate
the cost of CEL rules. And nothing that the schema demands is lost on the way: a keyword
that is not listed here raises `SchemaError` with the path of the field.

Two things are left out on purpose. Titles repeat the field's name. The default of a field
that is itself a model says nothing that the defaults of its own fields do not say (anything
else is refused), so it stays absent and CEL rules guard such a field with `has()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lazaretto.api.schema import JsonSchema
from lazaretto.errors import SchemaError

VALIDATIONS = "x-kubernetes-validations"
LIST_TYPE = "x-kubernetes-list-type"
LIST_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"

_COMMON = ("description", "type", "default", VALIDATIONS)
_BY_TYPE: Mapping[str, tuple[str, ...]] = {
    "string": ("format", "enum", "pattern", "minLength", "maxLength"),
    "integer": ("minimum", "maximum"),
    "boolean": (),
    "array": ("items", "minItems", "maxItems", LIST_TYPE, LIST_KEYS),
    "object": ("properties", "required", "additionalProperties", "minProperties", "maxProperties", MAP_TYPE),
}
_ORDER = (
    "description",
    "type",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "default",
    "required",
    "properties",
    "additionalProperties",
    "items",
    LIST_TYPE,
    LIST_KEYS,
    MAP_TYPE,
    VALIDATIONS,
)
_MAY_DIFFER = {"title", "description", "default", VALIDATIONS}
_INSTEAD = {
    "oneOf": "a union: use one model with optional fields and a rule",
    "anyOf": "a union: use one model with optional fields and a rule",
    "allOf": "bounds inside allOf do not count for CEL costs",
    "discriminator": "a union: use one model with optional fields and a rule",
    "exclusiveMinimum": "use ge",
    "exclusiveMaximum": "use le",
    "uniqueItems": "use a list with ListSet()",
    "prefixItems": "a tuple: use a model",
    "propertyNames": "the keys of a map cannot be constrained: use dict[str, ...]",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the schema we are, and what follows from the way there."""

    definitions: Mapping[str, JsonSchema]
    path: str
    models: tuple[str, ...] = ()
    correlated: bool = True

    def below(self, step: str) -> _Place:
        return replace(self, path=self.path + step)

    def refuse(self, why: str) -> SchemaError:
        return SchemaError(f"{self.path}: {why}")


def structural(schema: JsonSchema, *, path: str = "") -> JsonSchema:
    """The structural form of one JSON schema as pydantic printed it; `path` begins the paths in errors."""
    return _convert(schema, place=_Place(definitions=schema.get("$defs", {}), path=path))


def _convert(schema: JsonSchema, *, place: _Place) -> JsonSchema:
    node, place = _inlined({k: v for k, v in schema.items() if k != "$defs"}, place=place)
    if "const" in node:
        node["enum"] = [node.pop("const")]
    node.pop("title", None)
    _check_keywords(node, place=place)
    _check_bounds(node, place=place)
    _check_rules(node, place=place)
    if node["type"] == "object":
        node = _object(node, place=place)
    elif node["type"] == "array":
        node = _array(node, place=place)
    if "description" in node:
        node["description"] = _reflowed(node["description"])
    return {key: node[key] for key in _ORDER if key in node}


def _inlined(node: JsonSchema, *, place: _Place) -> tuple[JsonSchema, _Place]:
    """The node with its reference and its `| None` resolved, and the place it has then."""
    while True:
        if "$ref" in node:
            name = str(node["$ref"]).removeprefix("#/$defs/")
            if name in place.models:
                raise place.refuse(f"{name} contains itself; a CRD has no recursion")
            place = replace(place, models=(*place.models, name))
            node = _laid_over(place.definitions[name], {k: v for k, v in node.items() if k != "$ref"}, place=place)
        elif {"type": "null"} in node.get("anyOf", ()):
            node = _without_null(node, place=place)
        else:
            return node, place


def _without_null(node: JsonSchema, *, place: _Place) -> JsonSchema:
    rest = [option for option in node["anyOf"] if option != {"type": "null"}]
    if len(rest) != 1:
        raise place.refuse(_INSTEAD["anyOf"])
    if node.get("default", ...) is not None:
        raise place.refuse("T | None must default to None: a field is absent, never null")
    return _laid_over(rest[0], {k: v for k, v in node.items() if k not in ("anyOf", "default")}, place=place)


def _laid_over(below: JsonSchema, above: JsonSchema, *, place: _Place) -> JsonSchema:
    """Both schemas in one: the field's text goes before its type's, their rules add up, all else must agree."""
    for key in below.keys() & above.keys() - _MAY_DIFFER:
        if below[key] != above[key]:
            raise place.refuse(f"{key} is stated twice, as {below[key]!r} and as {above[key]!r}")
    merged = {**below, **above}
    rules = [*below.get(VALIDATIONS, ()), *above.get(VALIDATIONS, ())]
    return {**merged, VALIDATIONS: [{"rule": rule["rule"], **rule} for rule in rules]} if rules else merged


def _check_keywords(node: JsonSchema, *, place: _Place) -> None:
    for key in node:
        if key in _INSTEAD:
            raise place.refuse(f"{key} is not supported: {_INSTEAD[key]}")
    kind = str(node.get("type"))
    if kind not in _BY_TYPE:
        raise place.refuse(f"type {kind} is not one of {', '.join(_BY_TYPE)}")
    for key in node:
        if key not in _COMMON and key not in _BY_TYPE[kind]:
            raise place.refuse(f"{key} on a field of type {kind} is not known to be supported")
    if "default" in node and node["default"] is None:
        raise place.refuse("the default is null, which the type does not allow")


def _check_bounds(node: JsonSchema, *, place: _Place) -> None:
    kind = node["type"]
    if kind == "string":
        if node.get("format", "date-time") != "date-time":
            raise place.refuse(f"format {node['format']!r} is not supported: use a pattern and max_length")
        if not node.keys() & {"maxLength", "enum", "format"}:
            raise place.refuse("a string needs max_length")
    elif kind == "array" and "maxItems" not in node:
        raise place.refuse("a list needs max_length")
    elif kind == "object" and "properties" not in node and "maxProperties" not in node:
        raise place.refuse("a map needs max_length")


def _check_rules(node: JsonSchema, *, place: _Place) -> None:
    for rule in node.get(VALIDATIONS, ()):
        if "oldSelf" in rule["rule"] and not place.correlated:
            raise place.refuse(
                "a rule on oldSelf never runs below an Atomic or ListSet list, or within a model that is written whole:"
                " what stands there has no former self"
            )


def _object(node: JsonSchema, *, place: _Place) -> JsonSchema:
    values = node.get("additionalProperties")
    if "properties" in node:
        # `extra="forbid"` prints False; pruning and strict field validation do that job.
        if "additionalProperties" in node:
            raise place.refuse("additionalProperties cannot stand beside properties")
        fields = node["properties"]
        node = _without_default(node, place=place)
        inner = replace(place, correlated=place.correlated and MAP_TYPE not in node)
        converted = {name: _convert(field, place=inner.below(f".{name}")) for name, field in fields.items()}
        return {**node, "properties": converted}
    if not isinstance(values, dict) or not values:
        raise place.refuse("a free-form object: name its fields, or the type of its values")
    return {**node, "additionalProperties": _convert(values, place=place.below("{}"))}


def _without_default(node: JsonSchema, *, place: _Place) -> JsonSchema:
    for name, value in node.get("default", {}).items():
        if value is not None and value != node["properties"].get(name, {}).get("default", ...):
            raise place.refuse(f"the default sets {name} to {value!r}; make that the default of {name} itself")
    return {key: value for key, value in node.items() if key != "default"}


def _array(node: JsonSchema, *, place: _Place) -> JsonSchema:
    kind = node.get(LIST_TYPE)
    if kind is None:
        raise place.refuse("a list must say ListMap, ListSet or Atomic")
    inner = place.below("[]")
    items = _convert(node["items"], place=inner if kind == "map" else replace(inner, correlated=False))
    if kind == "set" and items["type"] in ("object", "array"):
        raise place.refuse("a ListSet holds scalars only")
    if kind == "map":
        _check_list_keys(node, items=items, place=place)
    return {**node, "items": items}


def _check_list_keys(node: JsonSchema, *, items: JsonSchema, place: _Place) -> None:
    fields: Mapping[str, Any] = items.get("properties", {})
    for key in node[LIST_KEYS]:
        if key not in fields:
            raise place.refuse(f"the items of the ListMap have no field {key}")
        if key not in items.get("required", ()) and "default" not in fields[key]:
            raise place.refuse(f"key {key} of the ListMap must be required, or have a default")


def _reflowed(text: str) -> str:
    """The text with the line breaks of the source file removed; paragraphs stay apart."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
