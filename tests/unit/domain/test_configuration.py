"""Digests of what workloads are configured with: found wherever a template names it, and never a value."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from lazaretto.domain.configuration import MOST_NAMED, config_maps_of, digests_of


def workload(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({}, []),
        ({"volumes": [{"configMap": {"name": "prompts"}}, {"emptyDir": {}}]}, ["prompts"]),
        ({"volumes": [{"projected": {"sources": [{"configMap": {"name": "a"}}, {"secret": {"name": "s"}}]}}]}, ["a"]),
        ({"volumes": [{"secret": {"secretName": "s"}}]}, []),
        ({"containers": [{"envFrom": [{"configMapRef": {"name": "env"}}, {"secretRef": {"name": "s"}}]}]}, ["env"]),
        ({"initContainers": [{"env": [{"valueFrom": {"configMapKeyRef": {"name": "k", "key": "x"}}}]}]}, ["k"]),
        ({"containers": [{"env": [{"value": "1"}, {"valueFrom": {"fieldRef": {}}}]}]}, []),
        (
            {"volumes": [{"configMap": {"name": "b"}}], "containers": [{"envFrom": [{"configMapRef": {"name": "b"}}]}]},
            ["b"],
        ),
    ],
)
def test_config_maps_are_found_wherever_they_are_named(spec: dict[str, Any], names: list[str]) -> None:
    assert config_maps_of([workload(**spec)]) == names


def test_no_more_than_a_part_can_hold() -> None:
    many = [workload(volumes=[{"configMap": {"name": f"c{n:03}"}}]) for n in range(99)]
    assert config_maps_of([*many, {}, {"spec": None}]) == [f"c{n:03}" for n in range(MOST_NAMED)]


def test_only_digests_are_kept() -> None:
    body = {
        "metadata": {"name": "prompts", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}},
        "data": {"system": "you are"},
        "binaryData": {"blob": "AAE="},
    }
    assert digests_of(body) == {
        "name": "prompts",
        "uid": "u",
        "resourceVersion": "7",
        "sha256": {"blob": hashlib.sha256(b"\x00\x01").hexdigest(), "system": hashlib.sha256(b"you are").hexdigest()},
    }
