"""The command as a whole: exit codes, flags, and errors that are one line for a person and one for a machine."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lazaretto import __version__
from lazaretto.cli import identity
from lazaretto.errors import ConfigurationError, InvalidInput, LazarettoError, NotFound, Unavailable
from tests.unit.cli.conftest import Call

COMMANDS = ("operator", "receiver", "identity", "known-good")


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "POD_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("arguments", [("--help",), *((command, "--help") for command in COMMANDS)])
def test_help_is_printed_and_is_a_success(lazaretto: Call, arguments: tuple[str, ...]) -> None:
    outcome = lazaretto(*arguments)
    assert (outcome.status, outcome.err) == (0, "")
    assert "usage: lazaretto" in outcome.out
    if len(arguments) == 1:
        assert all(command in outcome.out for command in COMMANDS)


def test_the_version_is_printed(lazaretto: Call) -> None:
    assert lazaretto("--version").out == f"lazaretto {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "COMMAND"),
        (("contain",), "contain"),
        (("--unknown", "identity", "-f", "-"), "--unknown"),
        (("identity", "-f", "-", "--unknown"), "--unknown"),
        (("operator", "--unknown"), "--unknown"),
        (("operator", "surplus"), "surplus"),
        (("receiver", "--unknown=1"), "--unknown"),
        (("receiver", "--max-body-bytes", "many"), "many"),
        (("--log-level", "loud", "identity", "-f", "-"), "loud"),
        (("--log-format", "xml", "identity", "-f", "-"), "xml"),
    ],
)
def test_wrong_usage_is_2_and_names_what_is_wrong(lazaretto: Call, arguments: tuple[str, ...], said: str) -> None:
    outcome = lazaretto(*arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("usage: lazaretto")
    assert said in outcome.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, 0),
        (InvalidInput("filename", "x", "give another"), 1),
        (NotFound(404, "no such thing"), 1),
        (Unavailable(0, "no answer"), 1),
        (LazarettoError("a line"), 1),
        (ConfigurationError("a flag is wrong"), 2),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
def test_how_a_command_ends_is_the_exit_code(
    lazaretto: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException | None, status: int
) -> None:
    def run(_: argparse.Namespace) -> int:
        if error is not None:
            raise error
        return 0

    monkeypatch.setattr(identity, "run", run)
    outcome = lazaretto("identity", "-f", "-")
    assert outcome.status == status
    assert str(error or "") in outcome.err
    assert len(outcome.err.splitlines()) == isinstance(error, LazarettoError)


def test_a_defect_is_not_taken_for_an_error_of_the_user(lazaretto: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: argparse.Namespace) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(identity, "run", run)
    with pytest.raises(ZeroDivisionError):
        lazaretto("identity", "-f", "-")


@pytest.mark.parametrize("arguments", [("operator",), ("receiver", "--namespace", "x")])
@pytest.mark.parametrize("kubeconfig", [None, "missing"])
def test_without_a_way_to_the_api_server_every_process_ends_with_2_and_a_remedy(
    lazaretto: Call, tmp_path: Path, arguments: tuple[str, ...], kubeconfig: str | None
) -> None:
    given = () if kubeconfig is None else ("--kubeconfig", str(tmp_path / kubeconfig))
    outcome = lazaretto(*arguments, *given)
    assert outcome.status == 2
    assert "--kubeconfig" in outcome.err.splitlines()[-1]
    assert "Traceback" not in outcome.err


def test_errors_are_json_where_logs_are(lazaretto: Call, tmp_path: Path) -> None:
    path = str(tmp_path / "missing\x1b[31m")
    outcome = lazaretto("--log-format", "json", "identity", "-f", path)
    record = json.loads(outcome.err)
    assert record["level"] == "ERROR"
    assert record["message"].startswith(f"filename: {path!r}: ")


def test_the_module_is_the_command() -> None:
    """Another process: what the image starts, with its real standard streams and exit code."""
    call = [sys.executable, "-m", "lazaretto", "identity", "-f", "-"]
    good = subprocess.run(call, input='{"spec": {"template": {}}}', capture_output=True, text=True, check=False)
    assert (good.returncode, len(good.stdout), good.stderr) == (0, 65, "")
    bad = subprocess.run(call, input="[", capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "filename: '-': not YAML" in bad.stderr
