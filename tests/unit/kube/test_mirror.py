"""The local copy: what may replace what, and what the watch can do to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lazaretto.kube import mirror as mirror_module
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.mirror import Mirror
from lazaretto.kube.request import Request
from lazaretto.kube.resource import INCIDENTS
from lazaretto.kube.retry import RetryPolicy
from lazaretto.kube.transport import Response
from tests.engine.memory_api import MemoryApi as FakeApi
from tests.engine.memory_api import failure

Body = dict[str, Any]


def incident_path(name: str) -> str:
    return INCIDENTS.path(namespace="shop", name=name)


def body(name: str, *, colour: str = "red", version: int = 0) -> Body:
    return {"metadata": {"namespace": "shop", "name": name, "resourceVersion": str(version)}, "colour": colour}


def read(found: Body) -> str:
    if "colour" not in found:
        raise KeyError("colour")
    return f"{found['metadata']['name']} {found['colour']}"


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def failing(api: FakeApi) -> None:
    """The API server fails from the beginning."""
    api.hook = lambda request: failure(500, "InternalError")


@pytest.fixture
async def copy(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mirror[str]]:
    """A copy that runs, keyed by colour."""
    monkeypatch.setattr(mirror_module, "FIRST_WAIT", 0.005)
    server = ApiServer(api, policy=RetryPolicy(deadline=0.05))
    made = Mirror(server, resource=INCIDENTS, read=read, keys=lambda value: (value.split()[1],))
    running = asyncio.create_task(made.run())
    yield made
    assert not running.done()
    running.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_list_then_watch(api: FakeApi, copy: Mirror[str]) -> None:
    api.add(incident_path("a"), body("a"))
    await until(copy.synced.is_set)
    await until(lambda: copy.find("red") == ["a red"])
    api.add(incident_path("b"), body("b"))
    await until(lambda: copy.find("red") == ["a red", "b red"])
    api.change(incident_path("a"), lambda found: found.update(colour="blue"))
    await until(lambda: copy.find("blue") == ["a blue"])
    assert copy.find("red") == ["b red"]
    api.delete(incident_path("b"))
    await until(lambda: copy.find("red") == [])
    assert len(copy) == 1


async def test_own_write_is_seen_at_once_and_never_undone_by_an_older_event(api: FakeApi, copy: Mirror[str]) -> None:
    await until(copy.synced.is_set)
    copy.put(body("a", colour="new", version=900))
    assert copy.find("new") == ["a new"]
    api.tell("aiincidents", {"type": "MODIFIED", "object": body("a", colour="old", version=800)})
    api.tell("aiincidents", {"type": "DELETED", "object": body("a", colour="old", version=850)})
    api.tell("aiincidents", {"type": "MODIFIED", "object": body("marker", colour="seen", version=860)})
    await until(lambda: copy.find("seen") != [])
    assert copy.find("new") == ["a new"]
    assert copy.find("old") == []


async def test_late_answer_does_not_bring_a_deleted_object_back(api: FakeApi, copy: Mirror[str]) -> None:
    await until(copy.synced.is_set)
    api.tell("aiincidents", {"type": "ADDED", "object": body("a", version=500)})
    api.tell("aiincidents", {"type": "DELETED", "object": body("a", version=510)})
    api.tell("aiincidents", {"type": "MODIFIED", "object": body("marker", colour="seen", version=511)})
    await until(lambda: copy.find("seen") != [])
    copy.put(body("a", version=505))
    assert copy.find("red") == []


async def test_bookmarks_prove_life_and_move_the_version(api: FakeApi, copy: Mirror[str]) -> None:
    await until(copy.synced.is_set)
    await asyncio.sleep(0.05)
    silent = copy.age()
    api.tell("aiincidents", {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "700"}}})
    await until(lambda: copy.age() < silent)
    api.end_watches()
    await until(lambda: sum(r.query.get("resourceVersion") == "700" for r in api.requests) == 1)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}},
        {"kind": "Status", "code": 410, "message": "too old"},
    ],
)
async def test_too_old_lists_again_and_keeps_own_newer_writes(api: FakeApi, copy: Mirror[str], event: Body) -> None:
    api.add(incident_path("gone"), body("gone"))
    await until(lambda: copy.find("red") == ["gone red"])
    del api.objects[incident_path("gone")]
    copy.put(body("own", version=10_000))
    api.tell("aiincidents", event)
    await until(lambda: copy.find("red") == ["own red"])


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "boom"}},
        {"type": "SURPRISE", "object": {}},
        {"type": "ADDED"},
        {
            "type": "ADDED",
            "object": {"metadata": {"name": "unreadable", "namespace": "shop", "resourceVersion": "600"}},
        },
    ],
)
async def test_nothing_the_watch_says_ends_it(api: FakeApi, copy: Mirror[str], event: Body) -> None:
    await until(copy.synced.is_set)
    api.tell("aiincidents", event)
    await asyncio.sleep(0.05)
    api.add(incident_path("a"), body("a"))
    await until(lambda: copy.find("red") == ["a red"])


@pytest.mark.usefixtures("failing")
async def test_not_synced_while_the_list_fails_and_no_storm(api: FakeApi, copy: Mirror[str]) -> None:
    await asyncio.sleep(0.5)
    assert not copy.synced.is_set()
    assert len(api.requests) < 60
    api.hook = None
    await until(copy.synced.is_set)


async def test_watch_that_ends_at_once_is_no_busy_loop(api: FakeApi, copy: Mirror[str], monkeypatch: Any) -> None:
    await until(copy.synced.is_set)
    monkeypatch.setattr(mirror_module, "FIRST_WAIT", 0.05)
    seen: list[Request] = []

    def forbid(request: Request) -> Response | None:
        seen.append(request)
        return failure(403, "Forbidden") if "watch" in request.query else None

    api.hook = forbid
    api.end_watches()
    await asyncio.sleep(0.6)
    assert 1 <= len(seen) <= 8


async def test_an_unreadable_object_that_is_mended_appears(api: FakeApi, copy: Mirror[str]) -> None:
    broken = {"metadata": {"name": "a", "namespace": "shop"}}
    api.add(incident_path("a"), broken)
    await until(copy.synced.is_set)
    api.change(incident_path("a"), lambda found: found.update(colour="red"))
    await until(lambda: copy.find("red") == ["a red"])
