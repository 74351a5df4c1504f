"""Tokens from files, and names from certificates."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lazaretto.errors import ConfigurationError, Unavailable
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
