"""Keeps the Lease, or waits for it: says in which term this process may write, if in any.

A caller may rely on this: `holds` is true of at most one process at a time, whatever the event loop or the machine's
clock do, because it is computed at the moment of the question. It fails by saying no: without an answer of the API
server, or without the Lease, nobody leads. The Lease is watched, so that one that was given up is taken at once, and
read every `retry` seconds, which decides.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from lazaretto.domain.election import Candidate, Pace, Record
from lazaretto.engine.clock import Clock, SystemClock
from lazaretto.errors import ApiError, Conflict
from lazaretto.kube.api_server import ApiServer, Object
from lazaretto.kube.lease import record_of, writing
from lazaretto.kube.resource import LEASES
from lazaretto.kube.retry import RetryPolicy

log = logging.getLogger(__name__)

LEASE = "lazaretto-operator"
"""Name of the Lease, in the operator's own namespace."""
GOODBYE = 2.0
"""Seconds that giving the Lease up may take."""
PAUSE = 1.0

Steady = Callable[[], float]


def boot_time() -> float:
    """Seconds on a clock that nobody sets, and that runs on while the process or the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Election:
    """See the module's text. Run `work` once; `terms` tells whoever writes when to begin and when to stop."""

    def __init__(
        self,
        api: ApiServer,
        *,
        identity: str,
        name: str = LEASE,
        pace: Pace | None = None,
        clock: Clock | None = None,
        steady: Steady = boot_time,
    ) -> None:
        pace = pace or Pace()
        # A slow answer is better than none, and a connection that leads nowhere must leave time for another one.
        self._api = api.with_policy(RetryPolicy(per_try=pace.renew / 2, deadline=pace.renew / 2))
        self._name = name
        self._clock = clock or SystemClock()
        self._steady = steady
        self._pace = pace
        self._me = Candidate(identity, pace)
        self._namespace = ""
        self._body: Object = {}
        self._known: int | None = None
        self._turned = asyncio.Event()
        self._stirred = asyncio.Event()
        self._expiry: asyncio.TimerHandle | None = None
        self._heard = steady()

    @property
    def leads(self) -> bool:
        """Whether this process may write at this moment."""
        return self._me.leads(self._steady())

    def holds(self, term: int) -> bool:
        """Whether this process may write at this moment, in that term."""
        return self._me.term(self._steady()) == term

    def age(self) -> float:
        """Seconds since the Lease was last read or written with success."""
        return self._steady() - self._heard

    async def terms(self) -> AsyncIterator[int | None]:
        """Each change: the number of a term that begins, None when one is over."""
        told: int | None = None
        while True:
            await self._turned.wait()
            self._turned.clear()
            if self._known != told:
                told = self._known
                yield told

    async def work(self, namespace: str) -> None:
        """Keep or await the Lease of that namespace for ever."""
        self._namespace = namespace
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                self._stirred.clear()
                await self._attempt()
                pause = self._pace.retry * (0.8 + 0.4 * random.random())  # noqa: S311  # jitter, not a secret
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stirred.wait()
        finally:
            watching.cancel()

    async def resign(self) -> None:
        """Give the Lease up, if it is ours, so that another one takes it at once. Nothing may write any more."""
        me, self._me = self._me, Candidate(self._me.identity, self._pace)
        self._settle()
        try:
            async with asyncio.timeout(GOODBYE):
                while not await self._given_up(me):
                    pass
        except (ApiError, TimeoutError) as error:
            log.warning("the Lease is not given up and runs out by itself: %s", str(error) or "no answer in time")

    async def _given_up(self, me: Candidate) -> bool:
        """Whether the Lease is no longer ours.

        A write that was under way at the end may still arrive. So what the Lease says is read first, and read again
        if anything came between.
        """
        if me.own is None and me.asked is None:
            return True
        body = await self._api.get(LEASES, namespace=self._namespace, name=self._name)
        record = me.saw(record_of(body), now=self._steady()).resigned(wall=self._clock.now())
        if record is None:
            return True
        try:
            await self._api.patch(writing(record, over=body))
        except Conflict:
            return False
        log.info("the Lease is given up")
        return True

    async def _attempt(self) -> None:
        """One look, and a write if it is ours or free."""
        try:
            if not self.leads:
                await self._read()
            if (record := self._me.wanted(now=self._steady(), wall=self._clock.now())) is not None:
                await self._write(record)
        except Conflict:
            # Somebody else has written: what was taken for ours may not be any more.
            with suppress(ApiError):
                await self._read()
        except ApiError as error:
            log.warning("Lease %s/%s: %s", self._namespace, self._name, error)
        except Exception:
            # Without the loop nobody would ever lead again here.
            log.exception("Lease %s/%s", self._namespace, self._name)
        self._settle()

    async def _read(self) -> None:
        self._take(await self._api.get(LEASES, namespace=self._namespace, name=self._name))

    async def _write(self, record: Record) -> None:
        request = writing(record, over=self._body)
        self._me = self._me.sending(record, now=self._steady())
        self._take(await self._api.patch(request))

    def _take(self, body: Object) -> None:
        now = self._steady()
        self._heard = now
        self._body = body
        self._me = self._me.saw(record_of(body), now=now)

    def _settle(self) -> None:
        """Tell of a change, and look again when the term would run out."""
        now = self._steady()
        term = self._me.term(now)
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if term is not None:
            left = self._me.proved + self._pace.renew - now
            self._expiry = asyncio.get_running_loop().call_later(left + 0.01, self._settle)
        if term == self._known:
            return
        seen = self._me.seen
        if term is not None:
            log.info("%s leads, in term %d", self._me.identity, term)
        else:
            log.warning("%s leads no more; the Lease names %s", self._me.identity, (seen and seen.holder) or "nobody")
        self._known = term
        self._turned.set()

    async def _watch(self) -> None:
        """Look at once when the Lease was given up; whatever goes wrong here costs `retry` seconds."""
        while True:
            try:
                async for event in self._api.watch(LEASES, namespace=self._namespace, name=self._name):
                    if event.get("type") != "BOOKMARK" and not record_of(event["object"]).holder:
                        self._stirred.set()
            except ApiError as error:
                log.info("watch on Lease %s/%s ended: %s", self._namespace, self._name, error)
            except Exception:
                log.exception("watch on Lease %s/%s", self._namespace, self._name)
            await asyncio.sleep(PAUSE)
