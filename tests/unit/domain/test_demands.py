"""What holds ask of the workloads that exist now: the same one by uid, a successor by name, and the good one by uid."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api import AIIncident
from lazaretto.api.containment import Hold
from lazaretto.api.references import ServiceReference
from lazaretto.domain.demands import demand_of
from lazaretto.domain.scene import Demand, Workload
from tests.unit.domain.objects import at, hold, incident, workload

BAD, GOOD, OTHER = (workload(name) for name in ("bad", "good", "other"))
FLEET = [BAD, GOOD, OTHER]
FALLBACK = ServiceReference(name="maintenance", port=80)
FIRST, SECOND, THIRD = (incident(f"chat-{number}") for number in (1, 2, 3))


def test_without_holds_nothing_is_demanded() -> None:
    assert demand_of([], workloads=FLEET) == Demand()


def test_a_hold_demands_what_it_says() -> None:
    found = demand_of([hold(FIRST, [BAD, OTHER], known_good=GOOD)], workloads=FLEET)
    assert found == Demand((BAD, OTHER), (BAD, OTHER), shift=True, known_good=GOOD)


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ({"scale_to_zero": False}, Demand((BAD,), (), shift=True, known_good=GOOD)),
        ({"shift_traffic": False}, Demand((BAD,), (BAD,))),
        ({"shift_traffic": False, "scale_to_zero": False}, Demand((BAD,))),
    ],
)
def test_an_action_that_the_policy_left_out_is_not_demanded(actions: dict[str, Any], expected: Demand) -> None:
    assert demand_of([hold(FIRST, [BAD], known_good=GOOD, **actions)], workloads=FLEET) == expected


def test_without_a_known_good_the_fallback_is_named() -> None:
    found = demand_of([hold(FIRST, [BAD], fallback=FALLBACK)], workloads=FLEET)
    assert found == Demand((BAD,), (BAD,), shift=True, fallback=FALLBACK)


def test_a_hold_that_is_being_released_demands_nothing() -> None:
    releasing, standing = hold(FIRST, [BAD], known_good=GOOD, releasing=True), hold(SECOND, [OTHER])
    assert demand_of([releasing], workloads=FLEET) == Demand()
    assert demand_of([releasing, standing], workloads=FLEET) == demand_of([standing], workloads=FLEET)


def test_a_compromised_workload_that_was_deleted_and_made_again_is_held_again() -> None:
    successor = workload("bad", uid="another", runs="mended")
    found = demand_of([hold(FIRST, [BAD])], workloads=[successor, GOOD])
    assert (found.compromised, found.scale_to_zero) == ((successor,), (successor,))


def test_a_known_good_that_was_deleted_and_made_again_is_not_trusted_again() -> None:
    """What was judged is gone; its successor may run anything."""
    successor = workload("good", uid="another", runs="who-knows")
    assert demand_of([hold(FIRST, [BAD], known_good=GOOD)], workloads=[BAD, successor]).known_good is None


def test_what_does_not_exist_now_is_out_of_sight() -> None:
    found = demand_of([hold(FIRST, [BAD], known_good=GOOD)], workloads=[OTHER])
    assert found == Demand(shift=True, out_of_sight=("Deployment/bad",))
    unscaled = demand_of([hold(FIRST, [BAD], known_good=GOOD, scale_to_zero=False)], workloads=[OTHER])
    assert unscaled == Demand(shift=True), "nothing was demanded of its replicas"
    both = [hold(FIRST, [BAD, OTHER]), hold(SECOND, [BAD])]
    assert demand_of(both, workloads=[OTHER]).out_of_sight == ("Deployment/bad",)


@pytest.mark.parametrize(("older", "newer"), [(FIRST, SECOND), (SECOND, FIRST)])
def test_the_newest_hold_says_where_traffic_goes_however_they_are_listed(older: AIIncident, newer: AIIncident) -> None:
    holds = [
        hold(older, [BAD], known_good=GOOD, since=at(2)),
        hold(newer, [BAD], known_good=OTHER, since=at(3)),
    ]
    assert demand_of(holds, workloads=FLEET).known_good is OTHER
    assert demand_of(holds[::-1], workloads=FLEET).known_good is OTHER


def test_what_a_later_incident_condemns_is_no_longer_good() -> None:
    older = hold(FIRST, [BAD], known_good=GOOD, since=at(2))
    newer = hold(SECOND, [GOOD], fallback=FALLBACK, since=at(3))
    found = demand_of([older, newer], workloads=FLEET)
    assert (found.compromised, found.known_good, found.fallback) == ((BAD, GOOD), None, FALLBACK)


KNOWN = st.sampled_from([*FLEET, workload("bad", uid="another"), workload("gone")])
HOLDS = st.lists(
    st.builds(
        hold,
        st.sampled_from([FIRST, SECOND, THIRD]),
        st.lists(KNOWN, min_size=1, max_size=3),
        known_good=st.none() | KNOWN,
        fallback=st.none() | st.just(FALLBACK),
        shift_traffic=st.booleans(),
        scale_to_zero=st.booleans(),
        releasing=st.booleans(),
        since=st.sampled_from([at(2), at(3)]),
    ),
    max_size=3,
    unique_by=lambda one: one.incident_uid,
)


@given(HOLDS, st.permutations(range(3)))
def test_the_order_of_the_holds_does_not_matter(holds: list[Hold], order: list[int]) -> None:
    mixed = [holds[n] for n in order if n < len(holds)]
    assert demand_of(mixed, workloads=FLEET) == demand_of(holds, workloads=FLEET)


@given(HOLDS, st.lists(st.sampled_from(FLEET), unique_by=lambda w: w.uid))
def test_only_what_exists_is_demanded_of_and_nothing_held_is_trusted(
    holds: list[Hold], workloads: list[Workload]
) -> None:
    found = demand_of(holds, workloads=workloads)
    held = {w.name for h in holds if not h.releasing for w in h.compromised}
    assert {w.name for w in found.compromised} == held & {w.name for w in workloads}
    assert found.known_good is None or (found.known_good in workloads and found.known_good.name not in held)
