"""`lazaretto identity`: one digest for one workload, or one line that says what to change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lazaretto.domain.identity import identity_of
from tests.unit.cli.conftest import Call

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "chat"}},
    "spec": {"containers": [{"name": "server", "image": "registry/chat@sha256:" + "a" * 64, "args": ["--model", "x"]}]},
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "chat"},
    "spec": {"replicas": 2, "template": TEMPLATE},
}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "chat"}, "spec": {"selector": {"app": "chat"}}}
LINE = identity_of(TEMPLATE) + "\n"
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
"""A few lines that stand for 2^60 values."""


def written(folder: Path, content: str | bytes) -> str:
    path = folder / "manifest.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        yaml.safe_dump(DEPLOYMENT),
        json.dumps(DEPLOYMENT),
        "---\n" + yaml.safe_dump_all([SERVICE, DEPLOYMENT]) + "---\n",
        yaml.safe_dump_all([None, "text", [1], {"spec": None}, {"spec": "text"}, {"spec": [1]}, DEPLOYMENT]),
    ],
    ids=["YAML", "JSON", "several documents", "documents that are no workload"],
)
def test_the_identity_is_printed_alone_from_a_file_and_from_standard_input(
    lazaretto: Call, tmp_path: Path, text: str
) -> None:
    for outcome in (lazaretto("identity", "-f", written(tmp_path, text)), lazaretto("identity", "-f", "-", stdin=text)):
        assert (outcome.status, outcome.out, outcome.err) == (0, LINE, "")


def test_the_long_flag_is_the_same(lazaretto: Call, tmp_path: Path) -> None:
    assert lazaretto("identity", "--filename", written(tmp_path, json.dumps(DEPLOYMENT))).out == LINE


def test_another_image_is_another_identity_and_another_replica_count_is_not(lazaretto: Call) -> None:
    text = json.dumps(DEPLOYMENT)
    assert lazaretto("identity", "-f", "-", stdin=text.replace('"replicas": 2', '"replicas": 7')).out == LINE
    assert lazaretto("identity", "-f", "-", stdin=text.replace("aaaa", "bbbb")).out != LINE


def with_spec(spec: Any) -> str:
    return json.dumps({"spec": {"template": {"spec": spec}}})


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        ("", "holds 0 workloads; give exactly one"),
        (yaml.safe_dump(SERVICE), "holds 0 workloads; give exactly one"),
        (yaml.safe_dump_all([DEPLOYMENT, DEPLOYMENT]), "holds 2 workloads; give exactly one"),
        ("a: [", "not YAML"),
        ("a: !!python/object/apply:os.system [id]", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        ("a: \x1b[31m", "not YAML"),
        (with_spec("text"), "give a pod template that is valid JSON"),
        (with_spec({"containers": 5}), "give a pod template that is valid JSON"),
        (with_spec({"containers": ["text"]}), "give a pod template that is valid JSON"),
        ("{spec: {template: {spec: {volumes: [{a: 2026-01-02}]}}}}", "give a pod template that is valid JSON"),
        ("{spec: {template: {spec: {volumes: [{1: a, b: c}]}}}}", "give a pod template that is valid JSON"),
        ("{spec: {template: {spec: {volumes: &v [*v]}}}}", "not YAML that can be read: aliases are not read here"),
        (BOMB, "not YAML that can be read: aliases are not read here"),
        ("[" * 100_000, "not YAML that can be read: nested too deep"),
    ],
)
def test_what_cannot_be_used_is_one_error_with_field_value_and_remedy(
    lazaretto: Call, tmp_path: Path, content: str | bytes, remedy: str
) -> None:
    path = written(tmp_path, content)
    outcome = lazaretto("identity", "-f", path)
    assert (outcome.status, outcome.out) == (1, "")
    assert "Traceback" not in outcome.err
    first, *more = outcome.err.splitlines()
    assert f"filename: {path!r}: {remedy}" in first
    assert all(line.startswith("    ") for line in more)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_named(lazaretto: Call, tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    outcome = lazaretto("identity", "-f", path)
    assert (outcome.status, outcome.out) == (1, "")
    assert f"filename: {path!r}: give a file that can be read" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_without_a_file_the_usage_is_shown(lazaretto: Call) -> None:
    outcome = lazaretto("identity")
    assert (outcome.status, outcome.out) == (2, "")
    assert "--filename" in outcome.err
