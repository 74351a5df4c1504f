"""The image cannot be built everywhere; what it is built from can be checked everywhere."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lazaretto import __version__
from tests.unit.install.sources import REPOSITORY

LINES = re.sub(r"\\\n", " ", (REPOSITORY / "Dockerfile").read_text()).splitlines()


def instructions(name: str) -> list[str]:
    return [line.removeprefix(name).strip() for line in LINES if line.startswith(f"{name} ")]


def copied() -> Iterator[tuple[list[str], str]]:
    """Sources and destination of each COPY from the build context."""
    for arguments in instructions("COPY"):
        if not arguments.startswith("--from="):
            *sources, destination = arguments.split()
            yield sources, destination


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps `path` out: the last line that matches it or a folder above decides."""
    parts = Path(path).parts
    prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    result = False
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and any(_matches(prefix, pattern) for prefix in prefixes):
            result = not line.startswith("!")
    return result


def _matches(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatch(Path(path).name, pattern.removeprefix("**/"))
    return fnmatch.fnmatch(path, pattern) and path.count("/") == pattern.count("/")


def test_everything_that_is_copied_exists_and_is_sent() -> None:
    sources = [source for each, _ in copied() for source in each]
    assert sources
    for source in sources:
        assert (REPOSITORY / source).exists(), source
        assert not ignored(source), source
    assert ignored("operator/lazaretto/__pycache__/x.pyc")
    assert ignored(".git/config")
    assert ignored(".venv")
    assert ignored("tests/conftest.py")
    assert not ignored("operator/lazaretto/api/meta.py")


def test_the_last_stage_runs_as_nobody_without_a_shell() -> None:
    last = LINES[max(index for index, line in enumerate(LINES) if line.startswith("FROM ")) :]
    assert [line for line in last if line.startswith("USER ")] == ["USER 65532:65532"]
    assert [line for line in last if line.startswith(("ENTRYPOINT", "CMD"))] == ['ENTRYPOINT ["lazaretto"]']
    assert not [line for line in last if line.startswith(("RUN", "ADD"))]
    assert "PYTHONSAFEPATH=1" in " ".join(line for line in last if line.startswith("ENV"))


def test_everything_that_is_fetched_is_pinned_by_hash() -> None:
    commands = [part for line in instructions("RUN") for part in line.split("&&") if re.search(r"\bpip\b", part)]
    installs = [part for part in commands if " install " in part]
    assert len(installs) == 3
    for command in installs:
        assert "--require-hashes" in command or "--no-index" in command, command
    assert any("-r .locks/runtime.txt" in command and "--require-hashes" in command for command in installs)
    for command in commands:
        if " wheel " in command:
            assert {"--no-deps", "--no-build-isolation"} <= set(command.split())


def test_the_build_backend_comes_from_the_lock(tmp_path: Path) -> None:
    """Runs the command that picks it out of the lock."""
    command = next(part for line in instructions("RUN") for part in line.split("&&") if "awk" in part)
    shutil.copytree(REPOSITORY / ".locks", tmp_path / ".locks")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, timeout=120)
    chosen = (tmp_path / ".locks" / "build.txt").read_text()
    names = re.findall(r"^([a-z-]+)==", chosen, re.MULTILINE)
    assert names == ["hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers"]
    assert "hatchling==1.33.0" in chosen
    assert 'requires = ["hatchling==1.33.0"]' in (REPOSITORY / "pyproject.toml").read_text()
    for block in re.split(r"(?m)^(?=[a-z-]+==)", chosen)[1:]:
        assert "--hash=sha256:" in block


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as the image's build makes it: from what is copied, and nothing else."""
    context = tmp_path_factory.mktemp("context")
    for sources, destination in copied():
        for source in sources:
            target = context / destination / Path(source).name if destination.endswith("/") else context / destination
            target.parent.mkdir(parents=True, exist_ok=True)
            if (REPOSITORY / source).is_dir():
                shutil.copytree(REPOSITORY / source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(REPOSITORY / source, target)
    subprocess.run(
        [sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel"],
        cwd=context,
        env={"PATH": os.environ["PATH"], "HOME": str(context), "SOURCE_DATE_EPOCH": "1767225600"},
        check=True,
        capture_output=True,
        timeout=120,
    )
    (built,) = (context / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_the_command(wheel: Path) -> None:
    assert wheel.name == f"lazaretto-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = f"lazaretto-{__version__}.dist-info"
        assert "lazaretto = lazaretto.cli.main:main" in archive.read(f"{about}/entry_points.txt").decode()
        assert f"{about}/licenses/LICENSE" in names
    source = REPOSITORY / "operator" / "lazaretto"
    modules = {f"lazaretto/{path.relative_to(source).as_posix()}" for path in source.rglob("*.py")}
    assert modules <= names
    assert {name.split("/")[0] for name in names} == {"lazaretto", about}


def test_the_wheel_imports_on_its_own(wheel: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import lazaretto.api, sys; print(lazaretto.api.__file__)"],
        cwd=wheel.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.startswith(str(wheel))
