"""What README.md and docs/ say is so: links, names, targets, tables, and the numbers that the code decides."""

from __future__ import annotations

import dataclasses
import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lazaretto.api import KINDS, Containment
from lazaretto.api.containment import ContainmentSpec, Hold
from lazaretto.api.responsepolicy import KnownGoodRule, ReleaseRule
from lazaretto.domain import alert
from lazaretto.domain.alert import Alert, severity_of
from lazaretto.engine import comparison, rounds, sentry, term
from lazaretto.receiver.settings import MIB, Settings
from tests.cluster.test_crds import SAMPLES
from tests.unit.documents import (
    ARCHITECTURE,
    DOCUMENTS,
    README,
    REPOSITORY,
    anchors,
    code_spans,
    commands,
    languages,
    lines,
    links,
    table,
)

MAKEFILE = REPOSITORY / "Makefile"
# Where a path in code type may begin: architecture.md speaks from within the package, and of folders' own files.
ROOTS = (REPOSITORY, REPOSITORY / "operator" / "lazaretto")
PRODUCT = ("operator/lazaretto", "crds", "helm", "manifests", "Makefile", "Dockerfile", "pyproject.toml")
# Names of the world outside, which no file of ours needs to hold.
OUTSIDE = {"kube-apiserver", "etcd", "docker build .", "enforcedNamespaceLabel", "kubectl scale"}


def _project() -> Mapping[str, Any]:
    """The `[project]` of pyproject.toml."""
    loaded: Mapping[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return loaded


def _go() -> str:
    """The newest Go that a tool module asks for."""
    texts = (path.read_text() for path in (REPOSITORY / "tests" / "cluster" / "go").glob("*/go.mod"))
    versions = (re.search(r"^go (\S+)$", text, re.MULTILINE) for text in texts)
    return max((v[1] for v in versions if v), key=lambda version: [int(part) for part in version.split(".")])


def _most(model: type[Any], name: str) -> int:
    """The most items that a list of the model may hold."""
    bounds: list[int] = [m.max_length for m in model.model_fields[name].metadata if hasattr(m, "max_length")]
    (bound,) = bounds
    return bound


RECEIVER: Mapping[str, Any] = {field.name: field.default for field in dataclasses.fields(Settings)}
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


# Links and files


def test_there_are_documents() -> None:
    assert {README, ARCHITECTURE} < set(DOCUMENTS)
    assert len(DOCUMENTS) >= 9


@each_document
def test_a_link_leads_somewhere(document: Path) -> None:
    lost = [target for target in links(document) if not _leads_somewhere(document, target)]
    assert lost == []


def _leads_somewhere(document: Path, target: str) -> bool:
    if re.match(r"https?://", target):
        return True
    path, _, anchor = target.partition("#")
    there = document.parent / path if path else document
    return there.exists() and (not anchor or anchor in anchors(there))


@each_document
def test_a_file_that_is_named_is_there(document: Path) -> None:
    named = [*code_spans(document), *(word for c in commands(document) for word in c.words)]
    files = [name for name in named if re.search(r"\w\.(py|md|toml|yaml)$|^(manifests|docs|crds|helm)\b", name)]
    assert [name for name in files if not _found(name)] == []


def _found(name: str) -> bool:
    return any(any(root.glob(name)) for root in ROOTS) or ("/" not in name and any(ROOTS[1].rglob(name)))


# Names


@each_document
def test_a_name_in_code_type_is_one_that_the_product_knows(document: Path) -> None:
    unknown = {span for span in code_spans(document) if not _known(span)}
    assert unknown - {command.text for command in commands(document)} - OUTSIDE == set()


def test_names_of_the_outside_are_still_told() -> None:
    assert {span for document in DOCUMENTS for span in code_spans(document)} >= OUTSIDE


def _known(span: str) -> bool:
    name, is_condition, status = span.partition("=")
    if is_condition and status in ("True", "False", "Unknown"):
        return f'= "{name}"' in (ROOTS[1] / "api" / "reasons.py").read_text()
    return (
        re.search(rf"(?<!\w){re.escape(span)}(?!\w)", _sources()) is not None
        or _found(span)
        or any(f".{path}".endswith(f".{span}") for path in _field_paths())
    )


@functools.cache
def _sources() -> str:
    """All text of the product."""
    tops = [REPOSITORY / name for name in PRODUCT]
    files = [file for top in tops for file in ([top] if top.is_file() else top.rglob("*")) if file.is_file()]
    return "\n".join(file.read_text() for file in files if "__pycache__" not in file.parts)


@functools.cache
def _field_paths() -> frozenset[str]:
    """Every field of our kinds as `spec.alerts.matchLabels`."""
    definitions = [yaml.safe_load(path.read_text()) for path in (REPOSITORY / "crds").glob("lazaretto.dev_*.yaml")]
    schemas = [version["schema"]["openAPIV3Schema"] for each in definitions for version in each["spec"]["versions"]]
    return frozenset(path for schema in schemas for path in _paths(schema, prefix=""))


def _paths(schema: Mapping[str, Any], *, prefix: str) -> Iterator[str]:
    for name, below in (schema.get("properties") or {}).items():
        yield f"{prefix}{name}"
        yield from _paths(below.get("items", below), prefix=f"{prefix}{name}{'[]' if 'items' in below else ''}.")


# Commands


@each_document
def test_no_block_of_commands_hides_behind_another_language(document: Path) -> None:
    assert languages(document) <= {"sh", ""}
    drawn = [line.text for line in lines(document) if line.language == ""]
    assert not [text for text in drawn if re.match(r"\s*\$?\s*(kubectl|helm|make|docker) ", text)]


@each_document
def test_a_make_target_that_is_named_exists_and_is_listed_by_help(document: Path) -> None:
    listed = set(re.findall(r"^([a-z0-9-]+):.*## ", MAKEFILE.read_text(), re.MULTILINE))
    named = {word for c in commands(document) if c.words[0] == "make" for word in c.words[1:]}
    assert {word for word in named if "=" not in word} <= listed


def test_make_demo_is_told_to_stay_by_the_word_that_it_reads() -> None:
    (variable,) = (w.partition("=")[0] for c in commands(README) for w in c.words if "=" in w and c.words[0] == "make")
    assert f'"{variable}"' in (REPOSITORY / "tests" / "demo" / "__main__.py").read_text()


# Tables and numbers


def test_the_table_of_kinds_is_the_kinds() -> None:
    told = {(row[0], row[1]) for row in table(README, first="Object")}
    assert told == {(f"`{kind.facts.kind}`", f"`{kind.facts.short_names[0]}`") for kind in KINDS}
    assert all(len(kind.facts.short_names) == 1 for kind in KINDS)


def test_the_table_of_labels_is_what_is_read() -> None:
    told = [row[0].strip("`") for row in table(README, first="Label")]
    read = [alert.MODEL, alert.CATEGORY, alert.SEVERITY, alert.REVISION, alert.DRILL]
    # The route that we ship reads the first, the receiver the second.
    assert sorted(told) == sorted(["ai_incident", "namespace", *read])


def test_every_word_for_a_severity_is_one() -> None:
    (meaning,) = (row[1] for row in table(README, first="Label") if row[0] == "`ai_severity`")
    words = re.findall(r"SEV\d|critical|high|warning|info", meaning)
    assert words == ["SEV1", "SEV5", "critical", "high", "warning", "info"]
    for word in words:
        assert severity_of(Alert("", {alert.SEVERITY: word}, "", True, None)) is not None


def test_the_layers_are_drawn_as_they_are_enforced() -> None:
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each["type"] == "layers")
    enforced = [{name.strip().removeprefix("lazaretto.") for name in layer.split("|")} for layer in layers]
    drawn = [line.text for line in lines(ARCHITECTURE) if line.language == "" and line.section == "Layers"]
    assert len(drawn) == len(enforced)
    for text, names in zip(drawn, enforced, strict=True):
        assert names <= set(text.split())
        assert text.split()[0] in names


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (ARCHITECTURE, f"The ticker ({term.TICK:g} s)"),
        (ARCHITECTURE, f"per held model every {term.TICK:g} s"),
        (ARCHITECTURE, f"every {term.SURVEY_AGAIN:g} s while something is missing"),
        (
            README,
            f"An approval counts for {ReleaseRule().approvals_expire.removesuffix('h')} h (`release.approvalsExpire`)",
        ),
        (README, f"attested, or {KnownGoodRule().soak.removesuffix('h')} h without an incident"),
        (README, f"more than {_most(Hold, 'compromised')} compromised Deployments"),
        (README, f"of more than {_most(ContainmentSpec, 'targets')} objects to touch"),
        (README, f"over {RECEIVER['largest_body'] // MIB} MiB or {RECEIVER['most_alerts']} alerts"),
        (README, f"Beyond {sentry.MOST_STREAMS} held objects"),
        (
            README,
            f"with more than {term.TICK / rounds.SHORTEST_PAUSE:g} held models less often, five models a second",
        ),
        (README, f"Python {_project()['requires-python'].removeprefix('>=')}+ and Go {_go()}+"),
    ],
)
def test_a_number_is_the_one_in_the_code(document: Path, sentence: str) -> None:
    assert sentence in " ".join(document.read_text().split())


def test_a_minute_is_a_minute() -> None:
    """architecture.md says `every minute` of both."""
    assert (term.SURVEY_EVERY, comparison.RELIST_EVERY) == (60.0, 60.0)


# Samples


def test_every_sample_is_applied_to_a_server_by_a_test() -> None:
    folder = REPOSITORY / "manifests" / "samples"
    assert {path for path in folder.rglob("*") if path.is_file()} == set(SAMPLES)


def test_every_kind_that_people_write_has_a_sample() -> None:
    shown = {body["kind"] for path in SAMPLES for body in yaml.safe_load_all(path.read_text())}
    assert shown == {kind.facts.kind for kind in KINDS} - {Containment.facts.kind}
