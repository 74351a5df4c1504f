"""The installation's files as the tests read them."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.binaries import binary

REPOSITORY = Path(__file__).parents[3]
BASE = REPOSITORY / "manifests" / "base"
POLICIES = REPOSITORY / "manifests" / "policies"
FENCE = REPOSITORY / "manifests" / "fence"
OPT_IN = REPOSITORY / "manifests" / "opt-in"
ALERTING = REPOSITORY / "manifests" / "alerting"
CHART = REPOSITORY / "helm" / "lazaretto"
CRD_CHART = REPOSITORY / "helm" / "lazaretto-crds"
NAMESPACE = "lazaretto-system"

Object = Mapping[str, Any]
Key = tuple[str, str, str]


class RenderError(RuntimeError):
    """The program refused to render; the text says why."""


def documents(text: str) -> list[dict[str, Any]]:
    """Every YAML document of `text` that is not empty."""
    return [each for each in yaml.safe_load_all(text) if each]


def key(obj: Object) -> Key:
    """Kind, namespace and name of an object."""
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def by_key(objects: Iterable[Object]) -> dict[Key, Object]:
    """The objects by key; a second one of the same key is an error."""
    found: dict[Key, Object] = {}
    for obj in objects:
        if key(obj) in found:
            raise ValueError(f"{key(obj)} is there twice")
        found[key(obj)] = obj
    return found


def kustomization(folder: Path) -> list[str]:
    """The resources that a kustomization names."""
    loaded = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return list(loaded["resources"])


@functools.cache
def base() -> dict[Key, Object]:
    """Every object of manifests/base, policies included, by key; read without any program."""
    return by_key(_walk(BASE))


def _walk(folder: Path) -> Iterator[Object]:
    for name in kustomization(folder):
        path = folder / name
        yield from _walk(path) if path.is_dir() else documents(path.read_text())


def of_kind(kind: str) -> dict[str, Object]:
    """Objects of one kind in manifests/base by name."""
    return {name: obj for (found, _, name), obj in base().items() if found == kind}


def rights(role: Object) -> set[tuple[str, str, str]]:
    """What a role grants, as (group, resource, verb)."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def known_options(*command: str) -> set[str]:
    """The options that the help of `lazaretto <command>` names."""
    done = subprocess.run(
        [sys.executable, "-m", "lazaretto", *command, "--help"],
        cwd=REPOSITORY / "operator",
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(re.findall(r"--[a-z][a-z-]*", done.stdout))


def kustomized(folder: Path) -> dict[Key, Object]:
    """What `kubectl kustomize` makes of a folder."""
    return by_key(documents(_run("kubectl", "kustomize", str(folder))))


def helm_text(chart: Path, *settings: str, namespace: str = NAMESPACE) -> str:
    """What `helm template` renders with the given `--set-json` values."""
    flags = [flag for setting in settings for flag in ("--set-json", setting)]
    return _run("helm", "template", chart.name, str(chart), "--namespace", namespace, *flags)


def helm(chart: Path, *settings: str, namespace: str = NAMESPACE) -> dict[Key, Object]:
    """The same as objects by key."""
    return by_key(documents(helm_text(chart, *settings, namespace=namespace)))


def _run(program: str, *arguments: str) -> str:
    done = subprocess.run([str(binary(program)), *arguments], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise RenderError(done.stderr.strip())
    return done.stdout
