"""One fault at a time between the operator and the API server, and how long after it the model is out of service.

The end of a fault is when the next request of that kind would go well: the moment at which the last one was struck,
or for a killed process the moment of its start. Times are `time.perf_counter`'s.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp

from tests.bench.alerts import firing, webhook
from tests.bench.observer import BAD, Observer
from tests.bench.outages import CuttingProxy, Outage
from tests.bench.stage import Bench, post
from tests.faults.faults import HELD_SECONDS, REACHED_SECONDS, Cut, Fault, Held, Late, Matches, Refused

OUTAGE_SECONDS = 2.0
SHIFT = time.perf_counter() - time.monotonic()
"""Faults are dated by the other clock; on Linux it is the same one."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where faults strike."""

    bench: Bench
    proxy: CuttingProxy
    observer: Observer
    sender: aiohttp.ClientSession

    async def report(self, namespace: str) -> float:
        """Send an alert about the model; when (perf_counter) it was stored."""
        return await post(self.sender, self.bench, json.dumps(webhook([firing(namespace)])).encode())


Blow = Callable[[Place, str], Awaitable[float]]
"""Strikes in a namespace; seconds from the end of the fault to the scale at zero."""


def journal(namespace: str) -> Matches:
    """Whether a request writes the journal there."""
    return lambda method, path: method == "POST" and path.endswith(f"/namespaces/{namespace}/containments")


def scale(namespace: str) -> Matches:
    """Whether a request scales the compromised Deployment there."""
    end = f"/namespaces/{namespace}/deployments/{BAD}/scale"
    return lambda method, path: method == "PATCH" and path.endswith(end)


async def nothing(place: Place, namespace: str) -> float:
    """No fault: from the receiver's answer on."""
    stored = await place.report(namespace)
    return await place.observer.scaled(namespace) - stored


def struck(make: Callable[[str], Fault]) -> Blow:
    """A fault that is over when it has struck often enough."""

    async def strike(place: Place, namespace: str) -> float:
        with place.proxy.befallen(make(namespace)) as fault:
            await place.report(namespace)
            seen = await place.observer.scaled(namespace, seconds=90)
            assert fault.reached.is_set(), "the fault never came"
        return seen - SHIFT - fault.over_at

    return strike


class _Unanswered(Held):
    """The answer of the API server is held, and told of."""

    def __init__(self, matches: Matches) -> None:
        super().__init__(matches, answered=True)
        self.stored = threading.Event()

    def after(self) -> None:
        """See `Fault.after`."""
        self.stored.set()
        super().after()


def killed(*, answered: bool) -> Blow:
    """The process is killed at its journal, before that arrives or when it was carried out, and started at once."""

    async def kill(place: Place, namespace: str) -> float:
        operator = place.bench.operator
        fault = _Unanswered(journal(namespace)) if answered else Held(journal(namespace))
        there = fault.stored if isinstance(fault, _Unanswered) else fault.reached
        with place.proxy.befallen(fault):
            await place.report(namespace)
            assert await asyncio.to_thread(there.wait, REACHED_SECONDS), "the journal was never written"
            operator.kill()
            fault.end()
            began = time.perf_counter()
            starting = asyncio.create_task(asyncio.to_thread(operator.start))
            seen = await place.observer.scaled(namespace, seconds=90)
            await starting
        return seen - began

    return kill


BLOWS: Mapping[str, Blow] = {
    "nothing, from the receiver's answer on": nothing,
    "killed before the journal arrives, and started": killed(answered=False),
    "killed when the journal is stored, and started": killed(answered=True),
    "the scale is answered 409, eight times": struck(
        lambda ns: Refused(scale(ns), status=409, reason="Conflict", times=8)
    ),
    "the scale is answered 429, Retry-After 1 s": struck(
        lambda ns: Refused(scale(ns), status=429, reason="TooManyRequests", retry_after=1)
    ),
    "everything is answered 503 for 2 s": struck(lambda ns: Outage(seconds=OUTAGE_SECONDS)),
    "the scale's connection is a black hole": struck(lambda ns: Late(scale(ns), seconds=HELD_SECONDS)),
    "the journal's answer is lost": struck(lambda ns: Cut(journal(ns), carried_out=True)),
}
