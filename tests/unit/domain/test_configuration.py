"""Digests of what workloads are configured with: found wherever a template names it, and never a value."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from lazaretto.domain.configuration import MOST_NAMED, config_maps_of, digests_of, sealed, secrets_of


def workload(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


@pytest.mark.parametrize(
    ("spec", "config_maps", "secrets"),
    [
        ({}, [], []),
        ({"volumes": [{"configMap": {"name": "prompts"}}, {"emptyDir": {}}]}, ["prompts"], []),
        (
            {"volumes": [{"projected": {"sources": [{"configMap": {"name": "a"}}, {"secret": {"name": "s"}}]}}]},
            ["a"],
            ["s"],
        ),
        ({"volumes": [{"secret": {"secretName": "s"}}]}, [], ["s"]),
        (
            {"containers": [{"envFrom": [{"configMapRef": {"name": "env"}}, {"secretRef": {"name": "s"}}]}]},
            ["env"],
            ["s"],
        ),
        ({"initContainers": [{"env": [{"valueFrom": {"configMapKeyRef": {"name": "k", "key": "x"}}}]}]}, ["k"], []),
        ({"containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "k", "key": "x"}}}]}]}, [], ["k"]),
        ({"containers": [{"env": [{"value": "1"}, {"valueFrom": {"fieldRef": {}}}]}]}, [], []),
        (
            {"volumes": [{"configMap": {"name": "b"}}], "containers": [{"envFrom": [{"configMapRef": {"name": "b"}}]}]},
            ["b"],
            [],
        ),
    ],
)
def test_both_are_found_wherever_they_are_named(
    spec: dict[str, Any], config_maps: list[str], secrets: list[str]
) -> None:
    assert config_maps_of([workload(**spec)]) == config_maps
    assert secrets_of([workload(**spec)]) == secrets


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


SECRET: dict[str, Any] = {
    "metadata": {"name": "hub", "uid": "u", "resourceVersion": "7"},
    "data": {"token": "aHVudGVyMg==", "user": "bWU="},
    "type": "Opaque",
}


def test_a_secret_has_one_digest_that_only_its_salt_repeats() -> None:
    content = b'{"token":"aHVudGVyMg==","user":"bWU="}'
    digest = hashlib.scrypt(content, salt=b"salt", n=32768, r=8, p=1, maxmem=2**26, dklen=32).hex()
    found = sealed(SECRET, salt=b"salt")
    assert found == {
        "kind": "Secret",
        **SECRET["metadata"],
        "scrypt": {"salt": b"salt".hex(), "digest": digest, "n": 32768, "r": 8, "p": 1},
    }
    assert sealed(SECRET, salt=b"other")["scrypt"]["digest"] != digest
    assert sealed({**SECRET, "data": {"token": "aHVudGVyMw==", "user": "bWU="}}, salt=b"salt") != found


def test_nothing_of_a_secret_is_in_its_digest() -> None:
    text = json.dumps(sealed(SECRET, salt=b"salt"))
    assert not any(word in text for word in ("hunter2", "aHVudGVyMg", "token", "bWU", "user"))
    assert sealed({"metadata": {"name": "empty"}}, salt=b"")["scrypt"]["digest"]
