"""What in a pod template looks like a secret that somebody wrote down, and what only sounds like one."""

from __future__ import annotations

from typing import Any

import pytest

from lazaretto.domain.literal_secret import literal_secret

TOKEN = "hf_" + "Ab1" * 12


def template(*, annotations: dict[str, str] | None = None, **container: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "server", "image": "registry.example/vllm:1", **container}]}
    return {"metadata": {"annotations": annotations or {}}, "spec": spec}


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (template(env=[{"name": "HF_TOKEN", "value": "anything"}]), "variable HF_TOKEN in container server"),
        (template(env=[{"name": "STORE", "value": "https://u:pw@models/"}]), "variable STORE in container server"),
        (template(env=[{"name": "X", "value": TOKEN}]), "variable X in container server"),
        (template(args=["--api-key", "anything"]), "args in container server"),
        (template(args=["--hub-token=anything"]), "args in container server"),
        (template(command=["sh", "-c", "serve --password=hunter2hunter2 &"]), "command in container server"),
        (template(annotations={"vendor/credentials": "anything"}), "annotation vendor/credentials"),
        (
            template(livenessProbe={"httpGet": {"httpHeaders": [{"name": "Authorization", "value": "Basic x"}]}}),
            "header Authorization in container server",
        ),
        (template(workingDir=f"/cache/{TOKEN}"), "the pod's spec"),
    ],
)
def test_it_is_found_and_its_place_is_told(found: dict[str, Any], shown: str) -> None:
    assert literal_secret(found) == shown
    assert "anything" not in shown
    init = {**found, "spec": {"initContainers": found["spec"]["containers"], "containers": []}}
    assert literal_secret(init) == shown


@pytest.mark.parametrize(
    "harmless",
    [
        template(),
        template(env=[{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}]),
        template(env=[{"name": "HF_TOKEN", "value": ""}]),
        template(env=[{"name": "MAX_TOKENS", "value": "4096"}]),
        template(env=[{"name": "TOKENIZERS_PARALLELISM", "value": "false"}]),
        template(env=[{"name": "API_KEY_FILE", "value": "/var/run/keys/api"}]),
        template(args=["--tokenizer", "example/tokenizer", "--max-num-batched-tokens", "8192"]),
        template(args=["--model", "hf://example/chat@" + "a" * 40]),
        template(annotations={"author": "people", "build": "1"}),
    ],
)
def test_a_reference_a_count_and_a_tokenizer_are_none(harmless: dict[str, Any]) -> None:
    assert literal_secret(harmless) == ""
