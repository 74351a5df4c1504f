"""A process that is to end does, also when Kopf waits for what never comes."""

from __future__ import annotations

import asyncio
import os
from typing import Any, cast

import kopf
import pytest

from lazaretto.engine.engine import Engine
from lazaretto.kopf_app import operator
from lazaretto.kube.transport import Credentials


async def test_an_end_that_hangs_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def hang(*, stop_flag: asyncio.Event, **_: Any) -> None:
        stop_flag.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(operator, "LAST_SECONDS", 0.0)
    monkeypatch.setattr(os, "_exit", ended.set_result)
    monkeypatch.setattr(kopf, "operator", hang)
    running = asyncio.create_task(operator.run(cast(Engine, None), cast(Credentials, None)))
    assert await asyncio.wait_for(ended, 60.0) == 1
    running.cancel()


async def test_an_end_that_comes_is_not_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    async def end(*, stop_flag: asyncio.Event, **_: Any) -> None:
        stop_flag.set()

    monkeypatch.setattr(operator, "LAST_SECONDS", 0.0)
    monkeypatch.setattr(os, "_exit", lambda code: pytest.fail("it ended by itself"))
    monkeypatch.setattr(kopf, "operator", end)
    before = asyncio.all_tasks()
    await operator.run(cast(Engine, None), cast(Credentials, None))
    await asyncio.gather(*(asyncio.all_tasks() - before), return_exceptions=True)
