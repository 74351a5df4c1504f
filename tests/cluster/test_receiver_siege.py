"""Attacks on the running receiver that need no valid document: each is turned away in bounded memory, and alerts pass.

What the receiver does in each case is tested in tests/unit/receiver; here it is the process, its TLS and its memory.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.attacker import (
    CLOSING,
    JSON_TYPE,
    MIB,
    ROOM,
    Attacker,
    bounded,
    chunk,
    head,
    memory,
    request,
    rest,
    statuses,
)
from tests.cluster.receiver import POSTED_PATH, WEBHOOK_PATH, ReceiverProcess
from tests.cluster.receiver_stories import firing_alert, incidents_in, webhook_payload
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster

Besieged = tuple[ReceiverProcess, Attacker]
HUGE = 4 * MIB + 1
EMPTY = b'{"version": "4", "alerts": []}'


@pytest.fixture(scope="module", autouse=True)
def given_back(besieged: Besieged) -> Iterator[None]:
    """All attacks after each other leave no more behind than two of them may take."""
    receiver, _ = besieged
    before = memory(receiver.pid, "VmRSS")
    yield
    assert memory(receiver.pid, "VmRSS") - before <= 2 * ROOM


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head(JSON_TYPE, f"Content-Length: {HUGE}"), 413),
        (head(JSON_TYPE, f"Content-Length: {2**63 - 1}"), 413),
        (head(JSON_TYPE, f"Content-Length: {10**30}"), 400),
        (head(JSON_TYPE, "Transfer-Encoding: chunked") + chunk(b" " * MIB) * 5, 413),
        (head(JSON_TYPE, "Transfer-Encoding: chunked") + b"ffffffffffffffff\r\n" + b" " * 6 * MIB, 413),
        (head(JSON_TYPE, "Transfer-Encoding: chunked") + b"1;" + b"x" * 10 * MIB, 503),
        (head(JSON_TYPE, "Content-Length: 100000000", token="wrong") + b" " * 8 * MIB, 401),
    ],
    ids=[
        "one byte more",
        "the most",
        "more than that",
        "in chunks",
        "one endless chunk",
        "an endless chunk size",
        "a stranger's",
    ],
)
def test_oversized_bodies_are_not_kept(besieged: Besieged, data: bytes, status: int) -> None:
    receiver, attacker = besieged
    with bounded(receiver, grows=24 * MIB):
        answered = statuses(attacker.exchange(data))
    # Who still writes when the connection ends may lose the answer to the reset; a stranger is not listened to.
    assert answered in ([status], [])


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
    "br": lambda body: b"\x1b" + body[:100],
    "zstd": lambda body: b"\x28\xb5\x2f\xfd" + body[:100],
}


@pytest.mark.parametrize("encoding", PACKED)
def test_compression_bombs_are_never_unpacked(besieged: Besieged, encoding: str) -> None:
    """50 MB of blanks as a few kilobytes; in a transfer coding as well."""
    receiver, attacker = besieged
    bomb = PACKED[encoding](b"[" + b" " * 50_000_000 + b"]")
    with bounded(receiver, grows=8 * MIB):
        assert statuses(attacker.exchange(request(bomb, f"Content-Encoding: {encoding}"))) == [415]
        coded = head(JSON_TYPE, f"Transfer-Encoding: {encoding}, chunked") + chunk(bomb) + chunk(b"")
        assert statuses(attacker.exchange(coded)) in ([400], [501])


SECOND = request(EMPTY, CLOSING)
SMUGGLED = {
    "both lengths": head(JSON_TYPE, "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + SECOND,
    "two lengths": head(JSON_TYPE, "Content-Length: 0", f"Content-Length: {len(SECOND)}") + SECOND,
    "a list of lengths": head(JSON_TYPE, "Content-Length: 2, 2") + b"[]" + SECOND,
    "a signed length": head(JSON_TYPE, "Content-Length: +2") + b"[]" + SECOND,
    "a length in hex": head(JSON_TYPE, "Content-Length: 0x2") + b"[]" + SECOND,
    "digits of another script": head(JSON_TYPE, "Content-Length: \u0662") + b"[]" + SECOND,
    "a coding beside chunked": head(JSON_TYPE, "Transfer-Encoding: xchunked", "Content-Length: 2") + b"[]" + SECOND,
    "a blank before the colon": head(JSON_TYPE, "Transfer-Encoding : chunked", "Content-Length: 2") + b"[]" + SECOND,
    "chunked twice": head(JSON_TYPE, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n"
    + SECOND,
    "a folded header": head(JSON_TYPE, "X: a\r\n Transfer-Encoding: chunked", "Content-Length: 2") + b"[]" + SECOND,
    "a bare line feed": b"POST / HTTP/1.1\nHost: receiver\nContent-Length: 2\n\n[]" + SECOND,
    "a bare carriage return": head(JSON_TYPE, "X: a\rTransfer-Encoding: chunked", "Content-Length: 2") + b"[]" + SECOND,
    "a null": head(JSON_TYPE, "X: a\0b", "Content-Length: 2") + b"[]" + SECOND,
    "a negative chunk": head(JSON_TYPE, "Transfer-Encoding: chunked") + b"-1\r\n\r\n" + SECOND,
    "a chunk that is longer": head(JSON_TYPE, "Transfer-Encoding: chunked") + b"2\r\n[]xx\r\n0\r\n\r\n" + SECOND,
    "a chunk size in another script": head(JSON_TYPE, "Transfer-Encoding: chunked")
    + "\u0662\r\n[]\r\n".encode()
    + SECOND,
}


@pytest.mark.parametrize("data", SMUGGLED.values(), ids=SMUGGLED)
def test_no_request_is_smuggled_behind_another(besieged: Besieged, data: bytes) -> None:
    """One malformed request is one refusal: the connection ends, and what stands behind it is never a request."""
    receiver, attacker = besieged
    with bounded(receiver, grows=8 * MIB):
        assert statuses(attacker.exchange(data)) == [400]


BOMBS = {
    "one long header": head(f"X: {'a' * 10_000}"),
    "a long name": head(f"{'X' * 10_000}: a"),
    "many headers": head(*(f"X-{n}: a" for n in range(20_000))),
    "one header many times": head(*("X: a" for _ in range(20_000))),
    "a header without an end": head()[:-2] + b"X: " + b"a" * 30 * MIB,
    "a line without an end": b"POST /" + b"a" * 30 * MIB,
    "a method without an end": b"A" * 30 * MIB,
    "trailers": head(JSON_TYPE, "Transfer-Encoding: chunked") + b"0\r\n" + b"X: a\r\n" * 2 * MIB,
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_header_bombs_are_cut_off(besieged: Besieged, data: bytes) -> None:
    receiver, attacker = besieged
    with bounded(receiver, grows=24 * MIB):
        assert statuses(attacker.exchange(data)) in ([400], [])


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/metrics",
        "/debug/pprof",
        "//api/v1/alertmanager",
        "/api/v1/alertmanager/",
        "/api/v1/../v1/alertmanager",
        "/api/v1/%61lertmanager%2f..",
        "/api/v1/alertmanager%00",
        "/api/v1/alertmanager;x=1",
        "/API/V1/ALERTMANAGER",
        "/api/v2/alerts/..%2f..%2fv1",
        "/api/v1/alertmanager/../../../etc/passwd",
        "/\u202e/x",
        "http://169.254.169.254/latest",
        "*",
    ],
)
def test_no_trick_with_the_path_leads_anywhere(besieged: Besieged, path: str) -> None:
    receiver, attacker = besieged
    with bounded(receiver, grows=8 * MIB):
        answer = attacker.exchange(head(JSON_TYPE, CLOSING, "Content-Length: 2", path=path) + b"[]")
    assert statuses(answer) in ([404], [400])


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post", "P\x00ST"])
def test_other_methods_do_nothing(besieged: Besieged, method: str) -> None:
    receiver, attacker = besieged
    with bounded(receiver):
        for path in (WEBHOOK_PATH, POSTED_PATH):
            answer = attacker.exchange(head(JSON_TYPE, CLOSING, "Content-Length: 2", path=path, method=method) + b"[]")
            assert statuses(answer) in ([405], [400], [404])


@pytest.mark.parametrize(
    "lines",
    [(), ("Authorization: Bearer ",), ("Authorization: Bearer wrong",), ("Authorization: Basic YTpi",)],
    ids=["none", "empty", "wrong", "another scheme"],
)
def test_strangers_store_nothing(
    cluster: ClusterAccess, besieged: Besieged, namespace: str, model: str, lines: tuple[str, ...]
) -> None:
    receiver, attacker = besieged
    headers = (JSON_TYPE, CLOSING, "Content-Length: 2", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-User: alertmanager")
    with bounded(receiver):
        for path in (WEBHOOK_PATH, POSTED_PATH, f"{WEBHOOK_PATH}?access_token=one-long-secret-of-alertmanager"):
            assert statuses(attacker.exchange(head(*headers, *lines, path=path, token="") + b"[]")) == [401]
    assert incidents_in(cluster, namespace) == []


def test_what_is_no_http_1_over_tls_is_turned_away(besieged: Besieged) -> None:
    """HTTP/2 by its preface or by negotiation, plain HTTP on the TLS port, noise, and old TLS."""
    receiver, attacker = besieged
    with bounded(receiver, grows=16 * MIB):
        assert statuses(attacker.exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 100)) in ([400], [])
        upgrade = head(JSON_TYPE, CLOSING, "Upgrade: h2c", "Connection: Upgrade", "Content-Length: 2") + b"[]"
        assert 101 not in statuses(attacker.exchange(upgrade))
        for noise in (request(EMPTY), b"\x16\x03\x01\xff\xff" + b"\xff" * 70_000, b"\x80\x2e\x01\x00\x02", b"\0" * 100):
            with attacker.connect() as plain:
                with suppress(OSError):
                    plain.sendall(noise)
                plain.shutdown(socket.SHUT_WR)
                assert statuses(rest(plain)) == []
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with pytest.raises(ssl.SSLError, match=r"(?i)EOF|alert protocol version"):
                attacker.open(context=_old_tls(version)).close()
        assert receiver.post(webhook_payload())[0] == 200


def test_slow_senders_are_given_up_and_alerts_pass_meanwhile(
    cluster: ClusterAccess, besieged: Besieged, namespace: str, model: str
) -> None:
    """Slow loris: 150 connections that say nothing, 150 with endless headers, 60 with a body that never comes.

    One more sends nothing but line breaks.
    """
    receiver, attacker = besieged
    with bounded(receiver), ExitStack() as stack:
        opened = [stack.enter_context(attacker.open()) for _ in range(360)]
        opened[0].sendall(b"\r\n" * 4 * MIB)
        dripping, bodies = opened[150:300], opened[300:]
        for connection in bodies:
            connection.sendall(head(JSON_TYPE, "Content-Length: 1000") + b"{")
        for number in range(5):
            for connection in dripping:
                connection.sendall(head(f"X-{number}: a")[: -len(b"\r\n")] if number == 0 else b"X: a\r\n")
            alert = firing_alert(namespace, f"Meanwhile{number}")
            assert receiver.post(webhook_payload(alert))[0] == 200
        assert {tuple(statuses(rest(connection))) for connection in bodies} == {(503,)}
        assert {rest(connection) for connection in opened[:300]} == {b""}
    [incident] = incidents_in(cluster, namespace)
    assert len(incident["spec"]["alerts"]) == 5


def test_connections_beyond_the_bound_end_at_once_and_those_within_work(besieged: Besieged) -> None:
    """A flood, each held open: about 512 are let in, and one of them still delivers."""
    receiver, attacker = besieged
    with bounded(receiver), ExitStack() as stack:
        first = stack.enter_context(attacker.open())
        let_in = 0
        for _ in range(600):
            with suppress(OSError):
                stack.enter_context(attacker.open())
                let_in += 1
        assert 480 <= let_in <= 512
        first.sendall(request(EMPTY, CLOSING))
        assert statuses(rest(first)) == [200]
    until(lambda: _let_in(receiver), what="there is room again")


def test_connections_that_never_begin_tls_are_bounded_as_well(besieged: Besieged) -> None:
    """Each would cost the receiver memory before it has said a word."""
    receiver, attacker = besieged
    with bounded(receiver), ExitStack() as stack:
        silent = [stack.enter_context(attacker.connect()) for _ in range(2000)]
        assert all(rest(connection) == b"" for connection in silent)
    until(lambda: _let_in(receiver), what="there is room again")


def _old_tls(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that they are old is the point
        context.minimum_version = context.maximum_version = version
    return context


def _let_in(receiver: ReceiverProcess) -> bool:
    try:
        return receiver.post(webhook_payload())[0] == 200
    except OSError:
        return False
