"""The verbs: what each sends, what it makes of the answers, and what it never takes for one."""

from __future__ import annotations

from typing import Any

import pytest

from lazaretto.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    NotFound,
    Unavailable,
)
from lazaretto.kube import request as requests
from lazaretto.kube.api_server import PAGE, ApiServer, Object
from lazaretto.kube.resource import INCIDENTS
from lazaretto.kube.retry import RetryPolicy
from lazaretto.kube.transport import Response
from tests.engine.memory_api import failure
from tests.unit.kube.scripted import Scripted, ok

ONE: dict[str, Any] = {"namespace": "shop", "name": "chat-1"}
NAMED = {"apiVersion": "lazaretto.dev/v1alpha1", "kind": "AIIncident"}
QUICK = RetryPolicy(per_try=1.5, deadline=5.0, first_wait=0.0, longest_wait=0.0)
LOST = Unavailable(0, "answer cut off")
PATCH = requests.json_patch(INCIDENTS, [{"op": "test", "path": "/metadata/uid", "value": "u1"}], **ONE, manager="m")


def server(transport: Scripted, *, policy: RetryPolicy = QUICK) -> ApiServer:
    return ApiServer(transport, policy=policy)


def incident(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name, "resourceVersion": "5"}, **more}


def page(*items: dict[str, Any], token: str | None = None, version: str = "9") -> Response:
    metadata = {"resourceVersion": version, **({} if token is None else {"continue": token})}
    return ok({"kind": "AIIncidentList", "metadata": metadata, "items": list(items)})


async def test_get_returns_the_object_as_it_came() -> None:
    body = {**NAMED, **incident("chat-1"), "unknown": [1, None]}
    transport = Scripted(ok(body))
    assert await server(transport).get(INCIDENTS, **ONE) == body
    assert transport.requests == [requests.get(INCIDENTS, **ONE)]


async def test_a_try_has_the_policy_s_timeout() -> None:
    transport = Scripted(ok(incident("chat-1")))
    await server(transport).get(INCIDENTS, **ONE)
    assert transport.timeouts == [QUICK.per_try]


async def test_another_policy_shares_the_connections() -> None:
    transport = Scripted(ok(incident("chat-1")), LOST)
    api = server(transport)
    patient = api.with_policy(RetryPolicy(per_try=0.7, deadline=0.01, first_wait=1.0))
    await api.get(INCIDENTS, **ONE)
    with pytest.raises(Unavailable):
        await patient.get(INCIDENTS, **ONE)
    assert len(transport.requests) == 2
    await patient.close()
    assert transport.closed


@pytest.mark.parametrize(
    "lost", [LOST, failure(503, "ServiceUnavailable"), failure(429, "TooManyRequests"), failure(500, "InternalError")]
)
async def test_reads_patches_and_deletes_are_repeated(lost: Response | Exception) -> None:
    transport = Scripted(lost, ok(incident("a")), lost, ok(incident("b")), lost, ok({"kind": "Status"}))
    api = server(transport)
    assert (await api.get(INCIDENTS, **ONE))["metadata"]["name"] == "a"
    assert (await api.patch(PATCH))["metadata"]["name"] == "b"
    await api.delete(INCIDENTS, **ONE, uid="u1")
    delete = requests.delete(INCIDENTS, **ONE, uid="u1")
    assert transport.requests == [requests.get(INCIDENTS, **ONE)] * 2 + [PATCH] * 2 + [delete] * 2


async def test_a_create_whose_answer_was_lost_ends_as_already_there() -> None:
    """The first try may have been stored; whoever created it learns that by reading, never by a second object."""
    transport = Scripted(LOST, failure(409, "AlreadyExists"))
    with pytest.raises(AlreadyExists):
        await server(transport).create(INCIDENTS, incident("chat-1"), namespace="shop", manager="m")
    assert transport.requests == [requests.create(INCIDENTS, incident("chat-1"), namespace="shop", manager="m")] * 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (failure(403, "Forbidden"), Forbidden),
        (failure(404, "NotFound"), NotFound),
        (failure(409, "Conflict"), Conflict),
        (failure(422, "Invalid"), Conflict),
    ],
)
async def test_a_refusal_is_raised_once_and_names_the_request(answer: Response, kind: type[ApiError]) -> None:
    transport = Scripted(answer)
    with pytest.raises(kind, match=r"PATCH .*/aiincidents/chat-1: .* made up"):
        await server(transport).patch(PATCH)


async def test_delete_of_something_gone_is_success() -> None:
    transport = Scripted(failure(404, "NotFound"))
    await server(transport).delete(INCIDENTS, **ONE, uid="u1")
    assert transport.requests == [requests.delete(INCIDENTS, **ONE, uid="u1")]


async def test_delete_of_a_successor_of_the_same_name_is_a_conflict() -> None:
    with pytest.raises(Conflict):
        await server(Scripted(failure(409, "Conflict"))).delete(INCIDENTS, **ONE, uid="u1")


async def test_a_list_is_read_to_its_last_page() -> None:
    transport = Scripted(
        page(incident("a"), incident("b"), token="one"), page(token="two"), page(incident("c"), token="", version="12")
    )
    found = await server(transport).list(INCIDENTS, namespace="shop", labels="x=y")
    assert [item["metadata"]["name"] for item in found] == ["a", "b", "c"]
    first = requests.list_objects(INCIDENTS, namespace="shop", labels="x=y")
    assert transport.requests == [first, *(requests.continued(first, token) for token in ("one", "two"))]


async def test_pages_come_one_by_one_and_end_where_the_server_forgot_them() -> None:
    transport = Scripted(page(incident("a"), token="one"), failure(410, "Expired"))
    seen: list[Object] = []

    async def read() -> None:
        async for items in server(transport).pages(INCIDENTS):
            seen.extend(items)

    with pytest.raises(Expired):
        await read()
    assert [item["metadata"]["name"] for item in seen] == ["a"]
    first = requests.list_objects(INCIDENTS, limit=PAGE)
    assert transport.requests == [first, requests.continued(first, "one")]


async def test_a_list_from_the_cache_asks_for_it() -> None:
    transport = Scripted(page(incident("a")), page(incident("a")))
    for cached in (True, False):
        await server(transport).list(INCIDENTS, namespace="shop", cached=cached)
    assert transport.requests == [
        requests.list_objects(INCIDENTS, namespace="shop", cached=cached) for cached in (True, False)
    ]


async def test_a_list_that_a_watch_continues_tells_its_version() -> None:
    [(items, version)] = [each async for each in server(Scripted(page(incident("a")))).pages_at(INCIDENTS)]
    assert (len(items), version) == (1, "9")


async def test_items_of_a_list_are_objects_with_kind_and_version() -> None:
    [item] = await server(Scripted(page(incident("a", spec={"x": 1})))).list(INCIDENTS)
    assert item == {**NAMED, **incident("a", spec={"x": 1})}


async def test_what_an_item_says_about_itself_stands() -> None:
    other = {"apiVersion": "lazaretto.dev/v2", "kind": "AIIncident"}
    [item] = await server(Scripted(page(incident("a", **other)))).list(INCIDENTS)
    assert item == incident("a", **other)


async def test_an_empty_list_has_no_items() -> None:
    """Go writes an empty slice as `null`."""
    nothing = ok({"metadata": {"resourceVersion": "9"}, "items": None})
    assert [each async for each in server(Scripted(nothing)).pages_at(INCIDENTS)] == [([], "9")]


async def test_a_list_whose_next_page_has_expired_must_start_over() -> None:
    transport = Scripted(page(incident("a"), token="one"), failure(410, "Expired"))
    with pytest.raises(Expired):
        await server(transport).list(INCIDENTS)


@pytest.mark.parametrize("body", [b"", b"<html>welcome</html>", b"[]", b"null", b"{}", b'{"items": [{"metad'])
async def test_a_success_that_cannot_be_read_is_no_empty_list_and_no_empty_object(body: bytes) -> None:
    unreadable = Response(200, {}, body)
    found = await server(Scripted(unreadable, page(incident("a")))).list(INCIDENTS)
    assert len(found) == 1
    once = RetryPolicy(deadline=0.01, first_wait=1.0)
    with pytest.raises(Unavailable, match="unreadable"):
        await server(Scripted(unreadable), policy=once).get(INCIDENTS, **ONE)


async def test_a_write_is_stored_whatever_its_answer_holds() -> None:
    await server(Scripted(Response(200, {}, b""))).delete(INCIDENTS, **ONE, uid="u1")
    assert await server(Scripted(Response(201, {}, b"?"))).patch(PATCH) == {}
