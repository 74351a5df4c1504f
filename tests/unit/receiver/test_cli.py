"""The command line of `lazaretto receiver`."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from lazaretto.cli.receiver import add_arguments, run, settings_of
from lazaretto.errors import ConfigurationError
from lazaretto.receiver.settings import Address, Settings


def _settings(*flags: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return settings_of(parser.parse_args(["--namespace", "lazaretto-system", "--tokens-dir", "/tokens", *flags]))


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:80", "127.0.0.1", 80),
        (":8443", "0.0.0.0", 8443),
        ("[::1]:1", "::1", 1),
        ("localhost:0", "localhost", 0),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert Address.parse(text, flag="--listen") == Address(host, port)


@pytest.mark.parametrize("text", ["", "8443", "host:", "host:x", "host:70000", "host:-1", "host:٣"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--listen"):
        _settings("--listen", text)


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "receiver.example:1", ":1"])
def test_no_plain_http_for_others(listen: str) -> None:
    with pytest.raises(ConfigurationError, match="--insecure-http"):
        _settings("--listen", listen).check()
    _settings("--listen", listen, "--insecure-http").check()
    _settings("--listen", listen, "--tls-cert", "c", "--tls-key", "k").check()


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"])
def test_plain_http_on_this_machine(listen: str) -> None:
    _settings("--listen", listen).check()


def test_flags_reach_the_settings() -> None:
    made = _settings("--max-body-bytes", "9000000", "--read-timeout", "2.5", "--namespace-label", "tenant")
    assert (made.largest_body, made.read_seconds, made.namespace_label) == (9_000_000, 2.5, "tenant")
    assert made.bytes_at_once >= made.largest_body
    assert made.tokens == Path("/tokens")


@pytest.mark.parametrize(
    "url",
    ["", "alertmanager:9093", "ftp://am", "http://", "http://me:secret@am:9093", "http://am:9093/?x=1", "http://[am"],
)
def test_urls_that_no_alertmanager_has(url: str) -> None:
    with pytest.raises(ConfigurationError, match="--alertmanager-url"):
        _settings("--listen", "127.0.0.1:1", "--alertmanager-url", url).check()


def test_alertmanagers_that_are_asked() -> None:
    made = _settings(
        "--listen", "127.0.0.1:1", "--alertmanager-url", "http://a:9093", "--alertmanager-url", "https://b/prefix"
    )
    made.check()
    assert made.alertmanagers == ("http://a:9093", "https://b/prefix")
    with pytest.raises(ConfigurationError, match="--alertmanager-interval"):
        _settings("--listen", "127.0.0.1:1", "--alertmanager-interval", "0").check()


def test_an_address_for_metrics_that_is_none_is_told_before_anything_is_opened() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--namespace", "a", "--tokens-dir", "/tokens", "--metrics-listen", "here"])
    with pytest.raises(ConfigurationError, match="--metrics-listen 'here'"):
        run(args)


def test_namespace_comes_from_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAMESPACE", "where-it-runs")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert settings_of(parser.parse_args([])).namespace == "where-it-runs"
    monkeypatch.delenv("POD_NAMESPACE")
    with pytest.raises(ConfigurationError, match="--namespace"):
        settings_of(parser.parse_args([]))
