"""Hypothesis strategies for values that a structural schema allows, and for values that it just does not.

`allowed` never leaves a bound; `refused` crosses exactly one. Wrong JSON types are left
out: pydantic reads the string "3" as a number, which is harmless, because the API server
has refused it long before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

from hypothesis import strategies as st

from lazaretto.api.meta import rfc3339
from lazaretto.api.schema import JsonSchema

Values = st.SearchStrategy[Any]

PRINTABLE = st.characters(min_codepoint=32, max_codepoint=126)
_FEW = 3


def allowed(schema: JsonSchema) -> Values:
    """Values that keep every bound of the schema."""
    by_type: dict[str, Callable[[JsonSchema], Values]] = {
        "string": _strings,
        "integer": lambda node: st.integers(node.get("minimum", -(2**31)), node.get("maximum", 2**31)),
        "boolean": lambda _: st.booleans(),
        "array": _lists,
        "object": _objects,
    }
    return by_type[schema["type"]](schema)


def refused(schema: JsonSchema) -> Values:
    """Values in which one bound, anywhere within, is crossed."""
    return st.one_of(list(_violations(schema)))


def _strings(node: JsonSchema) -> Values:
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if node.get("format") == "date-time":
        return st.datetimes(timezones=st.just(UTC)).map(rfc3339)
    shortest, longest = node.get("minLength", 0), node["maxLength"]
    if "pattern" in node:
        matching = st.from_regex(node["pattern"], fullmatch=True)
        return matching.filter(lambda text: shortest <= len(text) <= longest)
    return st.text(PRINTABLE, min_size=shortest, max_size=min(longest, shortest + 12))


def _lists(node: JsonSchema) -> Values:
    fewest = node.get("minItems", 0)
    return st.lists(allowed(node["items"]), min_size=fewest, max_size=min(node["maxItems"], fewest + _FEW))


def _objects(node: JsonSchema) -> Values:
    if "additionalProperties" in node:
        values = allowed(node["additionalProperties"])
        return st.dictionaries(st.text(PRINTABLE, max_size=8), values, max_size=min(node["maxProperties"], _FEW))
    fields = {name: allowed(field) for name, field in node["properties"].items()}
    required = node.get("required", ())
    return st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    )


def _violations(node: JsonSchema) -> Iterator[Values]:
    kind = node["type"]
    if kind == "string":
        yield from _bad_strings(node)
    elif kind == "integer":
        if "minimum" in node:
            yield st.integers(max_value=node["minimum"] - 1)
        if "maximum" in node:
            yield st.integers(min_value=node["maximum"] + 1)
    elif kind == "array":
        yield from _bad_lists(node)
    elif "additionalProperties" in node:
        yield from _bad_maps(node)
    elif kind == "object":
        yield from _bad_objects(node)


def _bad_strings(node: JsonSchema) -> Iterator[Values]:
    if "enum" in node:
        yield st.text(PRINTABLE).filter(lambda text: text not in node["enum"])
    if "maxLength" in node:
        too_long = node["maxLength"] + 1
        yield st.sampled_from("a0").map(lambda letter: letter * too_long)
    if node.get("minLength"):
        yield st.just("")
    if "pattern" in node:
        yield st.text(PRINTABLE, min_size=1, max_size=8).map(lambda text: f"_{text}")


def _bad_lists(node: JsonSchema) -> Iterator[Values]:
    items = allowed(node["items"])
    yield items.map(lambda item: [item] * (node["maxItems"] + 1))
    if node.get("minItems"):
        yield st.just([])
    for bad in _violations(node["items"]):
        yield bad.map(lambda item: [item])


def _bad_maps(node: JsonSchema) -> Iterator[Values]:
    value = allowed(node["additionalProperties"])
    names = [f"k{number}" for number in range(node["maxProperties"] + 1)]
    yield value.map(lambda one: dict.fromkeys(names, one))
    for bad in _violations(node["additionalProperties"]):
        yield bad.map(lambda one: {"k": one})


def _bad_objects(node: JsonSchema) -> Iterator[Values]:
    required = node.get("required", ())
    least = {**node, "properties": {name: node["properties"][name] for name in required}}
    for name in required:
        yield allowed({**least, "required": [other for other in required if other != name]}).map(_without(name))
    for name, field in node["properties"].items():
        for bad in _violations(field):
            yield st.tuples(allowed(least), bad).map(_with(name))


def _without(name: str) -> Callable[[Any], Any]:
    return lambda value: {key: field for key, field in value.items() if key != name}


def _with(name: str) -> Callable[[Any], Any]:
    return lambda pair: {**pair[0], name: pair[1]}
