"""Laws of a held route, over generated routes, demands and people who change the route in between."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.domain.scene import Demand
from lazaretto.kube.surface import Surface
from lazaretto.traffic.gateway import GRPC, HTTP
from tests.engine.json_patches import PatchRefusedError
from tests.unit.held_object import HeldObject
from tests.unit.traffic.routes import (
    BAD,
    DEMANDS,
    GOOD,
    ROUTES,
    SCENE,
    WORSE,
    Object,
    backend,
    demand,
    header,
    leading_to_bad,
    leading_to_good,
    matching,
    mirrored,
    own_service,
    rule,
    stored,
    weights,
)

LAW = settings(deadline=None, max_examples=100)
SURFACES: dict[str, Surface] = {"HTTPRoute": HTTP, "GRPCRoute": GRPC}


def live(body: Object) -> HeldObject:
    return HeldObject(SURFACES[body["kind"]], body)


def held(body: Object, *demands: Demand) -> HeldObject:
    found = live(body)
    for wanted in demands:
        found.hold(SCENE, wanted)
    return found


def spec(body: Object) -> Any:
    return stored(body)["spec"]


def frame(body: Object, wanted: Demand, *, like: Object) -> list[str]:
    """Each rule as text without what a hold may change of it: mirrors, one backend more, weights beside a bad one."""
    bad, good = leading_to_bad(wanted), leading_to_good(wanted)
    found = []
    for each, before in zip(copy.deepcopy(body["spec"]["rules"]), like["spec"]["rules"], strict=True):
        backends = each.get("backendRefs") or []
        del backends[len(before.get("backendRefs") or []) :]
        touched = bad | good if any(own_service(b) in bad for b in backends) else set()
        for ref in backends:
            if own_service(ref) in touched:
                ref.pop("weight", None)
        for place in (each, *backends):
            if "filters" in place:
                refs = [(f.get("requestMirror") or {}).get("backendRef") for f in place["filters"]]
                keep = [not (ref and own_service(ref) in bad) for ref in refs]
                place["filters"] = [f for f, kept in zip(place["filters"], keep, strict=True) if kept]
        found.append(json.dumps(each))
    return found


@LAW
@given(ROUTES, DEMANDS)
def test_nothing_is_sent_to_what_leads_to_compromised_pods_alone(body: Object, wanted: Demand) -> None:
    after = held(body, wanted).body
    if wanted.shift:
        refs = [b for each in after["spec"]["rules"] for b in each.get("backendRefs") or ()]
        bad = leading_to_bad(wanted)
        assert [b for b in refs if own_service(b) in bad and b.get("weight", 1) > 0] == []
        assert bad.isdisjoint(mirrored(after))


@LAW
@given(ROUTES, DEMANDS)
def test_what_is_lost_is_taken_over_if_there_is_somebody_to_take_it(body: Object, wanted: Demand) -> None:
    after = held(body, wanted).body
    bad, good = leading_to_bad(wanted) if wanted.shift else set(), leading_to_good(wanted)
    for before, now in zip(body["spec"]["rules"], after["spec"]["rules"], strict=True):
        refs = before.get("backendRefs") or ()
        shares = [(own_service(b) in bad, b.get("weight", 1)) for b in refs]
        total = sum(share for is_bad, share in shares if good or not is_bad)
        assert sum(b.get("weight", 1) for b in now.get("backendRefs") or ()) == total
        new = (now.get("backendRefs") or [])[len(refs) :]
        assert {own_service(b) for b in new} <= good
        assert len(new) <= 1
        for added in new:
            assert added["port"] in SCENE.service(added["name"]).ports  # type: ignore[union-attr]
            assert good.isdisjoint(own_service(b) for b in refs), "the one that is there takes over"


@LAW
@given(ROUTES, DEMANDS)
def test_everything_else_stays_byte_for_byte(body: Object, wanted: Demand) -> None:
    after = held(body, wanted).body
    if not wanted.shift:
        assert json.dumps(after) == json.dumps(body)
    assert frame(after, wanted, like=body) == frame(body, wanted, like=body)
    rest = [{k: v for k, v in b.items() if k not in ("spec", "metadata")} for b in (body, after)]
    assert rest[0] == rest[1]
    assert {**after["spec"], "rules": []} == {**body["spec"], "rules": []}


@LAW
@given(ROUTES, DEMANDS)
def test_a_second_pass_changes_nothing(body: Object, wanted: Demand) -> None:
    route = held(body, wanted)
    before, target, writes = copy.deepcopy(route.body), route.target, route.writes
    route.hold(SCENE, wanted)
    assert (route.body, route.target, route.writes) == (before, target, writes)
    assert writes <= 1


@LAW
@given(ROUTES, DEMANDS)
def test_release_gives_the_route_back_as_it_was(body: Object, wanted: Demand) -> None:
    route = held(body, wanted)
    assert route.release(SCENE) == ()
    assert spec(route.body) == spec(body)


@LAW
@given(ROUTES, st.lists(DEMANDS, max_size=4))
def test_after_any_demands_release_gives_the_route_back_as_it_was(body: Object, demands: list[Demand]) -> None:
    """Another revision turns out bad, another becomes the known-good one: the first base stands."""
    route = live(body)
    for wanted in demands:
        route.hold(SCENE, wanted)
        assert route.plan(SCENE, wanted) is None or not route.plan(SCENE, wanted).changes  # type: ignore[union-attr]
        if wanted.shift:
            bad = leading_to_bad(wanted)
            assert [n for each in weights(route.body) for n, w in each if n in bad and w > 0 and n in _own(body)] == []
            assert bad.isdisjoint(mirrored(route.body))
    assert route.release(SCENE) == ()
    assert spec(route.body) == spec(body)


def _own(body: Object) -> set[str]:
    """Names that are Services of the route's namespace wherever the route speaks of them."""
    refs = [b for each in body["spec"]["rules"] for b in each.get("backendRefs") or ()]
    return {*(b["name"] for b in refs), "good", "spare", "page"} - {b["name"] for b in refs if not own_service(b)}


@LAW
@given(ROUTES, st.permutations([BAD, WORSE]))
def test_release_of_one_hold_leaves_the_other_in_force(body: Object, order: Sequence[Any]) -> None:
    released, standing = order
    route = held(body, demand(BAD, WORSE))
    wanted = demand(standing)
    route.release(SCENE, wanted)
    fresh = held(body, wanted)
    assert spec(route.body) == spec(fresh.body), f"{released.name} is as if it had never been held"
    route.release(SCENE)
    assert spec(route.body) == spec(body)


def _unordered(body: Object) -> Any:
    """The spec with each list of filters in one order, and as good as absent when it is empty."""
    found = spec(body)
    for each in found["rules"]:
        for place in (each, *(each.get("backendRefs") or ())):
            place["filters"] = sorted(place.get("filters") or (), key=lambda f: json.dumps(f, sort_keys=True))
    return found


# People who change the route while it is held. What they do is the same to the held route and to the original.


def _insert_rule(body: Object) -> None:
    body["spec"]["rules"].insert(0, rule(backend("other", 5), matches=matching("/new"), name="new"))


def _reverse_rules(body: Object) -> None:
    body["spec"]["rules"].reverse()


def _rotate_rules(body: Object) -> None:
    rules = body["spec"]["rules"]
    rules.append(rules.pop(0))


def _add_filter(body: Object) -> None:
    for each in body["spec"]["rules"]:
        each["filters"] = [*(each.get("filters") or ()), header("new")]


def _insert_backend(body: Object) -> None:
    for each in body["spec"]["rules"]:
        each["backendRefs"] = [backend("new", 7), *(each.get("backendRefs") or ())]


def _change_the_rest(body: Object) -> None:
    body["spec"]["hostnames"] = ["new.example"]
    body["metadata"]["labels"] = {"new": "label"}
    body["spec"]["rules"][0]["timeouts"] = {"request": "1s"}


CHANGES = [_insert_rule, _reverse_rules, _rotate_rules, _add_filter, _insert_backend, _change_the_rest]
CHANGED: Any = st.lists(st.sampled_from(CHANGES), min_size=1, max_size=3)


def told_apart(body: Object) -> bool:
    """Whether the rules can be told apart when their order changes."""
    keys = [each.get("name") or json.dumps(each.get("matches") or []) for each in body["spec"]["rules"]]
    return len(set(keys)) == len(keys)


@LAW
@given(ROUTES.filter(told_apart), DEMANDS, CHANGED)
def test_what_somebody_changed_while_it_was_held_stays_changed(
    body: Object, wanted: Demand, changes: list[Callable[[Object], None]]
) -> None:
    route, expected = held(body, wanted), copy.deepcopy(body)
    for change in changes:
        route.meddle(change)
        change(expected)
        route.hold(SCENE, wanted)
    route.release(SCENE)
    assert _unordered(route.body) == _unordered(expected)


@LAW
@given(ROUTES, DEMANDS, st.sampled_from(CHANGES), st.booleans())
def test_a_route_that_changed_since_it_was_read_refuses_the_write(
    body: Object, wanted: Demand, change: Callable[[Object], None], releasing: bool
) -> None:
    route = held(body, wanted) if releasing else live(body)
    found = route.plan(SCENE, Demand() if releasing else wanted)
    changes = (found.restore.changes if releasing else found.changes) if found else ()
    if not changes:
        return
    request, before = route.surface.write(route.body, changes), copy.deepcopy(route.body)
    route.meddle(change)
    if route.body["spec"] == before["spec"]:
        route.send(request)  # nothing that matters was changed: reversing a single rule, or a label
        return
    met = copy.deepcopy(route.body)
    with pytest.raises(PatchRefusedError):
        route.send(request)
    assert route.body == met


def _drop_rule(body: Object) -> None:
    body["spec"]["rules"].pop(0)


def _drop_backends(body: Object) -> None:
    body["spec"]["rules"][0].pop("backendRefs", None)


def _rename_rule(body: Object) -> None:
    body["spec"]["rules"][0]["name"] = "renamed"


@LAW
@given(ROUTES.filter(told_apart), DEMANDS, st.sampled_from([_drop_rule, _drop_backends, _rename_rule]))
def test_release_comes_to_an_end_when_a_held_place_is_gone(
    body: Object, wanted: Demand, change: Callable[[Object], None]
) -> None:
    route, expected = held(body, wanted), copy.deepcopy(body)
    route.meddle(change)
    change(expected)
    route.release(SCENE)
    # A rule under another name is another rule: of it nothing is known but what it was when it got the name.
    first = 1 if change is _rename_rule else 0
    assert _unordered(route.body)["rules"][first:] == _unordered(expected)["rules"][first:]


@LAW
@given(ROUTES, DEMANDS)
def test_a_route_without_anything_bad_is_not_even_journalled(body: Object, wanted: Demand) -> None:
    route = held(body, wanted)
    names = {own_service(b) for each in body["spec"]["rules"] for b in each.get("backendRefs") or ()}
    bad = leading_to_bad(wanted) if wanted.shift else set()
    assert (route.target is None) == bad.isdisjoint({*names, *mirrored(body)})


def test_the_generated_demands_mean_what_the_tests_say() -> None:
    for good in (GOOD, None):
        for fallback in ("", "page", "bad-too", "nowhere"):
            wanted = demand(BAD, good=good, fallback=fallback)
            assert wanted.bad_services(SCENE) == leading_to_bad(wanted)
            assert {s.name for s in wanted.good_services(SCENE)} == leading_to_good(wanted)
