"""What must not be copied is not in what is kept, wherever it stood; what identifies an object is."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.domain.redaction import REDACTED, free_text, log_lines, redacted

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
SECRETS = st.text(string.ascii_letters + string.digits, min_size=6, max_size=40).map(lambda text: f"Zq{text}7")
"""Values that no name below contains."""

TOKENS = [
    "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "sk-proj-Ab12Cd34Ef56Gh78Ij90",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_11ABCDEFG0abcdefghijkl_mnop",
    "glpat-ABcd1234efGH5678ijkl",
    "nvapi-AbCd_1234-EfGh5678",
    "xoxb-1234567890-AbCdEfGhIjKl",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA1b2C3d4E5f6G7h8I9j0",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl",
    "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
]
PLACES: Mapping[str, Callable[[str], Any]] = {
    "argument": lambda text: {"args": [f"--key-file={text}"]},
    "command": lambda text: {"command": ["sh", "-c", f"serve {text} && echo"]},
    "annotation": lambda text: {"metadata": {"annotations": {"note": f"see {text}"}}},
    "event": lambda text: {"message": f"failed with {text}"},
    "elsewhere": lambda text: {"spec": {"host": text}},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("token", TOKENS)
def test_no_known_token_survives_anywhere(token: str, place: str) -> None:
    assert token not in json.dumps(redacted(PLACES[place](token)))
    assert REDACTED in json.dumps(redacted(PLACES[place](token)))


@given(values=st.dictionaries(st.text(string.ascii_uppercase, min_size=1, max_size=9), SECRETS, min_size=1, max_size=4))
def test_no_value_of_a_variable_or_header_survives_and_its_name_does(values: dict[str, str]) -> None:
    pairs = [{"name": name, "value": value} for name, value in values.items()]
    container = {"name": "c", "env": pairs, "livenessProbe": {"httpGet": {"httpHeaders": pairs}}}
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(container)}
    copied = {"a": json.dumps(container), "b": json.dumps(pairs)}
    obj = {"metadata": {"annotations": applied | copied}, "spec": {"initContainers": [container]}}
    found = json.dumps(redacted(obj))
    assert not [value for value in values.values() if value in found]
    assert all(f'"{name}"' in found for name in values)


@given(
    secret=SECRETS,
    word=st.sampled_from(["token", "API_KEY", "hf-token", "password", "client.secret", "x-auth", "authorization"]),
)
@pytest.mark.parametrize(
    "arguments",
    [
        ["--{word}={secret}"],
        ["--{word}", "{secret}"],
        ["sh", "-c", "export {word}={secret}; serve"],
        ["curl -H '{word}: Bearer {secret}' https://registry.example"],
        ["https://user:{secret}@registry.example/model"],
    ],
)
def test_what_follows_the_name_of_a_secret_goes(arguments: list[str], secret: str, word: str) -> None:
    stated = [each.format(word=word, secret=secret) for each in arguments]
    assert secret not in json.dumps(redacted({"args": stated}))


def test_what_identifies_an_object_stays() -> None:
    digest = "sha256:" + "0123456789abcdef" * 4
    obj: dict[str, Any] = {
        "metadata": {
            "name": "sk-learn-serving-v2-7d9f8b6c5d-x2x4z",
            "uid": "5e1ba4cd-60c3-4a68-9f63-6d1c31f5f0c5",
            "annotations": {"deployment.kubernetes.io/revision": "3", "model.example/digest": digest},
        },
        "spec": {
            "containers": [
                {
                    "name": "server",
                    "image": f"registry.example/team/vllm-openai:v0.11.0@{digest}",
                    "args": ["--model=/models/Meta-Llama-3.1-8B-Instruct-GPTQ-INT4", "--max-tokens", "--port", "8000"],
                    "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "vendor", "key": "token"}}}],
                    "envFrom": [{"configMapRef": {"name": "settings"}}],
                }
            ],
            "volumes": [{"name": "tls", "secret": {"secretName": "serving-tls"}}],
        },
        "status": {"containerStatuses": [{"imageID": f"registry.example/team/vllm@{digest}"}]},
    }
    assert redacted(obj) == obj


def test_a_document_within_an_annotation_goes() -> None:
    for text in ('{"a": 1}', " [1]", "word " * 4000):
        assert redacted({"annotations": {"a": text}}) == {"annotations": {"a": REDACTED}}


def test_managed_fields_go() -> None:
    assert redacted({"metadata": {"name": "a", "managedFields": [{}]}}) == {"metadata": {"name": "a"}}


@given(value=JSON, free=st.booleans())
def test_no_input_raises_and_nothing_is_invented(value: Any, free: bool) -> None:
    assert isinstance(redacted(value, free=free), type(value))


@given(text=st.text(max_size=200))
def test_free_text_is_text(text: str) -> None:
    assert isinstance(free_text(text), str)


@pytest.mark.parametrize(
    "bit",
    [
        "a",
        "A1b",
        "token",
        "token ",
        'token "',
        "token '",
        "sk-",
        "eyJ",
        "eyJ.",
        "://",
        "://a@",
        "-----BEGIN ",
        "0f",
        "= ",
    ],
)
def test_whoever_writes_a_text_cannot_keep_us_busy(bit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were one of the expressions quadratic, each of these would take hours."""
    monkeypatch.setattr("lazaretto.domain.redaction.LONGEST", 1_000_000)
    text = bit * (400_000 // len(bit))
    assert isinstance(free_text(text), str)
    assert isinstance(redacted(text), str)


TIME = "2026-01-02T12:00:00.1Z"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("loaded the model in 3 s", "loaded the model in 3 s"),
        ("[INFO] listening", "[INFO] listening"),
        ("login with password=hunter2 failed", f"login with password={REDACTED} failed"),
        ('{"level": "info", "apiKey": "hush", "n": 1}', f'{{"level": "info", "apiKey": "{REDACTED}", "n": 1}}'),
        ("{not json, token=hush", f"{{not json, token={REDACTED}"),
        ("{" * 5000, "{" * 5000),
    ],
)
def test_a_line_of_a_log_keeps_its_time_and_loses_its_secrets(said: str, kept: str) -> None:
    assert log_lines(f"{TIME} {said}\n{TIME} next\n") == [f"{TIME} {kept}", f"{TIME} next"]


def test_a_private_key_over_many_lines_of_a_log_goes_altogether() -> None:
    key = ["-----BEGIN PRIVATE KEY-----", "MIIE/short", "-----END PRIVATE KEY-----", "after"]
    assert log_lines("\n".join(f"{TIME} {each}" for each in key)) == [f"{TIME} {REDACTED}", f"{TIME} after"]


@given(st.text())
def test_no_log_raises(text: str) -> None:
    assert all(isinstance(line, str) for line in log_lines(text))
