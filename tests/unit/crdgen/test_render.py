"""Whole definitions and the text of their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
import yaml
from pydantic import Field

from lazaretto.api import KINDS, AIIncident, Containment, IncidentDecision, ProtectedModel, Resource
from lazaretto.api.meta import ApiModel, ModelName
from lazaretto.api.schema import Column, JsonSchema, KindFacts, Rule, Rules
from lazaretto.crdgen import SchemaError, render, render_all
from lazaretto.crdgen.__main__ import stale_files
from lazaretto.crdgen.render import print_yaml
from tests.unit.crdgen.kind_rules import rules_of

REPOSITORY = Path(__file__).parents[3]

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.facts.kind)

Short = Annotated[str, Field(max_length=8)]


class BoatSpec(ApiModel):
    name: Short
    crew: Annotated[Short, Rules((Rule("self != 'none'", "a boat has a crew"),))] = "two"


class BoatStatus(ApiModel):
    berth: Short = ""


BOAT = KindFacts(kind="Boat", plural="boats", singular="boat", short_names=("bt",))


class Boat(Resource):
    """What floats."""

    facts: ClassVar[KindFacts] = BOAT

    spec: BoatSpec
    status: BoatStatus = BoatStatus()


def boat_with(**changes: Any) -> type[Boat]:
    """The kind `Boat` with other facts."""
    values = {name: getattr(BOAT, name) for name in BOAT.__dataclass_fields__}
    return type("Boat", (Boat,), {"facts": KindFacts(**{**values, **changes}), "__doc__": Boat.__doc__})


def version(kind: type[Resource]) -> dict[str, Any]:
    (only,) = render(kind)["spec"]["versions"]
    return dict(only)


def schema(kind: type[Resource]) -> JsonSchema:
    return dict(version(kind)["schema"]["openAPIV3Schema"])


def test_a_definition_says_everything_about_its_kind() -> None:
    definition = render(boat_with(columns=(Column("Berth", ".status.berth", priority=1, description="Where."),)))
    digest = definition["metadata"]["annotations"].pop("lazaretto.dev/schema-sha256")
    assert len(digest) == 64
    assert definition == {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.lazaretto.dev", "annotations": {}},
        "spec": {
            "group": "lazaretto.dev",
            "names": {
                "kind": "Boat",
                "listKind": "BoatList",
                "plural": "boats",
                "singular": "boat",
                "shortNames": ["bt"],
                "categories": ["lazaretto"],
            },
            "scope": "Namespaced",
            "conversion": {"strategy": "None"},
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [
                        {
                            "name": "Berth",
                            "type": "string",
                            "jsonPath": ".status.berth",
                            "description": "Where.",
                            "priority": 1,
                        }
                    ],
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema(Boat)},
                }
            ],
        },
    }
    assert schema(Boat) == {
        "description": "What floats.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "spec": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 8},
                    "crew": {
                        "type": "string",
                        "maxLength": 8,
                        "default": "two",
                        "x-kubernetes-validations": [{"rule": "self != 'none'", "message": "a boat has a crew"}],
                    },
                },
            },
            "status": {"type": "object", "properties": {"berth": {"type": "string", "maxLength": 8, "default": ""}}},
        },
    }


def test_a_kind_without_columns_leaves_them_out() -> None:
    assert "additionalPrinterColumns" not in version(Boat)


def test_a_kind_without_status_has_no_status_subresource() -> None:
    assert "subresources" not in version(IncidentDecision)


def test_a_kind_may_bound_its_name() -> None:
    assert "metadata" not in schema(Boat)["properties"]
    assert schema(boat_with(name_type=ModelName))["properties"]["metadata"] == {
        "type": "object",
        "properties": {
            "name": {
                "type": "string",
                "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
                "minLength": 1,
                "maxLength": 52,
            }
        },
    }


@pytest.mark.parametrize("kind", [ProtectedModel, Containment])
def test_a_kind_named_like_a_model_allows_no_name_that_references_refuse(kind: type[Resource]) -> None:
    properties = schema(kind)["properties"]
    model = dict(schema(AIIncident)["properties"]["spec"]["properties"]["target"]["properties"]["model"])
    del model["description"]
    assert properties["metadata"]["properties"]["name"] == model


@pytest.mark.parametrize("path", [".status.bert", ".spec.name.first", ".spec.name[*]", "status.berth", ".status[0]"])
def test_a_column_must_show_a_field(path: str) -> None:
    with pytest.raises(SchemaError, match=r"^Boat: column Berth shows .* which is not a field"):
        render(boat_with(columns=(Column("Berth", path),)))


def test_lists_can_be_narrowed_by_what_is_a_field() -> None:
    assert version(boat_with(selectable=(".status.berth",)))["selectableFields"] == [{"jsonPath": ".status.berth"}]
    assert "selectableFields" not in version(Boat)
    with pytest.raises(SchemaError, match=r"^Boat: lists are narrowed by .status.bert, which is not a field"):
        render(boat_with(selectable=(".status.bert",)))


def test_a_status_without_its_subresource_is_refused() -> None:
    with pytest.raises(SchemaError, match="a status subresource and a field status go together"):
        render(boat_with(status_subresource=False))


def test_an_unbounded_name_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"Boat\.metadata\.name: a string needs max_length"):
        render(boat_with(name_type=str))


def test_the_digest_changes_with_the_schema_only() -> None:
    def digest(kind: type[Resource]) -> object:
        return render(kind)["metadata"]["annotations"]["lazaretto.dev/schema-sha256"]

    assert digest(boat_with(short_names=("b",))) == digest(Boat)
    assert digest(boat_with(name_type=ModelName)) != digest(Boat)


def printed_rules(node: JsonSchema) -> Iterator[Rule]:
    for rule in node.get("x-kubernetes-validations", ()):
        yield Rule(**rule)
    for field in node.get("properties", {}).values():
        yield from printed_rules(field)
    for inner in node.keys() & {"items", "additionalProperties"}:
        yield from printed_rules(node[inner])


@each_kind
def test_every_rule_of_a_kind_is_printed(kind: type[Resource]) -> None:
    stated = sorted(rules_of(kind), key=repr)
    assert sorted(printed_rules(schema(kind)), key=repr) == stated


def test_rules_on_fields_are_found_too() -> None:
    assert list(rules_of(Boat)) == [Rule("self != 'none'", "a boat has a crew")]


@each_kind
def test_the_text_of_a_definition_means_what_was_rendered(kind: type[Resource]) -> None:
    text = render_all()[f"lazaretto.dev_{kind.facts.plural}.yaml"]
    assert text.startswith("# Generated by `lazaretto crds`; do not edit.\n")
    assert yaml.safe_load(text) == render(kind)


def test_the_kustomization_lists_every_definition() -> None:
    files = render_all()
    assert yaml.safe_load(files["kustomization.yaml"])["resources"] == sorted(set(files) - {"kustomization.yaml"})
    assert len(files) == len(KINDS) + 1


def test_yaml_has_no_anchors_and_shows_paragraphs_as_blocks() -> None:
    shared = ["a"]
    assert print_yaml({"b": shared, "a": shared, "text": "one\n\ntwo"}) == (
        "b:\n- a\na:\n- a\ntext: |-\n  one\n\n  two\n"
    )


def test_the_stored_definitions_are_fresh() -> None:
    assert stale_files(REPOSITORY / "crds") == [], "run `make crds`"
