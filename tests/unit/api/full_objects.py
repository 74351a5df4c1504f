"""One object of each kind with every field set, for tests that must not miss a field.

`missing_fields` says which fields of a schema an object leaves out; a test keeps the list
empty, so a new field cannot go untested by being forgotten here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lazaretto.api import Resource

Document = dict[str, Any]

_FILE = Path(__file__).with_name("full_objects.yaml")


def full_objects() -> dict[str, Document]:
    """A fresh copy of the objects, by kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(_FILE.read_text(encoding="utf-8"))}


def full_object(kind: type[Resource]) -> Document:
    """A fresh copy of the object of one kind."""
    return full_objects()[kind.facts.kind]


def missing_fields(schema: Mapping[str, Any], *, values: Sequence[Any], path: str = "") -> list[str]:
    """Paths of the fields in a structural schema that none of `values` sets; list items count together."""
    if "items" in schema:
        items = [item for value in values for item in value]
        return missing_fields(schema["items"], values=items, path=f"{path}[]")
    missing = []
    for name, field in schema.get("properties", {}).items():
        present = [value[name] for value in values if name in value]
        below = f"{path}.{name}"
        missing += missing_fields(field, values=present, path=below) if present else [below]
    return missing
