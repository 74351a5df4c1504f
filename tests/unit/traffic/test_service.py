"""Services: when one is moved, whom its selector leads to then, and that it comes back."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lazaretto.domain.scene import Demand, Scene, ServiceFacts, Workload
from lazaretto.traffic.service import SELECTOR, ServiceSurface, service_facts
from tests.engine.json_patches import PatchRefusedError
from tests.unit.domain.objects import NAMESPACE, scene, service, workload
from tests.unit.held_object import HeldObject
from tests.unit.traffic.routes import BAD, GOOD, SCENE, WORSE, Object, demand

SURFACE = ServiceSurface()


def body(name: str, selector: dict[str, str] | None, *, ports: Sequence[int] = (80,)) -> Object:
    spec: Object = {"ports": [{"port": port} for port in ports], "type": "ClusterIP"}
    if selector is not None:
        spec["selector"] = selector
    metadata = {"name": name, "namespace": NAMESPACE, "uid": f"uid-of-{name}", "generation": 1}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def live(facts: ServiceFacts) -> HeldObject:
    return HeldObject(SURFACE, body(facts.name, dict(facts.selector)))


def named(name: str, *, among: Scene = SCENE) -> HeldObject:
    facts = among.service(name)
    assert facts is not None
    return live(facts)


def routed(*names: str) -> Scene:
    return scene(SCENE.workloads, SCENE.services, routed=names)


TO_GOOD = {"track": "good"}
TABLE: list[tuple[str, str, Demand, Scene, dict[str, str] | None]] = [
    ("leads to good and bad", "mixed", demand(), SCENE, {"app": "chat", "track": "good"}),
    ("leads to good and bad, and is routed to", "mixed", demand(), routed("mixed"), {"app": "chat", "track": "good"}),
    ("leads to bad alone", "bad", demand(), SCENE, TO_GOOD),
    ("leads to bad alone, and a route does the shift", "bad", demand(), routed("bad"), None),
    ("leads to bad alone, and a route has no way out", "bad", demand(good=None), routed("bad"), None),
    ("leads to good", "good", demand(), SCENE, None),
    ("leads elsewhere", "other", demand(), SCENE, None),
    ("nothing is good", "mixed", demand(good=None), SCENE, None),
    ("there is a fallback", "bad", demand(good=None, fallback="page"), SCENE, {"app": "page"}),
    ("a route moves to the fallback", "bad", demand(good=None, fallback="page"), routed("bad"), None),
    ("the fallback is bad", "bad", demand(good=None, fallback="bad-too"), SCENE, None),
    ("the fallback is the Service itself", "bad", demand(good=None, fallback="bad"), SCENE, None),
    ("the fallback is not there", "bad", demand(good=None, fallback="nowhere"), SCENE, None),
    ("nothing is shifted", "mixed", demand(shift=False), SCENE, None),
    ("nothing is compromised", "mixed", Demand(shift=True, known_good=GOOD), SCENE, None),
]


@pytest.mark.parametrize(
    ("name", "wanted", "around", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_service(name: str, wanted: Demand, around: Scene, expected: dict[str, str] | None) -> None:
    found = named(name)
    before = copy.deepcopy(found.body)
    found.hold(around, wanted)
    assert found.body["spec"]["selector"] == (expected or before["spec"]["selector"])
    assert (found.target is not None) == (expected is not None)
    assert found.release(around) == ()
    assert found.body["spec"] == before["spec"]


def test_a_service_that_no_selector_can_move_is_left_as_it_is() -> None:
    """The good pods carry no label that the bad ones lack."""
    good, bad = workload("good", pod_labels={"app": "chat"}), workload("bad", pod_labels={"app": "chat"})
    good = replace(good, selector={"app": "chat"})
    around = scene([good, bad], [service("mixed", app="chat")])
    found = named("mixed", among=around)
    found.hold(around, demand(bad, good=good))
    assert found.target is None


def test_a_service_that_is_not_in_the_scene_is_not_touched() -> None:
    found = HeldObject(SURFACE, body("stranger", {"track": "bad"}))
    found.hold(SCENE, demand())
    assert found.target is None


# Any labels, any Services: what holds for all of them.

LABELS: Any = st.dictionaries(st.sampled_from(["app", "tier", "zone"]), st.sampled_from(["a", "b"]), max_size=3)


@st.composite
def surroundings(draw: Any) -> tuple[Scene, Demand]:
    """Workloads whose selectors do not overlap, Services before any of them, and a demand."""
    labels = [draw(LABELS) for _ in range(3)]
    loads = [workload(f"w{n}", pod_labels={**found, "track": f"w{n}"}) for n, found in enumerate(labels)]
    services = [service(f"s{n}", **draw(LABELS)) for n in range(3)]
    around = scene(loads, services, routed=draw(st.sets(st.sampled_from(["s0", "s1", "s2"]))))
    bad = loads[: draw(st.integers(1, 2))]
    good = draw(st.sampled_from([loads[2], None]))
    wanted = demand(*bad, good=good, fallback=draw(st.sampled_from(["", "s0", "s1", "gone"])))
    return around, wanted


LAW = settings(deadline=None, max_examples=150)


def selects(selector: dict[str, str], load: Workload) -> bool:
    return bool(selector) and selector.items() <= load.pod_labels.items()


@LAW
@given(surroundings())
def test_a_moved_service_leads_to_the_good_pods_and_to_no_bad_one(case: tuple[Scene, Demand]) -> None:
    around, wanted = case
    for facts in around.services:
        found = live(facts)
        found.hold(around, wanted)
        selector = found.body["spec"]["selector"]
        if found.target is None:
            assert selector == facts.selector
            continue
        assert any(selects(dict(facts.selector), w) for w in wanted.compromised), "it led there before"
        assert not any(selects(selector, w) for w in wanted.compromised)
        assert wanted.known_good is None or selects(selector, wanted.known_good)


@LAW
@given(surroundings())
def test_what_leads_to_bad_pods_is_moved_or_left_to_its_route(case: tuple[Scene, Demand]) -> None:
    """Nothing that could be moved away is forgotten."""
    around, wanted = case
    assume(wanted.known_good is not None)
    for facts in around.services:
        found = live(facts)
        found.hold(around, wanted)
        leads = any(selects(dict(facts.selector), w) for w in wanted.compromised)
        by_route = facts.name in around.routed & wanted.bad_services(around) and bool(wanted.good_services(around))
        assert (found.target is not None) == (leads and not by_route)


@LAW
@given(surroundings())
def test_hold_again_changes_nothing_and_release_restores(case: tuple[Scene, Demand]) -> None:
    around, wanted = case
    for facts in around.services:
        found = live(facts)
        found.hold(around, wanted)
        target, writes = found.target, found.writes
        found.hold(around, wanted)
        assert (found.target, found.writes) == (target, writes)
        assert writes <= 1
        assert found.release(around) == ()
        assert found.body["spec"] == body(facts.name, dict(facts.selector))["spec"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda b: b["spec"].update(selector={"app": "chat"}), id="moves back"),
        pytest.param(lambda b: b["spec"].update(selector={"track": "bad"}), id="moves elsewhere"),
        pytest.param(lambda b: b["spec"].update(selector={}), id="empties"),
        pytest.param(lambda b: b["spec"].pop("selector"), id="removes"),
    ],
)
def test_while_held_it_is_undone_when_somebody(change: Any) -> None:
    found = named("mixed")
    found.hold(SCENE, demand())
    held = copy.deepcopy(found.body["spec"])
    found.meddle(change)
    found.hold(SCENE, demand())
    assert found.body["spec"] == held
    assert found.release(SCENE) == ()
    assert found.body["spec"]["selector"] == {"app": "chat"}


def test_other_fields_that_somebody_changes_stay_changed() -> None:
    found = named("mixed")
    found.hold(SCENE, demand())
    found.meddle(lambda changed: changed["spec"].update(type="LoadBalancer"))
    assert found.release(SCENE) == ()
    assert found.body["spec"] == {**body("mixed", {"app": "chat"})["spec"], "type": "LoadBalancer"}


def test_a_selector_that_somebody_changed_is_kept_at_release_and_told() -> None:
    found = named("mixed")
    found.hold(SCENE, demand())
    found.meddle(lambda changed: changed["spec"].update(selector={"track": "new"}))
    [kept] = found.release(SCENE)
    assert (kept.path, kept.after) == (SELECTOR, {"track": "new"})
    assert found.body["spec"]["selector"] == {"track": "new"}


def test_the_second_known_good_takes_over_from_the_first_and_the_base_stays() -> None:
    found = named("mixed")
    found.hold(SCENE, demand(BAD))
    found.hold(SCENE, demand(BAD, GOOD, good=WORSE))
    assert found.body["spec"]["selector"] == {"app": "chat", "track": "worse"}
    assert found.release(SCENE) == ()
    assert found.body["spec"]["selector"] == {"app": "chat"}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda b: b["metadata"].update(uid="another"), id="it is another Service of that name"),
        pytest.param(lambda b: b["spec"].update(selector={"app": "chat", "tier": "a"}), id="somebody moved it"),
        pytest.param(lambda b: b["spec"].pop("selector"), id="its selector is gone"),
    ],
)
def test_a_write_is_refused_when_since_it_was_read(change: Any) -> None:
    found = named("mixed")
    plan = found.plan(SCENE, demand())
    assert plan is not None
    request = SURFACE.write(found.body, plan.changes)
    found.meddle(change)
    with pytest.raises(PatchRefusedError):
        found.send(request)


def test_facts_of_a_service() -> None:
    found = body("chat", {"app": "chat"}, ports=(80, 8080))
    assert service_facts(found) == ServiceFacts("chat", "uid-of-chat", {"app": "chat"}, (80, 8080))
    assert service_facts(found, selector={"app": "base"}).selector == {"app": "base"}, "what it was before it was held"
    assert service_facts({"metadata": {"name": "far"}}) == ServiceFacts("far", "", {}, ())


def test_what_a_service_shows() -> None:
    assert SURFACE.read(body("chat", {"app": "chat"})) == {SELECTOR: {"app": "chat"}}
    assert SURFACE.read(body("chat", None)) == {SELECTOR: {}}
    assert SURFACE.prove(body("chat", None)).level == "L0", "a Service has no status"
    assert SURFACE.settled(body("chat", None)) == ""
