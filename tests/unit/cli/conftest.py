"""Calls the command as `python -m lazaretto` would, and leaves the test runner's logging as it was."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lazaretto.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """How a call ended, and what it said."""

    status: int | str | None
    out: str
    err: str


Call = Callable[..., Outcome]


@pytest.fixture
def lazaretto(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """Calls `lazaretto` with these arguments; `stdin` is what it can read."""
    loggers = [logging.getLogger(name) for name in ("", "kopf", "aiohttp.access")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]

    def call(*arguments: str, stdin: str = "") -> Outcome:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        try:
            status: int | str | None = main(arguments)
        except SystemExit as left:
            status = left.code
        said = capsys.readouterr()
        return Outcome(status, said.out, said.err)

    yield call
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
