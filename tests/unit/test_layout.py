"""The shape of the tree: what lies where, how long a module may be, and that the drawn error tree is the real one."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest

from lazaretto import errors

ROOT = Path(__file__).parents[2]
TOP_FOLDERS = {"operator", "crds", "helm", "manifests", "tests", "docs"}
TOP_FILES = {"pyproject.toml", "README.md", "Makefile", "Dockerfile", "LICENSE"}
LONGEST_MODULE = 320
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}


@pytest.fixture(scope="module")
def tracked() -> list[PurePosixPath]:
    """Files under version control: what lies about beside them, such as caches, is nobody's concern."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone: without them there is no telling what belongs to the project")
    command = [git, "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [PurePosixPath(name) for name in listed.split("\0") if name]


def modules(folder: str) -> list[Path]:
    found = [path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts]
    assert found
    return found


def test_the_top_level_holds_what_is_agreed_and_nothing_else(tracked: list[PurePosixPath]) -> None:
    folders = {path.parts[0] for path in tracked if len(path.parts) > 1 and not path.parts[0].startswith(".")}
    files = {path.name for path in tracked if len(path.parts) == 1 and not path.name.startswith(".")}
    assert folders == TOP_FOLDERS
    assert files == TOP_FILES


def test_the_operator_folder_holds_one_package_and_is_none_itself(tracked: list[PurePosixPath]) -> None:
    """On `sys.path` it is a mere folder; with an `__init__.py` it would stand in for Python's own `operator`."""
    assert {path.parts[1] for path in tracked if path.parts[0] == "operator"} == {"lazaretto"}
    assert not list((ROOT / "operator").glob("*.py"))


def test_no_module_of_the_product_outgrows_a_reader() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules("operator")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_no_name_says_that_its_owner_did_not_know_what_it_is() -> None:
    named = [path.relative_to(ROOT) for folder in ("operator", "tests") for path in modules(folder)]
    assert [path for path in named if FORBIDDEN_NAMES & {part.removesuffix(".py") for part in path.parts}] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [path for path in modules("operator") if not path.read_text(encoding="utf-8").startswith('"""')]
    assert silent == []


def drawn() -> list[tuple[str, str]]:
    """Each error class of the drawing with the one that it hangs from."""
    found: list[tuple[str, str]] = []
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if not re.match(r" {4}(?:[│├└ ]|LazarettoError)", line):
            continue
        name = re.search(r"[A-Z][A-Za-z]+", line)
        assert name is not None, line
        above[name.start()] = name.group()
        depths = sorted(depth for depth in above if depth < name.start())
        found.append((name.group(), above[depths[-1]] if depths else "Exception"))
        above = {depth: each for depth, each in above.items() if depth <= name.start()}
    return found


def test_the_error_tree_is_drawn_as_it_is() -> None:
    real = {
        (name, each.__bases__[0].__name__)
        for name, each in inspect.getmembers(errors, inspect.isclass)
        if each.__module__ == errors.__name__
    }
    assert Counter(drawn()) == Counter(real)
