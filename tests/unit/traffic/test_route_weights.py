"""Where a rule's share goes, case by case, and that every case comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lazaretto.domain.scene import Demand
from lazaretto.kube.surface import Surface
from lazaretto.traffic.gateway import GRPC, HTTP, backend_services
from tests.unit.domain.objects import NAMESPACE
from tests.unit.held_object import HeldObject
from tests.unit.traffic.routes import (
    BAD,
    GOOD,
    SCENE,
    WORSE,
    Object,
    backend,
    demand,
    matching,
    mirror,
    route,
    rule,
    stored,
    weights,
)

OTHER_GROUP: dict[str, Any] = {"group": "mesh.example", "kind": "Service"}
POOL = {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "bad", "weight": 3}
NO_GOOD: dict[str, Any] = {"good": None}

TABLE: list[tuple[str, Demand, list[Object], list[tuple[str, int]]]] = [
    ("a canary", demand(), [backend("good", 90), backend("bad", 10)], [("good", 100), ("bad", 0)]),
    ("no weights written", demand(), [backend("good"), backend("bad")], [("good", 2), ("bad", 0)]),
    ("the good one at zero", demand(), [backend("good", 0), backend("bad", 7)], [("good", 7), ("bad", 0)]),
    ("the good one missing", demand(), [backend("bad", 7)], [("bad", 0), ("good", 7)]),
    ("the bad one at zero", demand(), [backend("bad", 0)], [("bad", 0)]),
    (
        "two bad ones",
        demand(BAD, WORSE),
        [backend("bad", 3), backend("worse", 4)],
        [("bad", 0), ("worse", 0), ("good", 7)],
    ),
    (
        "a bad one twice",
        demand(),
        [backend("bad", 3), backend("bad", 4), backend("good", 1)],
        [("bad", 0), ("bad", 0), ("good", 8)],
    ),
    (
        "a good one twice",
        demand(),
        [backend("good", 3), backend("bad", 4), backend("good", 1)],
        [("good", 7), ("bad", 0), ("good", 1)],
    ),
    (
        "the good one on two ports",
        demand(),
        [backend("good", 1), backend("good", 2, port=81), backend("bad", 4, port=81)],
        [("good", 1), ("good", 6), ("bad", 0)],
    ),
    (
        "both on two ports",
        demand(),
        [backend("good", 1, port=81), backend("bad", 8), backend("good", 2), backend("bad", 4, port=81)],
        [("good", 5), ("bad", 0), ("good", 10), ("bad", 0)],
    ),
    ("nothing is good", demand(**NO_GOOD), [backend("bad", 9), backend("other", 1)], [("bad", 0), ("other", 1)]),
    ("nothing is good or else", demand(**NO_GOOD), [backend("bad", 9)], [("bad", 0)]),
    ("a fallback", demand(**NO_GOOD, fallback="page"), [backend("bad", 9)], [("bad", 0), ("page", 9)]),
    ("a fallback that is bad", demand(**NO_GOOD, fallback="bad-too"), [backend("bad", 9)], [("bad", 0)]),
    ("a fallback that is not there", demand(**NO_GOOD, fallback="nowhere"), [backend("bad", 9)], [("bad", 0)]),
    ("a Service before good and bad", demand(), [backend("mixed", 5)], [("mixed", 5)]),
    ("another namespace's", demand(), [backend("bad", 5, namespace="elsewhere")], [("bad", 5)]),
    ("its own namespace, named", demand(), [backend("bad", 5, namespace=NAMESPACE)], [("bad", 0), ("good", 5)]),
    ("a pool of that name", demand(), [POOL], [("bad", 3)]),
    ("another kind of that name", demand(), [backend("bad", 5, group="", kind="Endpoints")], [("bad", 5)]),
    (
        "a good one of another namespace",
        demand(),
        [backend("good", 1, namespace="elsewhere"), backend("bad", 5)],
        [("good", 1), ("bad", 0), ("good", 5)],
    ),
    (
        "a good one of another group",
        demand(),
        [backend("good", 1, **OTHER_GROUP), backend("bad", 5)],
        [("good", 1), ("bad", 0), ("good", 5)],
    ),
    (
        "as much as a weight can be",
        demand(),
        [backend("good", 999_999), backend("bad", 2)],
        [("good", 1_000_000), ("bad", 0)],
    ),
    (
        "more than a new one's weight can be",
        demand(BAD, WORSE),
        [backend("bad", 1_000_000), backend("worse", 1_000_000)],
        [("bad", 0), ("worse", 0), ("good", 1_000_000)],
    ),
    (
        "room for one more",
        demand(),
        [backend("bad", 1)] + [backend("other", 1)] * 14,
        [("bad", 0)] + [("other", 1)] * 14 + [("good", 1)],
    ),
    (
        "no room for one more",
        demand(),
        [backend("bad", 1)] + [backend("other", 1)] * 15,
        [("bad", 0)] + [("other", 1)] * 15,
    ),
    ("nothing is shifted", demand(shift=False), [backend("bad", 9)], [("bad", 9)]),
    ("a rule without backends", demand(), [], []),
]


def live(*rules: Object, surface: Surface = HTTP) -> HeldObject:
    return HeldObject(surface, route(*rules, kind=surface.resource.kind), defaulted=stored)


@pytest.mark.parametrize("surface", [HTTP, GRPC], ids=["HTTPRoute", "GRPCRoute"])
@pytest.mark.parametrize(("wanted", "backends", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_weights_of_a_rule_with(
    wanted: Demand, backends: list[Object], expected: list[tuple[str, int]], surface: Surface
) -> None:
    found = live(rule(*backends), surface=surface)
    before = found.body["spec"]
    found.hold(SCENE, wanted)
    assert weights(found.body) == [expected]
    assert found.release(SCENE) == ()
    assert found.body["spec"] == before


@pytest.mark.parametrize(
    ("wanted", "lost", "added"),
    [
        pytest.param(demand(), 81, ("good", 81), id="the port of the one that is lost"),
        pytest.param(demand(), 443, ("good", 80), id="its first port, if it does not have that one"),
        pytest.param(demand(good=None, fallback="page", port=8080), 9090, ("page", 8080), id="what the fallback names"),
        pytest.param(demand(good=None, fallback="page", port=1), 9090, ("page", 9090), id="unless it is not there"),
    ],
)
def test_a_backend_is_added_on(wanted: Demand, lost: int, added: tuple[str, int]) -> None:
    found = live(rule(backend("bad", 5, port=lost)))
    found.hold(SCENE, wanted)
    assert found.body["spec"]["rules"][0]["backendRefs"][1:] == [
        {"group": "", "kind": "Service", "name": added[0], "port": added[1], "weight": 5}
    ]


@pytest.mark.parametrize("name", ["mirrors", "backends", "rules", ""])
def test_a_rule_may_be_called(name: str) -> None:
    rules = [rule(backend("bad", 5), matches=matching("/a")), rule(backend("bad", 6), filters=[mirror("bad")])]
    rules[1] |= {"name": name} if name else {}
    found = live(*rules)
    before = found.body["spec"]
    found.hold(SCENE, demand())
    assert weights(found.body) == [[("bad", 0), ("good", 5)], [("bad", 0), ("good", 6)]]
    assert found.release(SCENE) == ()
    assert found.body["spec"] == before


def test_rules_that_match_the_same_are_told_apart_by_their_order() -> None:
    found = live(rule(backend("bad", 5)), rule(backend("bad", 6)), rule(backend("good", 7)))
    before = found.body["spec"]
    found.hold(SCENE, demand())
    assert weights(found.body) == [[("bad", 0), ("good", 5)], [("bad", 0), ("good", 6)], [("good", 7)]]
    assert found.release(SCENE) == ()
    assert found.body["spec"] == before


def test_a_backend_that_was_added_goes_when_it_turns_out_bad_itself() -> None:
    found = live(rule(backend("bad", 5)))
    before = found.body["spec"]
    found.hold(SCENE, demand(BAD))
    assert weights(found.body) == [[("bad", 0), ("good", 5)]]
    found.hold(SCENE, demand(BAD, GOOD, good=WORSE))
    assert weights(found.body) == [[("bad", 0), ("worse", 5)]]
    found.hold(SCENE, demand(BAD, GOOD, WORSE))
    assert weights(found.body) == [[("bad", 0)]]
    assert found.release(SCENE) == ()
    assert found.body["spec"] == before


def test_a_backend_that_was_added_goes_when_another_becomes_the_known_good_one() -> None:
    found = live(rule(backend("bad", 5)))
    before = found.body["spec"]
    found.hold(SCENE, demand(BAD))
    found.hold(SCENE, demand(BAD, good=WORSE))
    assert weights(found.body) == [[("bad", 0), ("worse", 5)]]
    assert found.release(SCENE) == ()
    assert found.body["spec"] == before


def test_several_backends_that_were_added_go_at_once() -> None:
    """Somebody put back one that had gone, beside the one that took its part."""
    found = live(rule(backend("bad", 5)))
    found.hold(SCENE, demand(BAD))
    added = found.body["spec"]["rules"][0]["backendRefs"][1]
    found.hold(SCENE, demand(BAD, good=WORSE))
    found.meddle(lambda body: body["spec"]["rules"][0]["backendRefs"].insert(1, added))
    assert weights(found.body) == [[("bad", 0), ("good", 5), ("worse", 5)]]
    found.hold(SCENE, demand(BAD, good=None))
    assert weights(found.body) == [[("bad", 0)]]


def test_a_backend_that_was_added_goes_when_it_is_bad_and_the_one_it_replaced_is_not_any_more() -> None:
    found = live(rule(backend("bad", 5)))
    found.hold(SCENE, demand(BAD))
    found.hold(SCENE, demand(GOOD, good=None))
    assert weights(found.body) == [[("bad", 0)]]


def test_a_backend_that_was_added_stays_until_the_release_puts_weights_back() -> None:
    """A hold that is released gives weights back after the workloads: nothing may be taken away before."""
    found = live(rule(backend("bad", 5)))
    found.hold(SCENE, demand(BAD))
    found.hold(SCENE, demand(WORSE))
    assert weights(found.body) == [[("bad", 0), ("good", 5)]]


def test_a_good_backend_that_somebody_adds_does_not_take_over_a_second_time() -> None:
    found = live(rule(backend("bad", 5)))
    found.hold(SCENE, demand())
    found.meddle(lambda body: body["spec"]["rules"][0]["backendRefs"].append(backend("good", 2, port=81)))
    found.hold(SCENE, demand())
    assert weights(found.body) == [[("bad", 0), ("good", 5), ("good", 2)]]
    assert found.release(SCENE) == ()
    assert weights(found.body) == [[("bad", 5), ("good", 2)]]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda refs: refs[1].update(weight=0), id="its weight"),
        pytest.param(lambda refs: refs[1].update(filters=[mirror("other")]), id="its filters"),
        pytest.param(lambda refs: refs.pop(), id="its presence"),
        pytest.param(lambda refs: refs.reverse(), id="its place"),
    ],
)
def test_what_somebody_changes_of_a_backend_that_was_added_is_undone(change: Callable[[list[Object]], object]) -> None:
    found = live(rule(backend("bad", 5)))
    before = found.body["spec"]
    found.hold(SCENE, demand())
    held = found.body["spec"]["rules"][0]["backendRefs"]
    found.meddle(lambda body: change(body["spec"]["rules"][0]["backendRefs"]))
    found.hold(SCENE, demand())
    assert sorted(found.body["spec"]["rules"][0]["backendRefs"], key=str) == sorted(held, key=str)
    assert found.release(SCENE) == ()
    assert found.body["spec"] == before


def test_a_weight_that_somebody_changed_is_kept_and_told() -> None:
    found = live(rule(backend("good", 90), backend("bad", 10)))
    found.hold(SCENE, demand())
    found.meddle(lambda body: body["spec"]["rules"][0]["backendRefs"][0].update(weight=55))
    [kept] = found.release(SCENE)
    assert (kept.before, kept.after) == (100, 55)
    assert weights(found.body) == [[("good", 55), ("bad", 10)]]


def test_services_that_a_route_sends_to_are_those_of_its_own_namespace() -> None:
    backends = [backend("good"), backend("bad", 0), backend("far", namespace="elsewhere"), POOL]
    found = live(rule(*backends, backend("named", namespace=NAMESPACE)), rule(backend("good")), {"name": "empty"})
    assert backend_services(found.body) == {"good", "bad", "named"}
    assert backend_services({"metadata": {"namespace": NAMESPACE}}) == frozenset()
