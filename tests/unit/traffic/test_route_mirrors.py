"""Mirrors to compromised pods: which go, and that each comes back to where it was."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.domain.fields import ABSENT, Fields, decode, encode, read_journal
from lazaretto.domain.scene import Demand, Workload
from lazaretto.engine.release import marked, pruned
from lazaretto.traffic.gateway import GRPC, HTTP
from tests.unit.domain.objects import containment
from tests.unit.held_object import HeldObject
from tests.unit.traffic.routes import (
    BAD,
    LEADS,
    OTHER,
    SCENE,
    WORSE,
    Object,
    backend,
    demand,
    header,
    mirror,
    route,
    rule,
    stored,
)

FIVE = mirror("bad", percent=5)
THIRD = mirror("bad", fraction={"numerator": 1, "denominator": 3})
EXTENSION = {"type": "ExtensionRef", "extensionRef": {"group": "x.example", "kind": "Filter", "name": "bad"}}
FAR = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "bad", "namespace": "elsewhere"}}}
NOWHERE: Object = {"type": "RequestMirror"}

TABLE: list[tuple[str, list[Object], list[int]]] = [
    ("alone", [mirror("bad")], []),
    ("first", [mirror("bad"), header()], [1]),
    ("last", [header(), mirror("bad")], [0]),
    ("in the middle", [header(), mirror("bad"), EXTENSION], [0, 2]),
    ("of a share of the requests", [FIVE, header(), THIRD], [1]),
    ("twice, in different shares", [FIVE, mirror("bad"), THIRD], []),
    ("twice, the same", [mirror("bad"), header(), mirror("bad")], [1]),
    ("to two bad Services", [mirror("bad"), header(), mirror("bad-too")], [1]),
    ("beside one to a good Service", [mirror("bad"), mirror("good"), FIVE, mirror("good")], [1, 3]),
    ("to a Service before good and bad", [mirror("mixed")], [0]),
    ("to a Service of the same name elsewhere", [mirror("bad"), FAR], [1]),
    ("to no backend at all", [NOWHERE, mirror("bad")], [0]),
]


def live(filters: list[Object] | None, *, on_backend: bool = False, surface: Any = HTTP) -> HeldObject:
    more: dict[str, Any] = {} if filters is None else {"filters": filters}
    one = rule(backend("good", 1, **more)) if on_backend else rule(backend("good", 1), **more)
    return HeldObject(surface, route(one, kind=surface.resource.kind), defaulted=stored)


def place(found: HeldObject, *, on_backend: bool = False) -> Object:
    one: Object = found.body["spec"]["rules"][0]
    return one["backendRefs"][0] if on_backend else one


@pytest.mark.parametrize("surface", [HTTP, GRPC], ids=["HTTPRoute", "GRPCRoute"])
@pytest.mark.parametrize("on_backend", [False, True], ids=["rule", "backend"])
@pytest.mark.parametrize(("filters", "left"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_mirror(filters: list[Object], left: list[int], on_backend: bool, surface: Any) -> None:
    found = live(filters, on_backend=on_backend, surface=surface)
    before = copy.deepcopy(found.body["spec"])
    found.hold(SCENE, demand())
    original = place(HeldObject(surface, {**found.body, "spec": before}), on_backend=on_backend)["filters"]
    assert place(found, on_backend=on_backend)["filters"] == [original[n] for n in left]
    assert found.release(SCENE) == ()
    assert found.body["spec"] == before


def test_without_filters_there_is_nothing_to_hold() -> None:
    found = live(None)
    found.hold(SCENE, demand())
    assert found.target is None
    assert "filters" not in place(found)


def test_mirrors_stay_where_traffic_is_not_moved() -> None:
    found = live([mirror("bad")])
    found.hold(SCENE, demand(shift=False))
    assert found.writes == 0


def test_a_mirror_that_somebody_puts_back_is_removed_again() -> None:
    found = live([header(), mirror("bad")])
    before = copy.deepcopy(found.body["spec"])
    found.hold(SCENE, demand())
    found.meddle(lambda body: body["spec"]["rules"][0]["filters"].insert(0, before["rules"][0]["filters"][1]))
    found.hold(SCENE, demand())
    assert place(found)["filters"] == [header()]
    assert found.release(SCENE) == ()
    assert found.body["spec"] == before


def test_a_mirror_that_somebody_makes_anew_is_removed_as_well() -> None:
    found = live([])
    found.hold(SCENE, demand())
    found.meddle(lambda body: body["spec"]["rules"][0].update(filters=[mirror("bad"), FIVE]))
    new = copy.deepcopy(found.body["spec"])
    found.hold(SCENE, demand())
    assert place(found)["filters"] == []
    assert found.release(SCENE) == ()
    assert found.body["spec"] == new


X, A, B, M = header("x"), header("a"), header("b"), mirror("bad")


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param([A, B], [A, M, B], id="as they were"),
        pytest.param([B], [M, B], id="one less before it"),
        pytest.param([A], [A, M], id="one less after it"),
        pytest.param([X, A, B], [X, A, M, B], id="one more before it"),
        pytest.param([B, A], [M, B, A], id="in another order"),
        pytest.param([], [M], id="gone"),
        pytest.param(None, [M], id="gone with their list"),
    ],
)
def test_a_mirror_comes_back_before_what_followed_it_when_other_filters_are(
    left: list[Object] | None, expected: list[Object]
) -> None:
    found = HeldObject(HTTP, route(rule(backend("good"), filters=[A, M, B])))
    found.hold(SCENE, demand())
    found.meddle(lambda body: body["spec"]["rules"][0].pop("filters"))
    if left is not None:
        found.meddle(lambda body: body["spec"]["rules"][0].update(filters=left))
    assert found.release(SCENE) == (), "a mirror is the same wherever it stands"
    assert place(found)["filters"] == expected


def test_mirrors_that_were_removed_one_after_the_other_come_back_in_their_order() -> None:
    """The second was read when the first was gone already."""
    filters = [mirror("bad"), header(), mirror("worse"), FIVE]
    found = HeldObject(HTTP, route(rule(backend("good"), filters=filters)))
    found.hold(SCENE, demand(BAD))
    found.hold(SCENE, demand(BAD, WORSE))
    assert place(found)["filters"] == [header()]
    assert found.release(SCENE) == ()
    assert place(found)["filters"] == filters


def test_several_mirrors_come_back_into_an_empty_list() -> None:
    filters = [mirror("bad"), FIVE, mirror("bad"), THIRD]
    found = HeldObject(HTTP, route(rule(backend("good"), filters=filters)))
    found.hold(SCENE, demand())
    found.meddle(lambda body: body["spec"]["rules"][0].pop("filters"))
    found.release(SCENE)
    assert place(found)["filters"] == filters


def test_each_hold_gives_back_its_own_mirrors() -> None:
    found = HeldObject(HTTP, route(rule(backend("good"), filters=[mirror("bad"), header(), mirror("worse")])))
    before = copy.deepcopy(found.body["spec"])
    found.hold(SCENE, demand(BAD, WORSE))
    assert place(found)["filters"] == [header()]
    found.release(SCENE, demand(BAD))
    assert place(found)["filters"] == [header(), mirror("worse")]
    found.release(SCENE)
    assert found.body["spec"] == before


def test_a_mirror_of_a_backend_that_is_held_itself_comes_and_goes_with_it() -> None:
    found = HeldObject(HTTP, route(rule(backend("bad", 9, filters=[mirror("bad"), header()]), backend("good", 1))))
    before = copy.deepcopy(found.body["spec"])
    found.hold(SCENE, demand())
    assert found.body["spec"]["rules"][0]["backendRefs"][0] == backend("bad", 0, filters=[header()])
    assert found.release(SCENE) == ()
    assert found.body["spec"] == before


def test_a_mirror_whose_rule_is_gone_is_told_and_the_rest_restored() -> None:
    gone, stays = rule(backend("good"), name="gone", filters=[mirror("bad")]), rule(backend("bad", 5), name="stays")
    found = HeldObject(HTTP, route(gone, stays))
    found.hold(SCENE, demand())
    found.meddle(lambda body: body["spec"]["rules"].pop(0))
    [kept] = found.release(SCENE)
    assert kept.path.startswith("rules/gone//mirrors/")
    assert found.body["spec"]["rules"] == [stays]


def base_of(found: HeldObject) -> Fields:
    return read_journal(found.target).base


def mirrors_in(fields: Fields) -> dict[str, Any]:
    return {path: value for path, value in fields.items() if "//mirrors/" in path}


def test_a_mirror_that_the_journal_knows_is_the_same_wherever_it_stands() -> None:
    found = HeldObject(HTTP, route(rule(backend("good"), filters=[M, A])))
    found.hold(SCENE, demand())
    known = mirrors_in(base_of(found))
    moved = route(rule(backend("good"), filters=[A, M]))
    assert [value["filter"] for value in known.values()] == [M]
    assert mirrors_in(HTTP.read(moved, base=known)) == known
    assert mirrors_in(HTTP.read(moved)) != known, "of what it does not know it can only tell where it stands"


@pytest.mark.parametrize("known", [ABSENT, {"filter": FIVE, "followers": []}], ids=["none", "another filter"])
def test_a_mirror_under_a_known_name_is_not_taken_for_what_was_there_before(known: Any) -> None:
    """Names are short digests, which somebody who tries can make collide."""
    body = route(rule(backend("good"), filters=[M, A]))
    found = mirrors_in(HTTP.read(body))
    assert mirrors_in(HTTP.read(body, base=dict.fromkeys(found, known))) == found != dict.fromkeys(found, known)


def test_what_is_read_survives_the_journal() -> None:
    found = mirrors_in(HTTP.read(route(rule(backend("good", filters=[FIVE]), filters=[M, header(), THIRD]))))
    assert len(found) == 3
    assert {path: decode(encode(value)) for path, value in found.items()} == found


# Several incidents hold mirrors of one list.


def turn(found: HeldObject, *compromised: Workload) -> None:
    """Passes until these alone are held and the journal has let go of everything else."""
    standing = demand(*compromised) if compromised else Demand()
    assert found.release(SCENE, standing) == ()
    plan = found.plan(SCENE, standing)
    if plan is None or not plan.wanted:
        found.target = None
        return
    spec = containment().spec.model_copy(update={"targets": [plan.entry]})
    [found.target] = pruned(marked([plan], spec, staying=[], restored=[])).targets


BESIDE = [mirror("bad"), mirror("worse")]


@pytest.mark.parametrize("on_backend", [False, True], ids=["rule", "backend"])
@pytest.mark.parametrize("held", list(itertools.permutations([BAD, WORSE])), ids=lambda w: f"{w[0].name} first")
@pytest.mark.parametrize("released", list(itertools.permutations([BAD, WORSE])), ids=lambda w: f"{w[0].name} first")
@pytest.mark.parametrize(
    "filters",
    [BESIDE, [A, *BESIDE], [*BESIDE, A], [A, *BESIDE, B], BESIDE[::-1]],
    ids=["alone", "last", "first", "in the middle", "the other way round"],
)
def test_neighbours_come_back_in_their_order_though_each_is_held_for_another_incident(
    filters: list[Object], released: tuple[Workload, ...], held: tuple[Workload, ...], on_backend: bool
) -> None:
    found = live(filters, on_backend=on_backend)
    before = copy.deepcopy(found.body["spec"])
    turn(found, held[0])
    turn(found, *held)
    assert place(found, on_backend=on_backend)["filters"] == [f for f in filters if f in (A, B)]
    turn(found, released[1])
    turn(found)
    assert found.body["spec"] == before


WHICH = st.sampled_from([M, M, FIVE, *(mirror(name) for name in ("worse", "worse", "other", "other", "good")), A])
HELD = st.sets(st.sampled_from(["bad", "worse", "other"]))


@settings(deadline=None, max_examples=200)
@given(st.lists(WHICH, min_size=2, max_size=6), st.lists(HELD, min_size=2, max_size=6))
def test_whatever_is_held_in_between_the_filters_are_as_they_were_in_the_end(
    filters: list[Object], held: list[set[str]]
) -> None:
    found = HeldObject(HTTP, route(rule(backend("good"), filters=filters)))
    for names in held:
        turn(found, *(w for w in (BAD, WORSE, OTHER) if w.name in names))
        gone = {name for name, behind in LEADS.items() if behind & names}
        assert place(found)["filters"] == [f for f in filters if not _leads_to(f, gone)]
    turn(found)
    assert place(found)["filters"] == filters


def _leads_to(found: Object, names: set[str]) -> bool:
    return "requestMirror" in found and found["requestMirror"]["backendRef"]["name"] in names
