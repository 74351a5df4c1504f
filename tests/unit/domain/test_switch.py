"""The one switch: what is there and cannot be understood was meant to stop something."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lazaretto.domain.switch import switched_off


@pytest.mark.parametrize("data", [None, {"mode": "Automatic"}, {"mode": "Automatic", "other": "x"}])
def test_on(data: Mapping[str, object] | None) -> None:
    assert switched_off(data) == ""


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"mode": "Observe"}, "ConfigMap lazaretto-switch says mode Observe"),
        ({}, "ConfigMap lazaretto-switch says mode 'None', which is neither Automatic nor Observe"),
        ({"mode": "automatic"}, "ConfigMap lazaretto-switch says mode 'automatic', which is neither"),
        ({"mode": ""}, "ConfigMap lazaretto-switch says mode '', which is neither"),
        ({"Mode": "Automatic"}, "ConfigMap lazaretto-switch says mode 'None'"),
        ({"mode": "x\x1b[2J" + "y" * 100}, r"ConfigMap lazaretto-switch says mode 'x\x1b[2J" + "y" * 59 + "'"),
    ],
)
def test_off(data: Mapping[str, object], why: str) -> None:
    assert switched_off(data).startswith(why)
