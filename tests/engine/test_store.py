"""The store of copies: the newest one stays whatever order they arrive in, and what is gone stays gone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api import KINDS, AIIncident, Containment, ModelRevision, Resource
from lazaretto.engine import store as store_module
from lazaretto.engine.store import Store
from tests.unit.api.full_objects import full_object
from tests.unit.domain.objects import decision, incident, model, policy, revision

SHOP = "shop"


def body(version: int | str = 1, *, name: str = "chat-1", uid: str = "a", **spec: Any) -> dict[str, Any]:
    """An incident as the API server returns it."""
    made = incident(name, **spec).dump()
    made["metadata"] |= {"uid": uid, "resourceVersion": str(version)}
    return made


def version_of(store: Store, name: str = "chat-1") -> str | None:
    found = store.get(AIIncident, SHOP, name)
    return found.metadata.resource_version if found else None


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_found_again_under_its_namespace_and_name(kind: type[Resource]) -> None:
    store, made = Store(), full_object(kind)
    made["metadata"]["namespace"] = SHOP
    stored = store.put(kind, made)
    assert stored is not None
    assert store.get(kind, SHOP, made["metadata"]["name"]) == stored
    assert store.get(kind, "elsewhere", made["metadata"]["name"]) is None
    names = [found.metadata.name for each in (store.all(kind), store.all(kind, SHOP)) for found in each]
    assert names == [stored.metadata.name] * 2
    assert not list(store.all(kind, "elsewhere"))
    assert all(not list(store.all(other)) for other in KINDS if other is not kind)


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(8, 13)))
def test_the_newest_copy_stays_in_whatever_order_they_arrive(versions: list[int]) -> None:
    store = Store()
    for version in versions:
        known = store.put(AIIncident, body(version))
        assert known is not None
        assert known.metadata.resource_version == version_of(store)
    assert version_of(store) == "12", "9 is older than 12, though it sorts behind it"


def test_what_is_known_is_not_read_again() -> None:
    store = Store()
    known = store.put(AIIncident, body(12))
    assert store.put(AIIncident, body(12)) is known
    assert store.put(AIIncident, body(12, uid="b")) is not known
    assert store.put(AIIncident, body("")) is not store.put(AIIncident, body("")), "without a version nothing is known"


def test_a_version_that_is_no_number_cannot_be_called_older() -> None:
    store = Store()
    store.put(AIIncident, body(12))
    store.put(AIIncident, body("abc"))
    assert version_of(store) == "abc"


def test_a_successor_of_the_same_name_takes_the_place() -> None:
    store = Store()
    store.put(AIIncident, body(12, uid="a"))
    store.put(AIIncident, body(13, uid="b"))
    store.drop(AIIncident, SHOP, "chat-1", uid="a")
    assert version_of(store) == "13", "the late word of the first one's end must not remove the second"
    store.drop(AIIncident, SHOP, "chat-1", uid="b")
    assert version_of(store) is None


def test_a_late_event_does_not_bring_back_what_was_deleted() -> None:
    store = Store()
    store.put(AIIncident, body(12, uid="a"))
    store.drop(AIIncident, SHOP, "chat-1", uid="a")
    assert store.put(AIIncident, body(11, uid="a")) is not None, "it can be read; it is just not kept"
    assert version_of(store) is None
    store.put(AIIncident, body(13, uid="b"))
    assert version_of(store) == "13"


def test_what_was_only_not_found_may_come_back() -> None:
    store = Store()
    store.put(AIIncident, body(12, uid="a"))
    store.drop(AIIncident, SHOP, "chat-1")
    assert version_of(store) is None
    store.put(AIIncident, body(12, uid="a"))
    assert version_of(store) == "12"


def test_only_so_many_deleted_objects_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "REMEMBERED", 2)
    store = Store()
    for uid in "abc":
        store.drop(AIIncident, SHOP, "chat-1", uid=uid)
    kept = []
    for uid in "abc":
        store.put(AIIncident, body(uid=uid, name=f"chat-{uid}"))
        kept += [uid] if version_of(store, f"chat-{uid}") else []
    assert kept == ["a"]


def test_an_unreadable_object_is_kept_apart_with_its_reason_and_hides_no_other() -> None:
    store = Store()
    store.put(AIIncident, body(12, name="chat-1"))
    store.put(AIIncident, body(12, name="chat-2"))
    broken = body(13, name="chat-1")
    broken["spec"]["category"] = "Nonsense"
    assert store.put(AIIncident, broken) is None
    assert version_of(store, "chat-1") is None, "an old copy must not stand in for what it is now"
    assert version_of(store, "chat-2") == "12"
    (reason,) = store.unreadable.values()
    assert list(store.unreadable) == [("AIIncident", SHOP, "chat-1")]
    assert "category" in reason


@pytest.mark.parametrize("end", ["mended", "deleted"])
def test_an_unreadable_object_is_forgotten_once_it_is(end: str) -> None:
    store = Store()
    store.put(AIIncident, {"metadata": {"namespace": SHOP, "name": "chat-1", "uid": "a"}, "spec": "no"})
    assert store.unreadable
    if end == "mended":
        store.put(AIIncident, body(14, uid="a"))
    else:
        store.drop(AIIncident, SHOP, "chat-1", uid="a")
    assert not store.unreadable


@pytest.mark.parametrize("broken", [{}, {"metadata": None}, {"metadata": {}, "spec": None}, {"spec": []}])
def test_what_has_not_even_a_name_is_unreadable(broken: dict[str, Any]) -> None:
    store = Store()
    assert store.put(AIIncident, broken) is None
    assert list(store.unreadable) == [("AIIncident", "", "")]


def _ended(version: int, *, entries: int = 3) -> dict[str, Any]:
    moment = "2026-01-02T05:00:00.000000Z"
    timeline = [
        {"seq": n + 1, "key": f"k{n}", "at": moment, "type": "Acted", "message": f"{n}", "hash": "a" * 64}
        for n in range(entries)
    ]
    return {**body(version), "status": {"times": {"closedAt": moment}, "timeline": timeline, "timelineCount": entries}}


def test_an_incident_that_has_ended_is_whole_when_it_is_asked_for_and_small_among_others() -> None:
    store = Store()
    put = store.put(AIIncident, _ended(7))
    assert put == AIIncident.read(_ended(7)) == store.get(AIIncident, SHOP, "chat-1")
    assert store.put(AIIncident, _ended(7)) == put
    assert store.put(AIIncident, _ended(6, entries=1)) == put
    for (found,) in (list(store.all(AIIncident)), store.incidents_of(SHOP, "chat")):
        assert found.status.timeline == []
        assert found.status.timeline_count == 3
    assert store.put(AIIncident, _ended(8, entries=4)) == store.get(AIIncident, SHOP, "chat-1")
    assert len(store.get(AIIncident, SHOP, "chat-1").status.timeline) == 4  # type: ignore[union-attr]  # it was put


def test_one_that_is_open_again_is_whole_everywhere() -> None:
    store = Store()
    store.put(AIIncident, _ended(7))
    store.put(AIIncident, {**_ended(8), "status": {"timeline": _ended(8)["status"]["timeline"]}})
    (found,) = store.all(AIIncident)
    assert len(found.status.timeline) == 3
    store.drop(AIIncident, SHOP, "chat-1", uid="a")
    store.put(AIIncident, {**body(1, uid="b"), "status": {"times": {"closedAt": "2026-01-02T05:00:00.000000Z"}}})
    assert store.get(AIIncident, SHOP, "chat-1").status.timeline == []  # type: ignore[union-attr]  # it was put


def test_incidents_and_revisions_of_a_model_come_by_name() -> None:
    store = Store()
    for name, of in [("chat-2", "chat"), ("chat-10", "chat"), ("other-1", "other"), ("loose-1", None)]:
        store.put(AIIncident, incident(name, model=of).dump())
    for name in ("v2", "v1"):
        store.put(ModelRevision, revision(name).dump())
    assert [i.metadata.name for i in store.incidents_of(SHOP, "chat")] == ["chat-10", "chat-2"]
    assert [r.metadata.name for r in store.revisions_of(SHOP, "chat")] == ["v1", "v2"]
    assert store.incidents_of("elsewhere", "chat") == store.incidents_of(SHOP, "nobody") == []
    assert store.revisions_of("elsewhere", "chat") == store.revisions_of(SHOP, "other") == []


def test_what_a_decision_looks_at_is_limited_to_the_namespace() -> None:
    store = Store()
    for made in (model(), policy(), decision("Note", "alice")):
        store.put(type(made), made.dump())
    assert store.model(SHOP, "chat") is not None
    assert [len(found) for found in (store.policies_in(SHOP), store.decisions_in(SHOP))] == [1, 1]
    assert store.model("elsewhere", "chat") is None
    assert store.containment(SHOP, "chat") is None
    assert [store.policies_in("elsewhere"), store.decisions_in("elsewhere")] == [[], []]


def test_a_walk_over_copies_survives_a_change_of_them() -> None:
    store = Store()
    for name in ("v1", "v2"):
        store.put(ModelRevision, revision(name).dump())
    for found in store.all(ModelRevision):
        store.drop(ModelRevision, SHOP, found.metadata.name, uid=found.metadata.uid)
    assert not list(store.all(ModelRevision))


def test_every_model_with_a_containment_is_held_though_it_cannot_be_read() -> None:
    store = Store()
    broken = {"kind": "Containment", "metadata": {"namespace": "support", "name": "broken", "uid": "u"}, "spec": 1}
    assert store.held_beside(("support", "x")) == set()
    store.put(Containment, broken)
    assert (store.held_beside(("support", "x")), store.held_beside(("sales", "x"))) == ({"broken"}, set())
