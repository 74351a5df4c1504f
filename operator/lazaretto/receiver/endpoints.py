"""The two paths that alerts come in by, and the order in which a request is checked.

Nothing of a body is read before the sender is known, and nothing is parsed before its size
is. A sender that repeats on 5xx only (Alertmanager) loses what is answered with 4xx, so 4xx
means that the same request can never be taken: wrong credentials, path, encoding, form, or a
body over the bound. Everything that may pass (load, a slow sender, an API server that is away)
is 503 with Retry-After. 200 means that every incident concerned is stored.

One line per request is logged, with counts and names of incidents; never a token, a body or
text of an alert.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web

from lazaretto.domain.text import SHORT, clean
from lazaretto.errors import InvalidInput, LazarettoError, Unavailable
from lazaretto.receiver.body import Bodies
from lazaretto.receiver.credentials import TokenFiles, certificate_name
from lazaretto.receiver.matching import Matcher
from lazaretto.receiver.refusal import Refusal
from lazaretto.receiver.settings import Settings
from lazaretto.receiver.store import IncidentStore, Outcome, shown
from lazaretto.receiver.strict_json import parse
from lazaretto.signals.alertmanager import Batch, read_posted, read_webhook
from lazaretto.telemetry.intake import IntakeMetrics, Way

WEBHOOK_PATH = "/api/v1/alertmanager"
POSTED_PATH = "/api/v2/alerts"

_PARSED_IN_PLACE = 32 * 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Door:
    """One of the two ways in."""

    way: Way
    read: Callable[[bytes], Batch]


class Endpoints:
    """Answers requests of the public port."""

    def __init__(
        self,
        settings: Settings,
        *,
        tokens: TokenFiles | None,
        matcher: Matcher,
        store: IncidentStore,
        metrics: IntakeMetrics,
        ready: Callable[[], str],
    ) -> None:
        """`ready` returns why requests cannot be taken now, empty when they can."""
        self._settings = settings
        self._tokens = tokens
        self._matcher = matcher
        self._store = store
        self._metrics = metrics
        self._ready = ready
        self._bodies = Bodies(settings)
        self._parsing = asyncio.Semaphore(1)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request, whatever it is."""
        try:
            door = self._door_of(request)
            sender = self._sender(request)
            return await self._take(request, door=door, sender=sender)
        except Refusal as refusal:
            self._metrics.refused(refusal.result)
            _log.info("%s refused: %d %s", _where(request), refusal.status, refusal.reason)
            return refusal.response()
        except Exception:
            self._metrics.refused("failed")
            raise

    async def _take(self, request: web.BaseRequest, *, door: _Door, sender: str) -> web.Response:
        began = time.monotonic()
        if reason := self._ready():
            raise await self._bodies.refused(request, HTTPStatus.SERVICE_UNAVAILABLE, reason)
        async with self._bodies.receive(request) as body:
            batch = await self._parsed(body, read=door.read)
            del body
            self._metrics.alerts.labels(door.way).inc(len(batch.alerts))
            self._metrics.cut.labels(door.way).inc(batch.missing)
            outcome, heartbeat = await self._stored(batch, way=door.way, sender=sender)
        _report(request, batch=batch, outcome=outcome, sender=sender)
        if outcome.failed:
            self._metrics.not_stored.labels(door.way).inc(len(outcome.failed))
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"{len(outcome.failed)} incidents could not be stored")
        wrote, seconds = bool(outcome.created or outcome.extended), time.monotonic() - began
        self._metrics.took(door.way, sender=sender, wrote=wrote, heartbeat=heartbeat, seconds=seconds)
        return _answer({"created": outcome.created, "extended": outcome.extended})

    def _door_of(self, request: web.BaseRequest) -> _Door:
        if request.path not in (WEBHOOK_PATH, POSTED_PATH):
            raise Refusal(HTTPStatus.NOT_FOUND, f"alerts go to {WEBHOOK_PATH} or {POSTED_PATH}")
        if request.method != "POST":
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "alerts are sent with POST", headers={"Allow": "POST"})
        most = self._settings.most_alerts
        if request.path == WEBHOOK_PATH:
            return _Door("webhook", lambda body: read_webhook(parse(body), most=most))
        return _Door("posted", lambda body: read_posted(parse(body), now=datetime.now(UTC), most=most))

    def _sender(self, request: web.BaseRequest) -> str:
        try:
            sender = self._token_sender(request)
        except Unavailable as error:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, error.message) from error
        if sender is None and self._settings.client_ca is not None and request.transport is not None:
            sender = certificate_name(request.transport.get_extra_info("peercert"))
        if sender is None:
            headers = {"WWW-Authenticate": 'Bearer realm="lazaretto"'}
            raise Refusal(HTTPStatus.UNAUTHORIZED, "show a valid token or client certificate", headers=headers)
        return clean(sender, bound=SHORT)

    def _token_sender(self, request: web.BaseRequest) -> str | None:
        shown = request.headers.getall("Authorization", [])
        if self._tokens is None or len(shown) != 1:
            return None
        return self._tokens.sender_of(shown[0])

    async def _parsed(self, body: bytes, *, read: Callable[[bytes], Batch]) -> Batch:
        try:
            if len(body) <= _PARSED_IN_PLACE:
                return read(body)
            # One large body at a time: parsing takes far more memory than the body, and others keep the loop.
            async with self._parsing:
                return await asyncio.to_thread(read, body)
        except InvalidInput as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "the body is not usable", error=error) from error

    async def _stored(self, batch: Batch, *, way: Way, sender: str) -> tuple[Outcome, bool]:
        """What became of the alerts, and whether the heartbeat is among them."""
        try:
            async with asyncio.timeout(self._settings.store_seconds):
                found = await self._matcher.sort(batch.alerts)
                return await self._store.record(found.groups, sender=sender), found.heartbeat
        except TimeoutError as error:
            self._metrics.not_stored.labels(way).inc()
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "storing took too long") from error
        except LazarettoError as error:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the incidents could not be stored") from error


def _answer(body: dict[str, Any]) -> web.Response:
    return web.Response(text=json.dumps(body), content_type="application/json")


def _where(request: web.BaseRequest) -> str:
    return f"{request.method[:8]} {clean(request.path, bound=64)} from {request.remote}"


def _report(request: web.BaseRequest, *, batch: Batch, outcome: Outcome, sender: str) -> None:
    firing = sum(alert.firing for alert in batch.alerts)
    _log.info(
        "%s (%s): %d firing, %d resolved, %d cut off by the sender; created %s; extended %s; failed %s",
        *(_where(request), sender, firing, len(batch.alerts) - firing, batch.missing),
        *(shown(names) for names in (outcome.created, outcome.extended, outcome.failed)),
    )
