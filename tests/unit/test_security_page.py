"""The page about attacks names tests that are there, and every attack on the running receiver is on it."""

from __future__ import annotations

import ast

import pytest

from tests.unit.documents import REPOSITORY, lines

PAGE = REPOSITORY / "docs" / "reference" / "security-tests.md"
COLUMNS = ["Attack", "What happens", "Test"]
SIEGE = ("test_receiver_siege.py", "test_receiver_documents.py", "test_hostile_text.py")


def _rows() -> list[list[str]]:
    """The cells of all rows below a head."""
    cells = [[cell.strip() for cell in line.text.strip("|").split("|")] for line in lines(PAGE) if "|" in line.text]
    return [row for row in cells if row != COLUMNS and set(row[0]) != {"-"}]


def _tests(name: str) -> set[str]:
    """The test functions of one file; none if there is no such file."""
    path = REPOSITORY / name
    found = ast.parse(path.read_text()).body if path.is_file() else []
    return {
        f"{name}::{each.name}"
        for each in found
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_")
    }


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0])
def test_an_attack_has_an_outcome_and_a_test_that_is_there(row: list[str]) -> None:
    assert len(row) == len(COLUMNS)
    assert all(row)
    assert row[2] in _tests(row[2].partition("::")[0])


def test_an_attack_is_told_once() -> None:
    attacks = [row[0] for row in _rows()]
    assert len(attacks) > 30
    assert len(set(attacks)) == len(attacks)


@pytest.mark.parametrize("name", SIEGE)
def test_every_attack_on_the_running_receiver_is_told(name: str) -> None:
    told = {row[2] for row in _rows()}
    # The same attack is told by the test that shows it sharpest.
    elsewhere = {"tests/cluster/test_receiver_siege.py::test_connections_that_never_begin_tls_are_bounded_as_well"}
    assert _tests(f"tests/cluster/{name}") - elsewhere <= told
