"""Whether Kopf's watches still live, and whether the event loop does.

A watch on which nothing happens is silent, and so is one whose connection is dead. So each is asked for a few seconds
only (`STREAM_SECONDS`): the API server ends it and answers the next one. One that is open, or asked for, and has not
said a byte for `DEAD_AFTER` is dead. One that is refused, or whose connection breaks, is not: it is asked for again,
and a new process could do no better.

Only time in which this process was awake counts: whoever was suspended finds bytes that wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
import kopf
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

STREAM_SECONDS = 6
DEAD_AFTER = 12.5
READ_AHEAD = 2**20
"""Bytes of a watch that are taken before anybody has looked at them. An incident may have forty kilobytes: with the
128 KiB of aiohttp, a storm's events came seconds late to an event loop that was busy with the first ones."""
BEAT = 0.5
REMEMBERED = 30
"""Beats of which the longest lag is told."""


@dataclass(slots=True)
class _Stream:
    """A watch that is asked for or open."""

    response: aiohttp.ClientResponse | None = None
    size: int = 0
    silent: float = 0.0

    @property
    def over(self) -> bool:
        return self.response is not None and (self.response.closed or self.response.content.at_eof())


class Pulse(Collector):
    """See the module's text. Have Kopf watch by its `session`, and call `beat` again and again."""

    def __init__(self) -> None:
        self.ages: dict[str, float] = {}
        """Seconds since the API server was last heard, by the plural of the kind that is watched."""
        self._streams: dict[str, _Stream] = {}
        self._lags: deque[float] = deque([0.0], maxlen=REMEMBERED)

    @property
    def lag(self) -> float:
        """The longest that the event loop was late in the last 15 s, in seconds."""
        return max(self._lags)

    def session(self, login: kopf.ConnectionInfo) -> aiohttp.ClientSession:
        """As Kopf would build it, except that it tells of each watch that is asked for, and of its answer."""
        tracing = aiohttp.TraceConfig()
        tracing.on_request_start.append(self._asked)
        tracing.on_request_end.append(self._answered)
        tracing.on_request_exception.append(self._failed)
        connector = aiohttp.TCPConnector(limit=0, ssl=login.as_ssl_context())
        return aiohttp.ClientSession(
            connector=connector,
            headers=login.as_http_headers(),
            trace_configs=[tracing],
            read_bufsize=READ_AHEAD,
        )

    def beat(self, seconds: float) -> None:
        """So much time has passed; it should have been `BEAT`."""
        self._lags.append(max(0.0, seconds - BEAT))
        awake = min(seconds, 2 * BEAT)
        for plural in self.ages:
            self.ages[plural] += awake
        for plural, stream in list(self._streams.items()):
            size = stream.response.content.total_bytes if stream.response is not None else 0
            stream.silent += awake
            if size != stream.size or stream.over:
                stream.size = size
                stream.silent = self.ages[plural] = 0.0
            if stream.over:
                del self._streams[plural]

    def dead(self) -> list[str]:
        """Kinds whose watch is dead."""
        return sorted(plural for plural, stream in self._streams.items() if stream.silent >= DEAD_AFTER)

    def collect(self) -> Iterator[Metric]:
        """For `/metrics`."""
        ages = GaugeMetricFamily(
            "lazaretto_watch_age_seconds", "Since the API server was last heard by a watch.", labels=["resource"]
        )
        for plural, age in sorted(self.ages.items()):
            ages.add_metric([plural], age)
        yield ages
        yield GaugeMetricFamily(
            "lazaretto_event_loop_lag_seconds", "The longest that anything had to wait lately.", value=self.lag
        )

    async def _asked(
        self, _: aiohttp.ClientSession, __: SimpleNamespace, about: aiohttp.TraceRequestStartParams
    ) -> None:
        if "watch" in about.url.query:
            self._streams[about.url.name] = _Stream()
            self.ages.setdefault(about.url.name, 0.0)

    async def _answered(
        self, _: aiohttp.ClientSession, __: SimpleNamespace, about: aiohttp.TraceRequestEndParams
    ) -> None:
        if "watch" in about.url.query:
            self._streams[about.url.name] = _Stream(about.response)
            self.ages[about.url.name] = 0.0

    async def _failed(
        self, _: aiohttp.ClientSession, __: SimpleNamespace, about: aiohttp.TraceRequestExceptionParams
    ) -> None:
        if "watch" in about.url.query:
            self._streams.pop(about.url.name, None)


async def watch_over(pulse: Pulse, *, ended: Callable[[list[str]], None]) -> None:
    """Beat until a watch is dead, and say so once."""
    loop = asyncio.get_running_loop()
    last = loop.time()
    while not (dead := pulse.dead()):
        await asyncio.sleep(BEAT)
        now = loop.time()
        pulse.beat(now - last)
        last = now
    ended(dead)
