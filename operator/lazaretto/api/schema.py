"""What a kind says about its own schema beyond its Python types.

Kubernetes validates with more than JSON types: CEL rules, list semantics, printer
columns. A kind states them beside the field or class they belong to, and `crdgen`
prints them. Nothing here is used at run time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

JsonSchema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule (`x-kubernetes-validations`).

    A rule that refuses nothing reads exactly like one that works, so the cluster tests
    demand an accepted and a refused example of every rule, and run both against a real
    API server.
    """

    rule: str
    message: str


class _Keyword:
    """A marker for `Annotated` that adds keywords to the JSON schema of its field."""

    def keywords(self) -> Mapping[str, Any]:
        raise NotImplementedError

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        schema = dict(handler(core))
        schema.update(self.keywords())
        return schema


@dataclass(frozen=True, slots=True)
class ListMap(_Keyword):
    """The list is a map by these keys: server-side apply and transition rules see its items."""

    keys: tuple[str, ...]

    def keywords(self) -> Mapping[str, Any]:
        return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(self.keys)}


@dataclass(frozen=True, slots=True)
class ListSet(_Keyword):
    """The list is a set of scalars."""

    def keywords(self) -> Mapping[str, Any]:
        return {"x-kubernetes-list-type": "set"}


@dataclass(frozen=True, slots=True)
class Atomic(_Keyword):
    """The list has one owner who always writes all of it."""

    def keywords(self) -> Mapping[str, Any]:
        return {"x-kubernetes-list-type": "atomic"}


@dataclass(frozen=True, slots=True)
class Rules(_Keyword):
    """CEL rules on one field (a class states its own in `rules`)."""

    rules: tuple[Rule, ...]

    def keywords(self) -> Mapping[str, Any]:
        return {"x-kubernetes-validations": [{"rule": r.rule, "message": r.message} for r in self.rules]}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`. Priority 0 is always shown, 1 only with `-o wide`."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True)
class KindFacts:
    """What the API server must know about a kind besides its schema."""

    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    columns: tuple[Column, ...] = field(default=())
    selectable: tuple[str, ...] = ()
    """Paths of fields by which lists can be narrowed, `.status.state` for one (Kubernetes 1.31 and later)."""
    status_subresource: bool = True
    name_type: Any = None
    """A bounded string type that `metadata.name` must satisfy beyond Kubernetes' own rules."""
