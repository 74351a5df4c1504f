"""The pages about attacks and faults name tests that are there, and every attack on the running receiver is told."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.unit.documents import REPOSITORY, lines

ATTACKS = REPOSITORY / "docs" / "reference" / "security-tests.md"
FAULTS = REPOSITORY / "docs" / "reference" / "fault-tests.md"
HEADS = (["Attack", "What happens", "Test"], ["Fault", "What holds", "Test"])
_ABOUT_THE_TABLE = ("test_these_are_all_writes", "test_the_table_")
SIEGE = ("test_receiver_siege.py", "test_receiver_documents.py", "test_hostile_text.py")


def _rows(page: Path) -> list[list[str]]:
    """The cells of all rows below a head."""
    cells = [[cell.strip() for cell in line.text.strip("|").split("|")] for line in lines(page) if "|" in line.text]
    return [row for row in cells if row not in HEADS and set(row[0]) != {"-"}]


def _tests(name: str) -> set[str]:
    """The test functions of one file; none if there is no such file."""
    path = REPOSITORY / name
    found = ast.parse(path.read_text()).body if path.is_file() else []
    return {
        f"{name}::{each.name}"
        for each in found
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_")
    }


@pytest.mark.parametrize("row", [*_rows(ATTACKS), *_rows(FAULTS)], ids=lambda row: row[0])
def test_an_attack_or_fault_has_an_outcome_and_a_test_that_is_there(row: list[str]) -> None:
    assert len(row) == len(HEADS[0])
    assert all(row)
    assert row[2] in _tests(row[2].partition("::")[0])


@pytest.mark.parametrize("page", [ATTACKS, FAULTS], ids=lambda page: page.stem)
def test_each_is_told_once(page: Path) -> None:
    told = [row[0] for row in _rows(page)]
    assert len(told) > 30
    assert len(set(told)) == len(told)


def test_every_story_of_the_table_of_faults_is_told() -> None:
    told = {row[2] for row in _rows(FAULTS)}
    # The rest is about the table itself, or the same fault seen from another side.
    beside = {"test_page.py", "test_mutations.py"}
    files = [path.name for path in (REPOSITORY / "tests" / "faults").glob("test_*.py") if path.name not in beside]
    stories = {test for name in files for test in _tests(f"tests/faults/{name}")}
    assert {test for test in stories - told if not test.partition("::")[2].startswith(_ABOUT_THE_TABLE)} == set()


@pytest.mark.parametrize("name", SIEGE)
def test_every_attack_on_the_running_receiver_is_told(name: str) -> None:
    told = {row[2] for row in _rows(ATTACKS)}
    # The same attack is told by the test that shows it sharpest.
    elsewhere = {"tests/cluster/test_receiver_siege.py::test_connections_that_never_begin_tls_are_bounded_as_well"}
    assert _tests(f"tests/cluster/{name}") - elsewhere <= told
