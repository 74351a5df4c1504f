"""What one event of one of our kinds sets off: nothing for our own echo, nothing lost for a broken object."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api import KINDS, AIIncident, Containment, ProtectedModel, Resource, ResponsePolicy
from lazaretto.engine import bells
from lazaretto.engine.engine import Engine
from lazaretto.kube.api_server import ApiServer
from tests.e2e.shapes import MODEL
from tests.engine.memory_api import MemoryApi, Object
from tests.engine.running import MOMENT, RunningEngine, run
from tests.engine.world import NAMESPACE
from tests.unit.api.full_objects import full_object

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """More alerts about what is held are otherwise looked at a second later, among passes that come anyway."""
    monkeypatch.setattr(bells, "MORE_ALERTS", 0.0)


def silent_engine() -> Engine:
    """One that was not started: it takes things in."""
    return Engine(ApiServer(MemoryApi()), ApiServer(MemoryApi()))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_object_is_so_broken_that_it_raises_or_hides_another(kind: type[Resource], data: st.DataObject) -> None:
    engine = silent_engine()
    sound = full_object(kind)
    sound["metadata"]["namespace"] = NAMESPACE
    engine.observe(kind, sound, deleted=False)
    broken = copy.deepcopy(sound)
    broken["metadata"] |= {"name": "broken", "uid": "broken"} | data.draw(
        st.dictionaries(st.sampled_from(["labels", "annotations", "generation", "creationTimestamp"]), JSON, max_size=2)
    )
    for part in data.draw(st.lists(st.sampled_from(["spec", "status", "kind"]), min_size=1, unique=True)):
        broken[part] = data.draw(JSON)
    field = data.draw(st.sampled_from(sorted(sound["spec"])))
    if isinstance(broken["spec"], dict):
        broken["spec"] |= {field: data.draw(JSON)}
    engine.observe(kind, broken, deleted=False)
    engine.observe(kind, broken, deleted=True)
    assert engine.store.get(kind, NAMESPACE, sound["metadata"]["name"]) is not None
    assert engine.store.get(kind, NAMESPACE, "broken") is None


@pytest.mark.parametrize("body", [{}, {"metadata": {}}, {"metadata": None, "spec": None}, {"metadata": {"name": "x"}}])
@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_hardly_an_object_at_all(kind: type[Resource], deleted: bool, body: Object) -> None:
    engine = silent_engine()
    engine.observe(kind, body, deleted=deleted)
    assert not list(engine.store.all(kind))


def test_a_broken_object_does_not_keep_the_others_from_being_contained() -> None:
    async def story(running: RunningEngine) -> None:
        world = running.world
        for kind in ("AIIncident", "ResponsePolicy", "ProtectedModel", "ModelRevision", "IncidentDecision"):
            world.add({"kind": kind, "metadata": {"name": "broken"}, "spec": {"mode": 1, "workloads": 2}})
        await asyncio.sleep(1.0)
        world.report()
        await running.contained()
        assert {kind for kind, _, name in running.engine.store.unreadable if name == "broken"} >= {
            "AIIncident",
            "ResponsePolicy",
            "ProtectedModel",
        }

    run(story)


Change = Callable[[RunningEngine], Any]


def _spec(kind: str, name: str, **spec: Any) -> Change:
    return lambda running: running.world.change(kind, name, lambda body: body["spec"].update(spec))


def _meta(kind: str, name: str, **more: Any) -> Change:
    return lambda running: running.world.change(kind, name, lambda body: body["metadata"].update(more))


def _status(kind: str, name: str) -> Change:
    return lambda running: running.world.change(kind, name, lambda body: body["status"].update(state="Odd"))


RINGS: dict[str, Change] = {
    "a model's spec": _spec("ProtectedModel", MODEL, owner="another"),
    "a model's labels": _meta("ProtectedModel", MODEL, labels={"tier": "test"}),
    "a model that goes": lambda running: running.world.remove("ProtectedModel", MODEL),
    "a policy's spec": _spec("ResponsePolicy", "leaks-at-once", priority=5),
    "a policy that goes": lambda running: running.world.remove("ResponsePolicy", "everything-else"),
    "an incident's spec": _spec("AIIncident", f"{MODEL}-1", summary="more"),
    "an incident that goes": lambda running: running.world.remove("AIIncident", f"{MODEL}-1"),
    "a decision": lambda running: running.world.approve(people=["alice"]),
    "a containment's spec": _spec("Containment", MODEL, restored=["u"]),
    "a containment that goes": lambda running: running.world.remove("Containment", MODEL),
}
SILENT: dict[str, Change] = {
    "an incident's status": _status("AIIncident", f"{MODEL}-1"),
    "a containment's status": _status("Containment", MODEL),
    "a model's status": _status("ProtectedModel", MODEL),
    "an annotation": _meta("ProtectedModel", MODEL, annotations={"x": "y"}),
    "a policy's status": lambda running: running.world.change(
        "ResponsePolicy", "everything-else", lambda body: body.update(status={"state": "Odd"})
    ),
}


async def rung(running: RunningEngine, change: Change) -> bool:
    """Whether a change sets off a pass over the contained model."""
    running.world.report()
    await running.contained()
    await asyncio.sleep(1.5)
    before = running.passes()
    change(running)
    await asyncio.sleep(MOMENT)
    return running.passes() > before


@pytest.mark.parametrize("what", RINGS)
def test_rings(what: str) -> None:
    async def story(running: RunningEngine) -> None:
        assert await rung(running, RINGS[what])

    run(story)


@pytest.mark.parametrize("what", SILENT)
def test_is_silent(what: str) -> None:
    async def story(running: RunningEngine) -> None:
        assert not await rung(running, SILENT[what])

    run(story)


def test_the_echo_of_a_write_whose_answer_is_known_is_silent() -> None:
    """A containment comes back by the watch, for the first time long after it was written."""

    async def story(running: RunningEngine) -> None:
        world = running.world
        running.deaf = {Containment}
        world.report()
        await running.contained()
        await asyncio.sleep(1.5)
        before = running.passes()
        for kind, name in ((Containment, MODEL), (AIIncident, f"{MODEL}-1"), (ProtectedModel, MODEL)):
            running.engine.observe(kind, world.read(kind.facts.kind, name), deleted=False)
        await asyncio.sleep(MOMENT)
        assert running.passes() == before

    run(story)


def test_what_came_into_the_store_by_another_way_still_rings_when_it_is_told() -> None:
    """A status write may bring the copy up to date before the watch tells what somebody changed."""

    async def story(running: RunningEngine) -> None:
        world = running.world
        world.report()
        await running.contained()
        await asyncio.sleep(1.5)
        running.deaf = {AIIncident}
        world.change("AIIncident", f"{MODEL}-1", lambda body: body["spec"].update(summary="more"))
        running.engine.store.put(AIIncident, world.read("AIIncident", f"{MODEL}-1"))
        before = running.passes()
        running.engine.observe(AIIncident, world.read("AIIncident", f"{MODEL}-1"), deleted=False)
        await asyncio.sleep(MOMENT)
        assert running.passes() > before

    run(story)


def test_a_policy_concerns_every_model_of_its_namespace_and_no_other() -> None:
    engine = silent_engine()
    for namespace, name in ((NAMESPACE, "a"), (NAMESPACE, "b"), ("elsewhere", "c")):
        model = full_object(ProtectedModel)
        model["metadata"] |= {"namespace": namespace, "name": name, "uid": f"uid-of-{name}"}
        engine.observe(ProtectedModel, model, deleted=False)
    assert engine.term is not None
    waiting = engine.term._queue._waiting
    waiting.clear()
    policy = full_object(ResponsePolicy)
    policy["metadata"]["namespace"] = NAMESPACE
    engine.observe(ResponsePolicy, policy, deleted=False)
    assert set(waiting) == {(NAMESPACE, "a"), (NAMESPACE, "b")}
