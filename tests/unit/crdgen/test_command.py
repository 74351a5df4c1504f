"""`python -m lazaretto.crdgen`: what it writes, what it calls stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazaretto.crdgen import render_all
from lazaretto.crdgen.__main__ import main

INCIDENTS = "lazaretto.dev_aiincidents.yaml"
GONE = "lazaretto.dev_gone.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with fresh definitions."""
    assert main([str(tmp_path / "crds")]) == 0
    return tmp_path / "crds"


def test_it_writes_every_file(folder: Path) -> None:
    assert {path.name: path.read_text() for path in folder.iterdir()} == render_all()


def test_what_it_wrote_is_not_stale(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(folder)]) == 0
    assert capsys.readouterr() == ("", "")


def edited(folder: Path) -> str:
    (folder / INCIDENTS).write_text((folder / INCIDENTS).read_text().replace("maxItems: 64", "maxItems: 65"))
    return INCIDENTS


def removed(folder: Path) -> str:
    (folder / "kustomization.yaml").unlink()
    return "kustomization.yaml"


def left_over(folder: Path) -> str:
    (folder / GONE).write_text("kind: CustomResourceDefinition\n")
    return GONE


@pytest.mark.parametrize("spoil", [edited, removed, left_over])
def test_a_stale_file_is_named_with_the_remedy_and_repaired_by_writing(
    spoil: object, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(spoil)
    name = spoil(folder)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert main(["--check", str(folder)]) == 1
    assert capsys.readouterr().err == f"{folder / name} is stale\nrun `make crds` and commit the result\n"
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert main([str(folder)]) == 0
    assert main(["--check", str(folder)]) == 0


def test_files_of_others_are_left_alone(folder: Path) -> None:
    (folder / "README.md").write_text("mine")
    assert main(["--check", str(folder)]) == 0
    assert main([str(folder)]) == 0
    assert (folder / "README.md").read_text() == "mine"
