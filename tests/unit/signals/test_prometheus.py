"""Asking a server that answers as Prometheus does: what is asked, what is made of the answer, and for how long."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api import AIIncident
from lazaretto.api.aiincident import AlertEntry
from lazaretto.errors import Invalid, InvalidInput, Unavailable
from lazaretto.signals import prometheus
from lazaretto.signals.prometheus import Prometheus, earliest

LABELS = {"alertname": "Leak", "namespace": "shop", "ai_model": "chat"}
T1, T2, T3 = (datetime(2026, 1, 2, hour, tzinfo=UTC) for hour in (1, 2, 3))
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def entry(**labels: str) -> AlertEntry:
    moment = "2026-01-02T12:00:00Z"
    return AlertEntry.model_validate(
        {"fingerprint": "ab", "name": "Leak", "labels": labels, "startsAt": moment, "receivedAt": moment}
    )


def incident(*alerts: AlertEntry, namespace: str = "shop") -> AIIncident:
    return AIIncident.read(
        {
            "metadata": {"namespace": namespace, "name": "chat-1"},
            "spec": {"source": {"type": "Alert"}, "alerts": [alert.dump() for alert in alerts or (entry(**LABELS),)]},
        }
    )


def series(moment: datetime, **labels: str) -> dict[str, Any]:
    stamp = str(moment.timestamp())
    return {"metric": {"__name__": "ALERTS_FOR_STATE", **labels}, "value": [moment.timestamp() + 60, stamp]}


@dataclass
class Server:
    """Answers each query with these series, or as `handler` says."""

    url: str = ""
    result: Any = field(default_factory=list)
    handler: Handler | None = None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, dict(request.query)))
        if self.handler is not None:
            return await self.handler(request)
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": self.result}})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    made.over.set()
    await runner.cleanup()


async def test_the_question_is_one_instant_query_for_the_incident_s_namespace(server: Server) -> None:
    server.result = [series(T2, **LABELS)]
    assert await Prometheus(server.url + "/").active_since(incident()) == T2
    assert server.asked == [("/api/v1/query", {"query": 'ALERTS_FOR_STATE{namespace="shop"}'})]


async def test_the_namespace_may_stand_in_another_label(server: Server) -> None:
    await Prometheus(server.url, namespace_label="tenant").active_since(incident())
    assert server.asked[0][1] == {"query": 'ALERTS_FOR_STATE{tenant="shop"}'}


async def test_a_prometheus_below_a_path_is_asked_there(server: Server) -> None:
    await Prometheus(f"{server.url}/prometheus/").active_since(incident())
    assert server.asked[0][0] == "/prometheus/api/v1/query"


HOSTILE = '"} or vector(0) or ALERTS_FOR_STATE{namespace=~".*'


async def test_nothing_an_alert_says_gets_into_the_query(server: Server) -> None:
    hostile = entry(**{HOSTILE: HOSTILE, "namespace": HOSTILE, "alertname": HOSTILE, "ai_model": "{{.}}"})
    await Prometheus(server.url).active_since(incident(hostile))
    assert server.asked == [("/api/v1/query", {"query": 'ALERTS_FOR_STATE{namespace="shop"}'})]


@pytest.mark.parametrize("namespace", ["", HOSTILE, "shop\n", 'shop"', "shop\\", "Shop", "-shop", "ſhop", "a" * 64])
async def test_what_cannot_be_a_namespace_is_not_asked_about(server: Server, namespace: str) -> None:
    assert await Prometheus(server.url).active_since(incident(namespace=namespace)) is None
    assert server.asked == []


@pytest.mark.parametrize("label", ["", "a-b", "1a", 'namespace="x",a', "namespace\n", "ñame", "a b"])
def test_a_label_name_that_is_none_is_refused(label: str) -> None:
    with pytest.raises(InvalidInput, match="namespace-label"):
        Prometheus("http://127.0.0.1:1", namespace_label=label)


async def test_proxies_of_the_environment_are_ignored(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, nowhere)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    server.result = [series(T1, **LABELS)]
    assert await Prometheus(server.url).active_since(incident()) == T1


async def test_a_redirect_is_not_followed(server: Server) -> None:
    async def send_on(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/elsewhere")

    server.handler = send_on
    with pytest.raises(Unavailable, match="Prometheus"):
        await Prometheus(server.url).active_since(incident())
    assert [path for path, _ in server.asked] == ["/api/v1/query"]


@pytest.mark.parametrize("status", [301, 400, 401, 404, 422, 429, 500, 503])
async def test_a_refusal_is_unavailable_after_one_try_and_quoted_bounded(server: Server, status: int) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text="x" * 100_000)

    server.handler = refuse
    with pytest.raises(Unavailable, match="Prometheus") as caught:
        await Prometheus(server.url).active_since(incident())
    assert len(str(caught.value)) < 400
    assert len(server.asked) == 1


async def test_nobody_listening_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(Unavailable):
        await Prometheus(nowhere).active_since(incident())


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[]",
        "null",
        "{}",
        '{"data": null}',
        '{"data": []}',
        '{"data": {}}',
        '{"data": {"result": null}}',
        '{"data": {"result": 5}}',
        '{"data": {"result": [1767312000, "1"]}}',
        '{"data": {"result": [{}]}}',
        '{"data": {"result": "text"}}',
    ],
)
async def test_an_answer_of_another_shape_is_unavailable(server: Server, body: str) -> None:
    async def other(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body, content_type="application/json")

    server.handler = other
    with pytest.raises(Unavailable):
        await Prometheus(server.url).active_since(incident())


async def test_an_expression_is_above_zero_if_anything_is_counted(server: Server) -> None:
    server.result = [{"metric": {}, "value": [1767312000, "2"]}]
    assert await Prometheus(server.url).is_positive('rate(x{a="b"}[5m]) # a comment')
    assert server.asked == [("/api/v1/query", {"query": 'count((\nrate(x{a="b"}[5m]) # a comment\n) > 0)'})]
    server.result = []
    assert not await Prometheus(server.url).is_positive("x")


@pytest.mark.parametrize(
    ("status", "error"), [(400, Invalid), (422, Invalid), (404, Unavailable), (429, Unavailable), (503, Unavailable)]
)
async def test_an_expression_that_is_refused_is_told_from_no_answer(
    server: Server, status: int, error: type[Exception]
) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "error", "error": "parse error"}, status=status)

    server.handler = refuse
    with pytest.raises(error, match=str(status)):
        await Prometheus(server.url).is_positive("x{")
    server.handler = None
    server.result = [1767312000, "1"]
    with pytest.raises(Unavailable):
        await Prometheus(server.url).is_positive("x")


@pytest.mark.parametrize("how", ["silent", "dripping"])
async def test_a_slow_answer_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A server that sends a byte now and then is never silent for long, and still has no more time than another."""
    monkeypatch.setattr(prometheus, "DEADLINE", 1.0)

    async def slow(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        if how == "dripping":
            await answer.prepare(request)
        while not server.over.is_set():
            await asyncio.sleep(0.05)
            if how == "dripping":
                await answer.write(b" ")
        return answer

    server.handler = slow
    with pytest.raises(Unavailable):
        await asyncio.wait_for(Prometheus(server.url).active_since(incident()), 20)
    server.over.set()


@pytest.mark.parametrize(
    ("answer", "alerts", "moment"),
    [
        ([], [entry(**LABELS)], None),
        ([series(T1, **LABELS)], [], None),
        ([series(T1, **LABELS)], [entry(**LABELS)], T1),
        ([series(T3, **LABELS), series(T1, **LABELS), series(T2, **LABELS)], [entry(**LABELS)], T1),
        ([series(T1, **{**LABELS, "alertname": "Other"}), series(T2, **LABELS)], [entry(**LABELS)], T2),
        ([series(T1, **LABELS, pod="a")], [entry(**LABELS)], None),
        ([series(T1, **LABELS)], [entry(**LABELS, cluster="east", severity="critical")], T1),
        ([series(T1, alertname="A"), series(T2, alertname="B")], [entry(alertname="B"), entry(alertname="A")], T1),
    ],
    ids=["none", "no alerts", "one", "earliest", "another alert", "more labels", "external labels", "several alerts"],
)
def test_the_earliest_series_of_one_of_the_alerts_counts(
    answer: list[dict[str, Any]], alerts: list[AlertEntry], moment: datetime | None
) -> None:
    assert earliest(answer, alerts) == moment


@pytest.mark.parametrize(
    "value", [None, [], [1], "5", 7, [1, "soon"], [1, None], [1, "NaN"], [1, "+Inf"], [1, "1e300"], [1, {}]]
)
def test_a_value_that_is_no_moment_is_left_out(value: object) -> None:
    broken = {"metric": dict(LABELS), "value": value}
    assert earliest([broken], [entry(**LABELS)]) is None
    assert earliest([broken, series(T2, **LABELS)], [entry(**LABELS)]) == T2


MOMENTS = st.lists(st.tuples(st.sampled_from("ABC"), st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1))))


@given(MOMENTS, st.sets(st.sampled_from("ABC")), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_the_answer_matters(
    moments: list[tuple[str, datetime]], wanted: set[str], random: Any
) -> None:
    answer = [series(moment.replace(microsecond=0, tzinfo=UTC), alertname=name) for name, moment in moments]
    alerts = [entry(alertname=name, team="red") for name in sorted(wanted)]
    whole = [(name, moment.replace(microsecond=0, tzinfo=UTC)) for name, moment in moments]
    # A condition that became true after its alert fired is not believed.
    expected = min((m for name, m in whole if name in wanted and m <= entry().starts_at), default=None)
    shuffled = [*answer, *answer]
    random.shuffle(shuffled)
    assert earliest(answer, alerts) == earliest(shuffled, alerts) == expected
