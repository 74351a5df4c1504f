"""Tokens from files, and names from certificates."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from lazaretto.errors import ConfigurationError, Unavailable
from lazaretto.receiver import credentials
from lazaretto.receiver.credentials import TokenFiles, certificate_name


@pytest.mark.parametrize("content", [None, "", " \n\t"])
def test_a_folder_without_tokens_ends_the_start(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "empty").write_text(content)
    with pytest.raises(ConfigurationError, match="holds no token"):
        TokenFiles(tmp_path)


def test_a_folder_that_is_none_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="readable folder"):
        TokenFiles(tmp_path / "nowhere")


def test_a_mounted_secret_and_its_update(tmp_path: Path) -> None:
    """The kubelet keeps versions in dotted folders and switches one link."""
    for version, token in (("..1", "old-token"), ("..2", "new-token")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "alertmanager").write_text(token)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "alertmanager").symlink_to("..data/alertmanager")
    tokens = TokenFiles(tmp_path)
    assert tokens.sender_of("Bearer old-token") == "alertmanager"
    (tmp_path / "..next").symlink_to("..2")
    os.replace(tmp_path / "..next", tmp_path / "..data")
    assert tokens.sender_of("Bearer old-token") is None
    assert tokens.sender_of("bearer  new-token") == "alertmanager"


def test_a_folder_that_vanishes_is_no_verdict_on_anybody(tmp_path: Path) -> None:
    folder = tmp_path / "tokens"
    folder.mkdir()
    (folder / "a").write_text("token-of-a")
    tokens = TokenFiles(folder)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(Unavailable):
        tokens.sender_of("Bearer token-of-a")


@pytest.mark.parametrize(
    ("shown", "sender"), [("token-of-a", "a"), ("token-of-b", "b"), ("token-of-", None), ("wrong", None)]
)
def test_every_token_is_compared_in_constant_time_whichever_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str, sender: str | None
) -> None:
    """Digests of one length go through the standard library's own comparison, all of them, and nothing else decides."""
    compared: list[tuple[bytes, bytes]] = []

    def seen(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    for name in "ab":
        (tmp_path / name).write_text(f"token-of-{name}")
    tokens = TokenFiles(tmp_path)
    monkeypatch.setattr(credentials, "hmac", SimpleNamespace(compare_digest=seen))
    assert tokens.sender_of(f"Bearer {shown}") == sender
    assert {len(each) for pair in compared for each in pair} == {32}
    assert [one for one, _ in compared] == [hashlib.sha256(shown.encode()).digest()] * 2
    monkeypatch.setattr(credentials, "hmac", SimpleNamespace(compare_digest=lambda one, other: False))
    assert tokens.sender_of(f"Bearer {shown}") is None


@pytest.mark.parametrize(
    ("certificate", "name"),
    [
        (None, None),
        ({}, None),
        ({"subject": ((("organizationName", "x"),), (("commonName", "prometheus"),))}, "prometheus"),
        ({"subject": ((("organizationName", "x"),),)}, "unnamed"),
        ({"subject": ()}, "unnamed"),
    ],
)
def test_names_of_certificates(certificate: dict[str, object] | None, name: str | None) -> None:
    assert certificate_name(certificate) == name
