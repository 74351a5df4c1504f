"""A watch that is silent is told from one that is dead, and only the dead one ends the process."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace
from typing import Any, cast

import kopf
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from yarl import URL

from lazaretto.engine.engine import Engine
from lazaretto.errors import LazarettoError
from lazaretto.kopf_app import operator, pulse
from lazaretto.kopf_app.pulse import BEAT, DEAD_AFTER, STREAM_SECONDS, Pulse
from tests.unit.kopf_app.stand_ins import Account, Recorder
from tests.unit.kopf_app.test_watching import Server, server, until, watching

__all__ = ["server"]

KIND = "aiincidents"
WATCH = URL(f"https://api/apis/lazaretto.dev/v1alpha1/{KIND}?watch=true")


class Response:
    """A stream as far as it is looked at."""

    def __init__(self) -> None:
        self.closed = False
        self.size = 0
        self.content = SimpleNamespace(at_eof=lambda: self.closed, total_bytes=0)

    def says(self, number: int) -> None:
        self.content.total_bytes += number


async def asked(one: Pulse, *, answer: Response | None = None, url: URL = WATCH) -> None:
    nothing: Any = None
    await one._asked(nothing, nothing, cast(Any, SimpleNamespace(url=url)))
    if answer is not None:
        await one._answered(nothing, nothing, cast(Any, SimpleNamespace(url=url, response=answer)))


def beats(one: Pulse, seconds: float) -> None:
    for _ in range(round(seconds / BEAT)):
        one.beat(BEAT)


def test_a_silent_watch_is_ended_by_the_server_long_before_it_counts_as_dead() -> None:
    """And a dead one is told, and the process over, within 15 s."""
    assert 2 * STREAM_SECONDS < DEAD_AFTER
    assert DEAD_AFTER + BEAT + operator.LAST_SECONDS <= 15.0


async def test_an_open_watch_that_says_nothing_is_dead() -> None:
    one, stream = Pulse(), Response()
    await asked(one, answer=stream)
    beats(one, DEAD_AFTER - BEAT)
    assert one.dead() == []
    beats(one, BEAT)
    assert one.dead() == [KIND]
    assert one.ages[KIND] == DEAD_AFTER


async def test_a_watch_that_is_never_answered_is_dead() -> None:
    one = Pulse()
    await asked(one)
    beats(one, DEAD_AFTER)
    assert one.dead() == [KIND]


async def test_every_byte_is_a_sign_of_life() -> None:
    one, stream = Pulse(), Response()
    await asked(one, answer=stream)
    for _ in range(5):
        beats(one, DEAD_AFTER - BEAT)
        stream.says(1)
        beats(one, BEAT)
    assert one.dead() == []


async def test_a_watch_that_ends_is_asked_for_again_and_one_that_is_refused_is_not_dead() -> None:
    one, stream = Pulse(), Response()
    await asked(one, answer=stream)
    stream.closed = True
    beats(one, BEAT)
    nothing: Any = None
    await asked(one)
    await one._failed(nothing, nothing, cast(Any, SimpleNamespace(url=WATCH)))
    beats(one, 60.0)
    assert one.dead() == []
    assert one.ages[KIND] == 60.0, "nothing was heard all the same"


async def test_a_process_that_was_suspended_takes_nothing_for_dead() -> None:
    one, stream = Pulse(), Response()
    await asked(one, answer=stream)
    one.beat(3600.0)
    assert one.dead() == []
    assert one.lag > 3599.0
    beats(one, 15.0)
    assert one.lag == 0.0


async def test_what_is_no_watch_does_not_count() -> None:
    one = Pulse()
    await asked(one, answer=Response(), url=URL("https://api/apis/lazaretto.dev/v1alpha1/aiincidents?limit=500"))
    beats(one, 60.0)
    assert (one.dead(), one.ages) == ([], {})


async def test_it_shows_in_the_metrics() -> None:
    one = Pulse()
    await asked(one, answer=Response())
    one.beat(BEAT + 0.25)
    registry = CollectorRegistry()
    registry.register(one)
    text = generate_latest(registry).decode()
    assert f'lazaretto_watch_age_seconds{{resource="{KIND}"}} 0.75' in text
    assert "lazaretto_event_loop_lag_seconds 0.25" in text


async def test_a_probe_says_which_watch_is_dead() -> None:
    one = Pulse()
    ours = operator.registry(cast(Engine, Recorder()), Account("https://api:443"), pulse=one, stop=asyncio.Event())
    [probe] = [
        h.fn for h in ours._activities.get_all_handlers() if h.activity is not None and h.activity.value == "probe"
    ]
    await asked(one, answer=Response())
    beats(one, 1.0)
    assert await cast(Any, probe)() == {KIND: 1.0}
    beats(one, DEAD_AFTER)
    with pytest.raises(kopf.PermanentError, match=KIND):
        await cast(Any, probe)()


async def test_kopf_s_watches_are_followed_and_a_dead_one_ends_the_process(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server opens every stream and says nothing."""
    monkeypatch.setattr(pulse, "DEAD_AFTER", 1.0)
    monkeypatch.setattr(os, "_exit", lambda code: None)
    one, engine = Pulse(), Recorder()
    with pytest.raises(LazarettoError, match="dead"):
        await operator.run(cast(Engine, engine), Account(server.url), pulse=one)
    assert engine.calls == ["start", "stop"], "it ends in an orderly way if it can"


async def test_the_watches_of_all_kinds_are_known(server: Server) -> None:
    one = Pulse()
    async with watching(server, pulse=one):
        await until(lambda: set(one.ages) == set(server.streams))
