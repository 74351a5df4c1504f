"""Log lines: hostile text stays within its record, and reaches neither a terminal nor a parser as a command."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.telemetry.log import configure

Log = Callable[..., str]
HEAD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (DEBUG|INFO|WARNING|ERROR|CRITICAL) {0,4} [\w.]+: ")
QUIET = ("", "kopf", "aiohttp.access")


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    """The root logger's handlers belong to the test runner."""
    loggers = [logging.getLogger(name) for name in QUIET]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


def logged(message: object, *args: object, json_lines: bool = False, error: BaseException | None = None) -> str:
    """What one record puts on standard error."""
    stream = io.StringIO()
    real, sys.stderr = sys.stderr, stream
    try:
        configure(level="debug", json_lines=json_lines)
        logging.getLogger("lazaretto.test").warning(message, *args, exc_info=error)
    finally:
        sys.stderr = real
    return stream.getvalue()


def raised(text: str) -> BaseException:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_a_line_says_when_how_grave_from_where_and_what() -> None:
    line = logged("created %s/%s", "shop", "chat-1")
    assert HEAD.match(line)
    assert line.endswith("Z WARNING lazaretto.test: created shop/chat-1\n")


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb", r"a\x0db"),
        ("a\bb\x7f", r"a\x08b\x7f"),
        ("a\tb", r"a\x09b"),
        ("a\x00b", r"a\x00b"),
        ("a\x0b\x0c\x1c\x1d\x1e\x85b", r"a\x0b\x0c\x1c\x1d\x1e\x85b"),
        ("a\u2028b\u2029c", r"a\x2028b\x2029c"),
        ("safe\u202egnp.exe", r"safe\x202egnp.exe"),
        ("\u2066x\u2069\u200e\u200f\u061c", r"\x2066x\x2069\x200e\x200f\x61c"),
        ("in\u200bvis\ufeffible\u00ad", r"in\x200bvis\xfeffible\xad"),
        ("tags\U000e0041", r"tags\xe0041"),
        ("half\ud800", r"half\xd800"),
        ("no\u00a0break", r"no\xa0break"),
        ("private\ue000 unassigned\u0378", r"private\xe000 unassigned\x378"),
    ],
)
def test_what_is_not_printable_is_shown_by_its_number(hostile: str, shown: str) -> None:
    """Not printable, by `str.isprintable`: controls, format characters, and every separator but the plain space."""
    assert logged("%s", hostile).removesuffix("\n").endswith(f"lazaretto.test: {shown}")


@pytest.mark.parametrize(
    "text", ["überfordert", "モデルが漏洩", "النموذج يسرّب", "क्षत्रिय", "🚀 leaks", "e\u0301", r"C:\x1b"]
)
def test_printable_text_of_any_script_is_kept(text: str) -> None:
    assert logged("%s", text).endswith(f": {text}\n")


FORGED = "2026-01-02T03:04:05.000006Z ERROR   lazaretto.engine: all is lost"


@pytest.mark.parametrize("error", [None, raised(f"first\n{FORGED}")])
def test_a_forged_line_is_seen_to_be_part_of_another(error: BaseException | None) -> None:
    first, *rest = logged("summary: %s", f"harmless\n{FORGED}", error=error).removesuffix("\n").split("\n")
    assert HEAD.match(first)
    assert f"    {FORGED}" in rest
    assert all(line.startswith("    ") for line in rest)


def test_an_exception_comes_with_its_traceback_beneath_its_record() -> None:
    lines = logged("pass over %s failed", "shop/chat", error=raised("boom\x1b[2J")).splitlines()
    assert lines[0].endswith("lazaretto.test: pass over shop/chat failed")
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-1] == r"    ValueError: boom\x1b[2J"


def test_a_json_line_is_one_object_with_the_text_whole() -> None:
    line = logged("%s", "a\nb\x1b[31m\u202e é", json_lines=True, error=None)
    assert line.isascii()
    assert line.count("\n") == 1
    record = json.loads(line)
    assert set(record) == {"time", "level", "logger", "message"}
    assert (record["level"], record["logger"]) == ("WARNING", "lazaretto.test")
    assert record["message"] == "a\nb\x1b[31m\u202e é"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["time"])


def test_a_json_line_holds_the_traceback() -> None:
    line = logged("failed", json_lines=True, error=raised("boom"))
    assert line.count("\n") == 1
    message = json.loads(line)["message"]
    assert message.startswith("failed\nTraceback (most recent call last):\n")
    assert message.endswith("ValueError: boom")


@given(st.text(st.characters()), st.none() | st.text(st.characters()).map(raised))
def test_any_text_is_one_record_at_the_margin_and_prints_as_it_stands(text: str, error: BaseException | None) -> None:
    first, *rest = logged("%s", text, error=error).removesuffix("\n").split("\n")
    assert HEAD.match(first)
    assert all(line.startswith("    ") for line in rest)
    assert all(line.isprintable() for line in (first, *rest))


@given(st.text(), st.none() | st.text().map(raised))
def test_any_text_is_one_json_line_of_printable_ascii(text: str, error: BaseException | None) -> None:
    line = logged("%s", text, json_lines=True, error=error)
    assert line.endswith("\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    message = json.loads(line)["message"]
    assert message.startswith(text) if error else message == text


@pytest.mark.parametrize(
    ("level", "shown"),
    [("debug", ["debug", "info", "error"]), ("info", ["info", "error"]), ("error", ["error"])],
)
def test_what_is_below_the_level_is_not_said(level: str, shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    configure(level=level, json_lines=True)
    for each in ("debug", "info", "error"):
        logging.getLogger("lazaretto.test").log(getattr(logging, each.upper()), each)
    captured = capsys.readouterr()
    assert [json.loads(line)["message"] for line in captured.err.splitlines()] == shown
    assert captured.out == ""


def test_configured_twice_a_record_is_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="info", json_lines=False)
    configure(level="info", json_lines=False)
    logging.getLogger("lazaretto.test").info("once")
    assert capsys.readouterr().err.count("once") == 1


@pytest.mark.parametrize("name", ["kopf.objects", "kopf.activities", "aiohttp.access"])
def test_libraries_that_tell_about_every_object_are_heard_from_warnings_on(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(level="debug", json_lines=False)
    logging.getLogger(name).info("saw an object")
    logging.getLogger(name).warning("lost a watch")
    said = capsys.readouterr().err
    assert "lost a watch" in said
    assert "saw an object" not in said
