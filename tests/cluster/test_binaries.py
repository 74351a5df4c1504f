"""Tests how programs are found, checked and cached, without building any."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from tests.cluster import binaries as subject
from tests.cluster.cache import CacheEntry, cache_root
from tests.cluster.gobuild import ToolError, go_command
from tests.cluster.toolset import Version, pinned, product_of, products


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, an empty PATH, no assets."""
    monkeypatch.setenv("LAZARETTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)


def program(folder: Path, *, name: str, says: str) -> Path:
    """Writes an executable that prints `says`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def put(entry: CacheEntry, *, name: str, text: str) -> None:
    """Stores one file."""
    with entry.locked() as scratch:
        (scratch / name).write_text(text)
        entry.put({name: scratch / name})


def test_versions_come_from_the_tool_modules() -> None:
    found = {product.name: str(product.version) for product in products()}
    assert found["kubernetes"] == str(pinned("kubernetes", module="k8s.io/kubernetes"))
    assert found["prometheus"].startswith("3.")
    assert set(found) == {"kubernetes", "etcd", "kwok", "helm", "prometheus", "alertmanager", "keda"}


@pytest.mark.parametrize(
    ("name", "says", "accepted"),
    [
        ("kube-apiserver", "Kubernetes v1.37.9", True),
        ("kube-apiserver", "Kubernetes v1.36.2", False),
        ("kubectl", "Client Version: v1.36.0", True),
        ("kubectl", "Client Version: v1.38.1", True),
        ("kubectl", "Client Version: v1.32.4-dispatcher", False),
        ("etcd", "etcd Version: 3.5.0", True),
        ("etcd", "etcd Version: 3.4.30", False),
        ("helm", "v3.12.1+gf32a527", True),
        ("helm", "v4.0.0", False),
        ("prometheus", "prometheus, version 2.42.0+ds (branch: debian)", False),
        ("kwok", "kwok version v0.8.1 go1.26.8 (linux/amd64)", True),
        ("kwok", "no number here", False),
    ],
)
def test_installed_program_counts_only_in_a_fitting_version(
    tmp_path: Path, name: str, says: str, accepted: bool
) -> None:
    path = program(tmp_path / "path", name=name, says=says)
    assert subject.installed(name) == (path if accepted else None)


def test_assets_folder_comes_before_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path / "path", name="etcd", says="etcd Version: 3.6.0")
    assets = program(tmp_path / "assets", name="etcd", says="etcd Version: 3.6.1")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets.parent))
    assert subject.binary("etcd") == assets


def test_cached_program_is_used_without_go() -> None:
    entry = subject.cache_entry(product_of("etcd"))
    put(entry, name="etcd", text="program")
    assert subject.binary("etcd") == entry.folder / "etcd"


def test_corrupt_cached_program_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    entry = subject.cache_entry(product_of("etcd"))
    put(entry, name="etcd", text="program")
    (entry.folder / "etcd").write_text("prograM")

    def build(product: object, *, programs: list[str], scratch: Path, say: object) -> dict[str, Path]:
        (scratch / "etcd").write_text("program")
        return {"etcd": scratch / "etcd"}

    monkeypatch.setattr(subject, "build", build)
    path = subject.binary("etcd", say=said.append)
    assert path.read_text() == "program"
    assert "does not match its checksum" in said[0]


def test_file_without_a_recorded_checksum_counts_as_absent(tmp_path: Path) -> None:
    entry = CacheEntry(tmp_path / "entry")
    put(entry, name="one", text="1")
    (entry.folder / "two").write_text("2")
    assert entry.find("two") is None
    assert entry.names() == ["one"]


def test_checksums_can_be_checked_by_sha256sum(tmp_path: Path) -> None:
    entry = CacheEntry(tmp_path / "entry")
    put(entry, name="one", text="1")
    assert (entry.folder / "SHA256SUMS").read_text() == f"{hashlib.sha256(b'1').hexdigest()}  one\n"


def test_cache_folder_depends_on_everything_that_decides_the_result() -> None:
    names = {subject.cache_entry(product).folder.name for product in products()}
    assert len(names) == len(products())
    assert all(folder.count("-") >= 2 for folder in names)
    assert cache_root() in subject.cache_entry(product_of("etcd")).folder.parents


def test_second_run_waits_for_the_first(tmp_path: Path) -> None:
    said: list[str] = []
    waiting = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waiting.set()

    def second() -> None:
        put(CacheEntry(tmp_path / "entry", say=say), name="two", text="2")

    thread = threading.Thread(target=second)
    with CacheEntry(tmp_path / "entry").locked():
        thread.start()
        assert waiting.wait(timeout=60)
        assert not (tmp_path / "entry").exists()
    thread.join(timeout=60)
    assert "another run is making entry" in said[0]
    assert CacheEntry(tmp_path / "entry").find("two") is not None


def test_missing_go_is_named_with_the_remedy() -> None:
    with pytest.raises(ToolError, match=r"etcd 3\.5 or later: .* no Go to build it: install Go 1\.\d+"):
        subject.binary("etcd")


def test_old_go_is_named_with_the_remedy(tmp_path: Path) -> None:
    program(tmp_path / "path", name="go", says="go1.19.8")
    with pytest.raises(ToolError, match=r"is version 1\.19\.8, too old: install Go"):
        go_command("etcd", folder=product_of("etcd").module_folder)


def test_unknown_program_is_refused() -> None:
    with pytest.raises(KeyError, match="no tool is called nginx"):
        subject.binary("nginx")


def test_version_is_found_in_prose() -> None:
    assert Version.find("etcd Version: 3.7.3\nGit SHA: 1.2") == Version(3, 7, 3)
    assert Version.find("unknown") is None
