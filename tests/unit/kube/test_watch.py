"""What a watch hands on, and what ends it with which error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import ApiError, Expired, Unavailable
from lazaretto.kube import request as requests
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.resource import INCIDENTS
from tests.unit.kube.scripted import Scripted

ADDED: dict[str, Any] = {"type": "ADDED", "object": {"metadata": {"name": "a"}, "spec": {"summary": "é"}}}
DELETED: dict[str, Any] = {"type": "DELETED", "object": {"metadata": {"name": "a"}}}
BOOKMARK: dict[str, Any] = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "7"}}}


def line(event: object) -> bytes:
    return json.dumps(event).encode() + b"\n"


def gone(**changed: Any) -> dict[str, Any]:
    return {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version", **changed}


async def followed(*lines: bytes | Exception) -> tuple[list[Any], ApiError | None]:
    """The events of a watch over these lines, and the error that ended it."""
    events: list[Any] = []
    try:
        async for event in ApiServer(Scripted(lines=lines)).watch(INCIDENTS):
            events.append(event)
    except ApiError as error:
        return events, error
    return events, None


async def test_a_watch_asks_for_one_object_from_a_version_on_and_bounds_its_silence() -> None:
    transport = Scripted()
    where: dict[str, Any] = {"namespace": "shop", "name": "chat-1", "version": "7"}
    async for _ in ApiServer(transport).watch(INCIDENTS, **where):
        pytest.fail("nothing was said")
    assert transport.requests == [requests.watch(INCIDENTS, **where)]
    # Bookmarks come each minute: a shorter bound would end healthy watches, a much longer one leaves us blind.
    assert 62 < transport.timeouts[0] < 120


async def test_events_and_bookmarks_come_as_they_were_sent_and_the_end_is_no_error() -> None:
    assert await followed(line(ADDED), line(BOOKMARK), line(DELETED)) == ([ADDED, BOOKMARK, DELETED], None)


@pytest.mark.parametrize(
    "last", [{"type": "ERROR", "object": gone()}, gone(), {"type": "ERROR", "object": gone(reason="Gone")}]
)
async def test_410_is_expired_after_the_events_before_it(last: dict[str, Any]) -> None:
    events, error = await followed(line(ADDED), line(last), line(DELETED))
    assert events == [ADDED]
    assert isinstance(error, Expired)
    assert (error.status, error.message) == (410, "too old resource version")


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ({"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "boom"}}, 500),
        ({"kind": "Status", "code": 403, "message": "no"}, 403),
        ({"type": "ERROR", "object": {}}, 0),
        ({"type": "ERROR"}, 0),
        ({"type": "ERROR", "object": "text"}, 0),
        ({"type": "ERROR", "object": {"code": "410"}}, 0),
        ({"type": "ERROR", "object": {"code": None, "message": None}}, 0),
    ],
)
async def test_every_other_error_event_is_unavailable(last: dict[str, Any], status: int) -> None:
    events, error = await followed(line(ADDED), line(last))
    assert events == [ADDED]
    assert isinstance(error, Unavailable)
    assert error.status == status


@pytest.mark.parametrize(
    "garbage", [b"{\n", b"<html>\n", b"\n", b"\xff\xfe\n", b"[1]\n", b"null\n", b"5\n", b'"ADDED"\n', line(ADDED)[:-9]]
)
async def test_a_line_that_is_no_event_ends_the_watch_and_is_quoted(garbage: bytes) -> None:
    events, error = await followed(line(ADDED), garbage, line(DELETED))
    assert events == [ADDED]
    assert isinstance(error, Unavailable)
    assert repr(garbage[:80]) in str(error)


async def test_an_error_that_quotes_stays_short() -> None:
    _, garbage = await followed(b"x" * 100_000)
    _, status = await followed(line({"type": "ERROR", "object": {"code": 500, "message": "y" * 100_000}}))
    assert max(len(str(garbage)), len(str(status))) < 400


async def test_a_broken_stream_is_unavailable() -> None:
    events, error = await followed(line(ADDED), Unavailable(0, "stream broken"))
    assert events == [ADDED]
    assert isinstance(error, Unavailable)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "object", "kind", "code", "message"]), inner)
    ),
    max_leaves=8,
)
ALMOST = st.fixed_dictionaries({"type": st.sampled_from(["ADDED", "ERROR"]) | ANY_JSON, "object": ANY_JSON})


@given(ANY_JSON | ALMOST)
async def test_whatever_a_line_holds_it_is_an_event_or_an_api_error(value: object) -> None:
    events, error = await followed(line(value))
    assert len(events) + (error is not None) == 1
