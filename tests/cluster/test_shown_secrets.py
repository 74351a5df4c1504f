"""A secret in a log of ours is found, whichever process wrote it and however it got there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.cluster.shown_secrets import shown_in_logs

TOKEN = "one-long-secret-of-a-sender"
JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6Ing.eyJhdWQiOlsiaHR0cHM6Ly9rdWJlcm5ldGVzIl19.c2lnbmF0dXJl"
FINE = (
    "2026-01-01T00:00:00.000000Z INFO    lazaretto.receiver.endpoints: POST / refused: 401 show a valid token or client"
)


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Not among the files of this run, which are read in the end."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def written(root: Path, *lines: str, name: str = "receiver.log", token: str = TOKEN) -> Path:
    folder = root / "test" / "receiver0"
    (folder / "tokens").mkdir(parents=True)
    (folder / "tokens" / "alertmanager").write_text(f"{token}\n")
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return root


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f"lazaretto: sent by {TOKEN}", "a sender's token"),
        (f"ValueError: {JWT}", "a ServiceAccount's token"),
        ('    headers = {"Authorization": hidden}', "a header with credentials"),
        ("{'authorization': ''}", "a header with credentials"),
        ("request with bearer abcdefgh12", "a header with credentials"),
        ("-----BEGIN EC PRIVATE KEY-----", "a private key"),
    ],
)
@pytest.mark.parametrize("name", ["receiver.log", "operator.log"])
def test_it_is_found_and_told_without_itself(elsewhere: Path, line: str, what: str, name: str) -> None:
    root = written(elsewhere, FINE, line, FINE, name=name)
    assert shown_in_logs(root) == {f"test/receiver0/{name}: {what}": 1}


def test_other_lines_and_other_programs_are_no_matter(elsewhere: Path) -> None:
    assert shown_in_logs(written(elsewhere / "a", FINE, "short: abc", token="abc")) == {}
    missing = 'clusterrole.rbac.authorization.k8s.io "system:basic-user" not found'
    assert shown_in_logs(written(elsewhere / "c", missing)) == {}
    assert shown_in_logs(written(elsewhere / "b", TOKEN, JWT, name="alertmanager.log")) == {}
