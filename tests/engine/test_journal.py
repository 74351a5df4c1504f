"""The journal is stored before it is believed, and of two writers one finds out that the other was there."""

from __future__ import annotations

from typing import Any

import pytest

from lazaretto.api import Containment
from lazaretto.api.containment import ContainmentSpec, Hold, JournalTarget
from lazaretto.engine.journal import MANAGER, Journal
from lazaretto.engine.store import Store
from lazaretto.errors import Conflict, Forbidden, Unavailable
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.resource import CONTAINMENTS
from tests.engine.faulty_line import Call, Fault, FaultyLine
from tests.engine.memory_api import MemoryApi
from tests.engine.world import ONCE
from tests.unit.domain.objects import MODEL, NAMESPACE, hold, incident, workload

PATH = CONTAINMENTS.path(namespace=NAMESPACE, name=MODEL)
CREATED = Call("create containments", MODEL, 1)
FIRST = hold(incident("chat-1"), [workload("v2")])
SECOND = hold(incident("chat-2"), [workload("v1")])
TARGET = JournalTarget.model_validate(
    {"kind": "Deployment", "name": "v2", "uid": "u", "fields": [{"path": "spec.replicas", "base": "3", "held": "0"}]}
)


class Writer:
    """A journal with a store of its own, as each process has one."""

    def __init__(self, api: MemoryApi | FaultyLine) -> None:
        self.store = Store()
        self.journal = Journal(ApiServer(api, policy=ONCE), self.store)

    @property
    def copy(self) -> Containment | None:
        return self.store.containment(NAMESPACE, MODEL)

    async def write(self, *holds: Hold, targets: tuple[JournalTarget, ...] = (TARGET,), **more: Any) -> Containment:
        spec = ContainmentSpec(model=MODEL, holds=list(holds), targets=list(targets), **more)
        return await self.journal.write(spec, namespace=NAMESPACE, current=self.copy)


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi()


async def test_what_is_returned_is_stored_under_the_models_name(api: MemoryApi) -> None:
    writer = Writer(api)
    first = await writer.write(FIRST)
    body = api.objects[PATH]
    assert (body["kind"], body["metadata"]["labels"]) == ("Containment", {"lazaretto.dev/model": MODEL})
    second = await writer.write(FIRST, SECOND, restored=["u"])
    assert [stored.call for stored in api.history] == ["create containments", "patch containments"]
    assert {stored.request.query["fieldManager"] for stored in api.history} == {MANAGER}
    assert [first, second] == [Containment.read(stored.body) for stored in api.history]
    assert second.spec.holds == [FIRST, SECOND]
    assert (second.spec.targets, second.spec.restored) == ([TARGET], ["u"])
    assert writer.copy == second


async def test_what_is_stored_already_is_not_written_again(api: MemoryApi) -> None:
    writer = Writer(api)
    first = await writer.write(FIRST)
    asked = len(api.requests)
    assert await writer.write(FIRST) is first
    assert len(api.requests) == asked


async def test_of_two_that_begin_at_once_one_finds_the_others_base(api: MemoryApi) -> None:
    one, other = Writer(api), Writer(api)
    await one.write(FIRST)
    with pytest.raises(Conflict):
        await other.write(SECOND)
    assert other.copy == one.copy
    both = await other.write(FIRST, SECOND)
    assert both.spec.targets == [TARGET]


async def test_of_two_that_go_on_at_once_one_is_refused_and_reads(api: MemoryApi) -> None:
    one, other = Writer(api), Writer(api)
    await one.write(FIRST)
    await other.journal.refresh(namespace=NAMESPACE, model=MODEL)
    ahead = await one.write(FIRST, SECOND)
    with pytest.raises(Conflict):
        await other.write()
    assert other.copy == ahead == Containment.read(api.objects[PATH])


@pytest.mark.parametrize("successor", [False, True], ids=["gone", "gone and made anew"])
async def test_a_journal_that_went_is_not_written_into(api: MemoryApi, successor: bool) -> None:
    writer = Writer(api)
    await writer.write(FIRST)
    api.delete(PATH)
    if successor:
        await Writer(api).write(SECOND)
    with pytest.raises(Conflict):
        await writer.write(FIRST, SECOND)
    assert (writer.copy is not None) == successor
    assert writer.copy is None or [h.incident for h in writer.copy.spec.holds] == ["chat-2"]


@pytest.mark.parametrize(("fault", "error"), [(Fault.LOST, Unavailable), (Fault.FORBIDDEN, Forbidden)])
async def test_what_was_not_stored_is_not_believed(api: MemoryApi, fault: Fault, error: type[Exception]) -> None:
    writer = Writer(FaultyLine(api, at=CREATED, fault=fault))
    with pytest.raises(error):
        await writer.write(FIRST)
    assert writer.copy is None
    assert (await writer.write(FIRST)).spec.holds == [FIRST]


async def test_a_journal_whose_answer_was_lost_is_found(api: MemoryApi) -> None:
    writer = Writer(FaultyLine(api, at=CREATED, fault=Fault.UNANSWERED))
    with pytest.raises(Unavailable):
        await writer.write(FIRST)
    with pytest.raises(Conflict):
        await writer.write(FIRST, targets=())
    assert writer.copy is not None
    assert writer.copy.spec.targets == [TARGET]


async def test_it_is_removed_once_and_for_good(api: MemoryApi) -> None:
    writer = Writer(api)
    stored = await writer.write(FIRST)
    late = dict(api.objects[PATH])
    await writer.journal.remove(stored)
    assert (api.objects, writer.copy) == ({}, None)
    writer.store.put(Containment, late)
    assert writer.copy is None, "a watch that lags behind tells of it once more"
    await writer.journal.remove(stored)


async def test_a_successor_is_not_removed_for_it(api: MemoryApi) -> None:
    one, other = Writer(api), Writer(api)
    stored = await one.write(FIRST)
    api.delete(PATH)
    await other.write(SECOND)
    with pytest.raises(Conflict):
        await one.journal.remove(stored)
    assert PATH in api.objects


async def test_a_look_decides_whether_it_exists(api: MemoryApi) -> None:
    one, other = Writer(api), Writer(api)
    assert await other.journal.refresh(namespace=NAMESPACE, model=MODEL) is None
    stored = await one.write(FIRST)
    assert await other.journal.refresh(namespace=NAMESPACE, model=MODEL) == stored == other.copy
    api.delete(PATH)
    assert await other.journal.refresh(namespace=NAMESPACE, model=MODEL) is None
    assert other.copy is None
