"""An error that nobody foresaw, with secrets in its text and around it: 500, and neither answer nor log says more."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from lazaretto.receiver.matching import Matcher
from tests.unit.receiver.conftest import TOKEN, Running
from tests.unit.receiver.payloads import alert, webhook

HIDDEN = ("Traceback", TOKEN, "secret-in-alert-text", "matching.py", "RuntimeError")


@pytest.mark.parametrize("accepted", ["*/*", "text/html"])
async def test_it_is_told_without_what_it_says(
    one: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, accepted: str
) -> None:
    async def broken(_: Matcher, alerts: Any) -> None:
        raise RuntimeError(f"Authorization: Bearer {TOKEN} {alerts}")

    with monkeypatch.context() as patched, caplog.at_level(logging.DEBUG):
        patched.setattr(Matcher, "sort", broken)
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": accepted}
        payload = webhook(alert(summary="secret-in-alert-text"))
        async with one.session.post(f"{one.url}/api/v1/alertmanager", json=payload, headers=headers) as answer:
            status, text = answer.status, await answer.text()
    assert status == 500
    assert "Error handling request" in caplog.text
    assert not [hidden for hidden in HIDDEN if hidden in caplog.text or hidden in text]
    assert (await one.post(webhook(alert())))[0] == 200
