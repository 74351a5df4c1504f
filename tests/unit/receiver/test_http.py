"""The public port as a stranger, a slow sender and a careless one meet it."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import threading
from pathlib import Path

import pytest

from lazaretto.receiver import endpoints
from lazaretto.receiver.strict_json import parse
from tests.unit.receiver.conftest import OTHER_TOKEN, TOKEN, Running, Start
from tests.unit.receiver.payloads import alert, webhook

PATH = "/api/v1/alertmanager"


def head(*lines: str, path: str = PATH, method: str = "POST", token: str | None = TOKEN) -> bytes:
    """A request's head."""
    all_lines = [f"{method} {path} HTTP/1.1", "Host: receiver", *lines]
    if token is not None:
        all_lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*all_lines, "", ""]).encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


JSON_TYPE = "Content-Type: application/json"


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Authorization:",),
        ("Authorization: Bearer",),
        ("Authorization: Bearer ",),
        ("Authorization: Bearer wrong",),
        (f"Authorization: Bearer {TOKEN}x",),
        (f"Authorization: Bearer {TOKEN[:-1]}",),
        (f"Authorization: Basic {TOKEN}",),
        (f"Authorization: {TOKEN}",),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer wrong"),
        (f"X-Authorization: Bearer {TOKEN}", "X-Forwarded-For: 127.0.0.1"),
        (f"Cookie: token={TOKEN}",),
    ],
)
async def test_strangers_get_401_with_the_body_unread(one: Running, lines: tuple[str, ...]) -> None:
    """Only the head is sent: an answer, and the end of the connection, show that nobody waits for the body."""
    answer = await one.raw(head(*lines, JSON_TYPE, "Content-Length: 1000000", token=None))
    assert status_of(answer) == 401
    assert b"Connection: close" in answer


@pytest.mark.parametrize("query", [f"?token={TOKEN}", f"?access_token={TOKEN}", f"?Authorization=Bearer%20{TOKEN}"])
async def test_token_in_the_query_never_counts(one: Running, query: str) -> None:
    assert status_of(await one.raw(head(JSON_TYPE, "Content-Length: 2", path=PATH + query, token=None))) == 401


async def test_stranger_is_not_told_to_continue(one: Running) -> None:
    lines = (JSON_TYPE, "Content-Length: 10", "Expect: 100-continue")
    assert status_of(await one.raw(head(*lines, token="wrong"))) == 401


async def test_known_sender_is_told_to_continue(one: Running) -> None:
    body = json.dumps(webhook(alert())).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
    writer.write(head(JSON_TYPE, f"Content-Length: {len(body)}", "Expect: 100-continue", "Connection: close"))
    assert b" 100 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    writer.write(body)
    assert status_of(await asyncio.wait_for(reader.read(), 30)) == 200
    writer.close()


async def test_two_tokens_at_once_and_rotation(one: Running, tokens: Path) -> None:
    payload = webhook(alert())
    assert (await one.post(payload, token=TOKEN))[0] == 200
    assert (await one.post(payload, token=OTHER_TOKEN))[0] == 200
    (tokens / "third").write_text("a-new-one-entirely")
    (tokens / "alertmanager").unlink()
    assert (await one.post(payload, token="a-new-one-entirely"))[0] == 200
    assert (await one.post(payload, token=TOKEN))[0] == 401


async def test_token_replaced_in_place(one: Running, tokens: Path) -> None:
    (tokens / "alertmanager").write_text("the-same-file-anew")
    assert (await one.post(webhook(), token="the-same-file-anew"))[0] == 200
    assert (await one.post(webhook(), token=TOKEN))[0] == 401


async def test_empty_token_files_let_nobody_in(one: Running, tokens: Path) -> None:
    (tokens / "empty").write_text(" \n")
    (tokens / ".hidden").write_text("hidden-token")
    for presented in ("", " ", "hidden-token"):
        assert status_of(await one.raw(head(JSON_TYPE, "Content-Length: 2", token=presented))) == 401


async def test_all_tokens_gone_is_503_because_401_would_lose_alerts(one: Running, tokens: Path) -> None:
    for file in tokens.iterdir():
        file.unlink()
    assert (await one.post(webhook(alert())))[0] == 503


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("Content-Encoding: gzip",), 415),
        (("Content-Encoding: identity, gzip",), 415),
        (("Content-Encoding: zstd",), 415),
        (("Content-Encoding: identity", "Content-Encoding: br"), 415),
    ],
)
async def test_encoded_bodies_are_refused_unread(one: Running, lines: tuple[str, ...], status: int) -> None:
    answer = await one.raw(head(*lines, JSON_TYPE, "Content-Length: 1000000"))
    assert status_of(answer) == status


async def test_gzip_bomb_is_never_unpacked(one: Running) -> None:
    bomb = gzip.compress(b"[" + b" " * 10_000_000 + b"]")
    assert (await one.post(bomb, headers={"Content-Encoding": "gzip"}))[0] == 415


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/jsonp", "application/json; charset=utf-16", "application/xml"]
)
async def test_other_types_are_415(one: Running, kind: str) -> None:
    lines = [f"Content-Type: {kind}"] if kind else []
    assert status_of(await one.raw(head(*lines, "Content-Length: 1000000"))) == 415


async def test_json_with_charset_is_taken(one: Running) -> None:
    status, _ = await one.post(webhook(), headers={"Content-Type": "application/json; charset=UTF-8"})
    assert status == 200


async def test_stated_size_over_the_bound_is_413_unread(start: Start) -> None:
    one = await start(largest_body=2048)
    assert status_of(await one.raw(head(JSON_TYPE, "Content-Length: 2049"))) == 413


async def test_streamed_size_over_the_bound_is_413(start: Start) -> None:
    one = await start(largest_body=2048)
    chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
    answer = await one.raw(head(JSON_TYPE, "Transfer-Encoding: chunked") + chunk * 3)
    assert status_of(answer) == 413


async def test_bound_itself_is_taken(start: Start) -> None:
    body = json.dumps(webhook(alert())).encode()
    one = await start(largest_body=2048)
    assert (await one.post(body + b" " * (2048 - len(body))))[0] == 200


async def test_endless_chunked_body_is_cut_off(start: Start) -> None:
    """A sender that would go on for ever is read up to the bound and a little more."""
    one = await start(largest_body=64 * 1024)
    _, writer = await asyncio.open_connection("127.0.0.1", one.port)
    writer.write(head(JSON_TYPE, "Transfer-Encoding: chunked"))
    sent = 0
    try:
        while sent < 512 * 1024 * 1024:
            writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
            await asyncio.wait_for(writer.drain(), 30)
            sent += 65536
    except ConnectionError:
        pass
    assert sent < 32 * 1024 * 1024
    writer.close()


async def test_slow_body_is_503(start: Start) -> None:
    one = await start(read_seconds=0.2)
    answer = await one.raw(head(JSON_TYPE, "Content-Length: 100") + b"[")
    assert status_of(answer) == 503
    assert b"Retry-After: " in answer


async def test_slow_headers_end_the_connection(start: Start) -> None:
    one = await start(header_seconds=0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", one.port)

    async def drip() -> None:
        for byte in head(JSON_TYPE) * 10:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    assert await asyncio.wait_for(reader.read(), 30) == b""
    dripping.cancel()
    writer.close()


async def test_silent_and_idle_connections_end(start: Start) -> None:
    one = await start(header_seconds=0.3)
    assert await one.raw(b"") == b""
    body = json.dumps(webhook()).encode()
    answer = await one.raw(head(JSON_TYPE, f"Content-Length: {len(body)}") + body)
    assert status_of(answer) == 200


async def test_connections_are_bounded(start: Start) -> None:
    one = await start(connections=5)
    held = [await asyncio.open_connection("127.0.0.1", one.port) for _ in range(5)]
    await asyncio.sleep(0.05)
    with pytest.raises((ConnectionError, AssertionError)):
        assert await one.raw(head(JSON_TYPE, "Content-Length: 2"))
    for _, writer in held:
        writer.close()
    await asyncio.sleep(0.1)
    assert (await one.post(webhook()))[0] == 200


@pytest.mark.parametrize(
    "data",
    [
        head("X: " + "a" * 10_000),
        head(path="/" + "a" * 10_000),
        head(*(f"X-{n}: 1" for n in range(200))),
        b"GARBAGE\r\n\r\n",
        head(JSON_TYPE, "Content-Length: 2", "Transfer-Encoding: chunked"),
        head(JSON_TYPE, "Content-Length: -1"),
        head(JSON_TYPE, "Content-Length: 2", "Content-Length: 3"),
        head(JSON_TYPE, "Transfer-Encoding: gzip, chunked, chunked"),
    ],
)
async def test_malformed_requests_are_400_and_closed(one: Running, data: bytes) -> None:
    assert status_of(await one.raw(data)) in (400, 415)


async def test_header_errors_do_not_leak_tokens_into_the_log(one: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await one.raw(head(f"Author\x01ization: Bearer {TOKEN}"))
        await one.raw(head(f"X-Long: {TOKEN}{'a' * 10_000}"))
        await one.post(webhook(alert(summary="secret-in-alert-text")), token="presented-but-wrong")
        await one.post(webhook(alert(summary="secret-in-alert-text", team="label-text")))
        await one.post(b'{"version": "4", "alerts": [secret-in-alert-text')
    logged = caplog.text
    assert "created shop/chat-1" in logged
    for secret in (TOKEN, "presented-but-wrong", "secret-in-alert-text", "label-text"):
        assert secret not in logged


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/healthz", "/readyz", "/api/v1/alertmanager/", "/api/v2/alerts/../x", "/debug"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nothing_else_is_here(one: Running, path: str, method: str) -> None:
    assert status_of(await one.raw(head("Content-Length: 0", path=path, method=method, token=None))) == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("path", [PATH, "/api/v2/alerts"])
async def test_other_methods_are_405(one: Running, method: str, path: str) -> None:
    answer = await one.raw(head("Content-Length: 0", path=path, method=method))
    assert status_of(answer) == 405
    assert b"Allow: POST" in answer


@pytest.mark.parametrize("version", ["3", "5", 4, None, "", "4 "])
async def test_other_payload_versions_are_400_and_say_why(one: Running, version: object) -> None:
    status, answer = await one.post(webhook(version=version))
    assert status == 400
    assert answer["field"] == "version"
    assert answer["value"] == repr(version)
    assert "Alertmanager" in answer["remedy"]


async def test_too_many_requests_at_once_is_503(start: Start) -> None:
    one = await start(requests_at_once=2)
    one.api.delay = 0.3
    answers = await asyncio.gather(*(one.post(webhook(alert(f"A{n}"))) for n in range(5)))
    assert sorted(status for status, _ in answers) == [200, 200, 503, 503, 503]


async def test_too_many_bytes_at_once_is_503(start: Start) -> None:
    one = await start(bytes_at_once=3000, largest_body=4096)
    one.api.delay = 0.3
    posts = (one.post(webhook(alert(f"A{n}", summary="s" * 1500))) for n in range(3))
    assert sorted(status for status, _ in await asyncio.gather(*posts)) == [200, 503, 503]


async def test_too_many_alerts_are_400(start: Start) -> None:
    one = await start(most_alerts=3)
    assert (await one.post(webhook(*(alert(f"A{n}") for n in range(4)))))[0] == 400
    assert (await one.post([alert(f"A{n}") for n in range(4)], path="/api/v2/alerts"))[0] == 400


async def test_probes_have_a_port_of_their_own(start: Start) -> None:
    one = await start()
    base = f"http://127.0.0.1:{one.receiver.health_address.port}"
    found = {}
    for path in ("/healthz", "/readyz", PATH, "/"):
        async with one.session.get(base + path) as answer:
            found[path] = answer.status
    assert found == {"/healthz": 200, "/readyz": 200, PATH: 404, "/": 404}


async def test_request_in_progress_ends_before_the_process(start: Start) -> None:
    one = await start()
    one.api.delay = 0.3
    posting = asyncio.create_task(one.post(webhook(alert())))
    await asyncio.sleep(0.15)
    await one.receiver.stop(grace=5.0)
    assert (await posting)[0] == 200


async def test_large_post_leaves_the_loop_to_others(one: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """While 8,000 alerts are parsed, the loop runs on; a small request is not worth a thread."""
    alerts = [alert(f"A{n}", ai_model=f"m{n % 100}", summary="s" * 50) for n in range(8_000)]
    ran: list[bool] = []

    def seen(body: bytes) -> object:
        ran.append(threading.current_thread() is threading.main_thread())
        return parse(body)

    monkeypatch.setattr(endpoints, "parse", seen)
    assert (await one.post(webhook(*alerts)))[0] == 200
    assert (await one.post(webhook(alert())))[0] == 200
    assert ran == [False, True]
    assert len(one.api.writes) == 2
