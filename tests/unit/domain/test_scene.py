"""What a model looks like to decisions, which Services lead where, and what several demands ask together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api.references import ServiceReference, WorkloadIdentity
from lazaretto.domain.scene import Demand, Scene, ServiceFacts, Workload, union
from tests.unit.domain.objects import scene, service, workload

BAD, GOOD, OTHER = (workload(name) for name in ("bad", "good", "other"))
BOTH = service("both", app="chat")
TO_BAD, TO_GOOD, TO_OTHER = (service(f"to-{name}", track=name) for name in ("bad", "good", "other"))
NOWHERE = service("nowhere")
MAINTENANCE = service("maintenance", app="maintenance")
SCENE = scene([BAD, GOOD, OTHER], [TO_GOOD, BOTH, TO_BAD, TO_OTHER, NOWHERE, MAINTENANCE])
FALLBACK = ServiceReference(name="maintenance", port=80)


def names(services: list[ServiceFacts]) -> list[str]:
    return [found.name for found in services]


def test_a_workload_names_itself_for_people_and_for_the_journal() -> None:
    assert BAD.ref == "Deployment/bad"
    assert BAD.identified == WorkloadIdentity(kind="Deployment", name="bad", uid="uid-of-bad")


@pytest.mark.parametrize(
    ("beside", "selector"),
    [(None, {"app": "chat"}), ({"app": "other"}, {"app": "chat"}), ({"app": "chat", "track": "good"}, {})],
    ids=["alone", "told apart", "not told apart"],
)
def test_what_is_condemned_is_known_by_labels_that_the_good_one_does_not_carry(
    beside: dict[str, str] | None, selector: dict[str, str]
) -> None:
    bad = replace(workload("bad", pod_labels={"app": "chat", "track": "bad"}), selector={"app": "chat"})
    good = workload("good", pod_labels=beside) if beside is not None else None
    found = bad.condemned(beside=good)
    assert (found.kind, found.name, found.uid) == ("Deployment", "bad", "uid-of-bad")
    assert (found.selector, found.pod_labels) == (selector, {"app": "chat", "track": "bad"})


@pytest.mark.parametrize(
    ("selector", "pod_labels", "expected"),
    [
        ({"app": "chat"}, {"app": "chat", "track": "x"}, True),
        ({"app": "chat", "track": "x"}, {"app": "chat", "track": "x"}, True),
        ({"app": "chat", "track": "y"}, {"app": "chat", "track": "x"}, False),
        ({"app": "chat"}, {}, False),
        # Endpoints of a Service without a selector are made by somebody else.
        ({}, {"app": "chat"}, False),
        ({}, {}, False),
    ],
)
def test_a_service_selects_pods_that_carry_all_its_labels(
    selector: dict[str, str], pod_labels: dict[str, str], expected: bool
) -> None:
    one = ServiceFacts("one", "uid-of-one", selector, (80,))
    assert one.selects(workload("x", pod_labels=pod_labels)) is expected


def test_services_are_found_by_their_name_and_by_whom_they_lead_to() -> None:
    assert SCENE.service("both") is BOTH
    assert SCENE.service("uid-of-both") is None
    assert names(SCENE.services_of(GOOD)) == ["both", "to-good"]


def test_a_service_is_bad_that_leads_to_compromised_pods_and_to_no_good_ones() -> None:
    assert Demand((BAD,), known_good=GOOD).bad_services(SCENE) == {"to-bad"}
    assert Demand((BAD, OTHER), known_good=GOOD).bad_services(SCENE) == {"to-bad", "to-other"}
    assert Demand((BAD,)).bad_services(SCENE) == {"to-bad", "both"}
    assert Demand().bad_services(SCENE) == frozenset()


def test_a_service_is_good_that_leads_to_the_known_good_and_to_nothing_compromised() -> None:
    assert names(Demand((BAD,), known_good=GOOD).good_services(SCENE)) == ["to-good"]
    assert names(Demand((), known_good=GOOD).good_services(SCENE)) == ["both", "to-good"]
    assert names(Demand((OTHER,), known_good=GOOD).good_services(scene([OTHER, GOOD], [BOTH]))) == []


def test_the_fallback_is_good_while_no_workload_is() -> None:
    assert names(Demand((BAD,), fallback=FALLBACK).good_services(SCENE)) == ["maintenance"]
    assert names(Demand((BAD,), known_good=GOOD, fallback=FALLBACK).good_services(SCENE)) == ["to-good"]
    assert Demand((BAD,)).good_services(SCENE) == []


@pytest.mark.parametrize("name", ["gone", "both", "to-bad"])
def test_a_fallback_that_is_gone_or_leads_to_compromised_pods_is_none(name: str) -> None:
    assert Demand((BAD,), fallback=ServiceReference(name=name, port=80)).good_services(SCENE) == []


def test_nothing_together_is_nothing() -> None:
    assert union([]) == union([Demand(), Demand()]) == Demand()


def test_compromised_workloads_add_up_once_each() -> None:
    found = union([Demand((BAD, OTHER), (BAD,)), Demand((OTHER,), (OTHER,), shift=True)])
    assert found == Demand((BAD, OTHER), (BAD, OTHER), shift=True)


def test_the_last_that_names_a_known_good_decides() -> None:
    assert union([Demand(known_good=GOOD), Demand(known_good=OTHER), Demand()]).known_good is OTHER


def test_the_last_that_names_a_fallback_trusts_no_earlier_known_good() -> None:
    earlier, later = Demand(known_good=GOOD), Demand(fallback=FALLBACK)
    assert (union([earlier, later]).known_good, union([earlier, later]).fallback) == (None, FALLBACK)
    assert (union([later, earlier]).known_good, union([later, earlier]).fallback) == (GOOD, None)


def test_what_one_trusts_and_another_condemns_is_not_good() -> None:
    """In either order, and then the fallback answers."""
    trusting, condemning = Demand((BAD,), known_good=GOOD, fallback=FALLBACK), Demand((GOOD,))
    for found in (union([trusting, condemning]), union([condemning, trusting])):
        assert found.known_good is None
        assert names(found.good_services(SCENE)) == ["maintenance"]


def test_a_service_that_is_moved_to_the_good_pods_is_no_bad_one() -> None:
    """No Service leads to the good pods alone: a route that stopped sending to this one would lead nowhere."""
    bad, good = workload("v2", pod_labels=V2), workload("v1", pod_labels=V1)
    services = [ServiceFacts("to-v2", "u1", V2, (80,)), ServiceFacts("to-all", "u2", {"app": "chat"}, (80,))]
    found = Demand((bad,), (bad,), True, good)
    assert found.good_services(scene([bad, good], services)) == []
    assert found.bad_services(scene([bad, good], services)) == frozenset()
    apart = [*services, ServiceFacts("to-v1", "u3", V1, (80,))]
    assert found.bad_services(scene([bad, good], apart)) == {"to-v2"}


V1, V2 = ({"app": "chat", "track": name} for name in ("v1", "v2"))
LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from("12"), max_size=2)
FLEETS = st.lists(
    st.builds(workload, st.sampled_from("wxyz"), pod_labels=LABELS), min_size=1, max_size=4, unique_by=lambda w: w.name
)
SERVICES = st.lists(
    st.builds(lambda name, selector: ServiceFacts(name, name, selector, (80,)), st.sampled_from("klmn"), LABELS),
    max_size=4,
    unique_by=lambda s: s.name,
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Demand], Scene]:
    """Demands on one fleet; what is scaled to zero is a part of what is compromised, as holds have it."""
    fleet: list[Workload] = draw(FLEETS)
    services: list[ServiceFacts] = draw(SERVICES)
    parts = []
    for _ in range(draw(st.integers(0, 3))):
        bad = tuple(draw(st.lists(st.sampled_from(fleet), max_size=3, unique_by=lambda w: w.uid)))
        reference = draw(st.none() | st.builds(ServiceReference, name=st.sampled_from("klmn"), port=st.just(80)))
        good = draw(st.none() | st.sampled_from(fleet))
        parts.append(Demand(bad, bad if draw(st.booleans()) else (), draw(st.booleans()), good, reference))
    return parts, scene(fleet, services)


@given(situations())
def test_a_union_trusts_nothing_that_any_part_condemns(situation: tuple[list[Demand], Scene]) -> None:
    parts, _ = situation
    found = union(parts)
    condemned = {w.uid for part in parts for w in part.compromised}
    assert found.known_good is None or found.known_good.uid not in condemned
    assert found.known_good in (None, *(part.known_good for part in parts))


@given(situations())
def test_a_union_demands_what_any_part_demands_and_no_more(situation: tuple[list[Demand], Scene]) -> None:
    parts, _ = situation
    found = union(parts)
    assert {w.uid for w in found.compromised} == {w.uid for part in parts for w in part.compromised}
    assert {w.uid for w in found.scale_to_zero} == {w.uid for part in parts for w in part.scale_to_zero}
    assert {w.uid for w in found.scale_to_zero} <= {w.uid for w in found.compromised}
    assert found.shift == any(part.shift for part in parts)
    assert len({w.uid for w in found.compromised}) == len(found.compromised)


@given(situations(), st.permutations(range(3)))
def test_who_must_not_serve_does_not_depend_on_the_order(
    situation: tuple[list[Demand], Scene], order: list[int]
) -> None:
    parts, _ = situation
    one, two = union(parts), union([parts[n] for n in order if n < len(parts)])
    assert {w.uid for w in one.compromised} == {w.uid for w in two.compromised}
    assert {w.uid for w in one.scale_to_zero} == {w.uid for w in two.scale_to_zero}
    assert one.shift == two.shift


@given(situations())
def test_asking_the_same_again_changes_nothing(situation: tuple[list[Demand], Scene]) -> None:
    parts, _ = situation
    assert union([*parts, *parts]) == union(parts)
    assert union([union(parts)]) == union(parts)


@given(situations())
def test_traffic_is_never_sent_to_compromised_pods(situation: tuple[list[Demand], Scene]) -> None:
    parts, surroundings = situation
    found = union(parts)
    good = found.good_services(surroundings)
    assert not {s.name for s in good} & found.bad_services(surroundings)
    assert not any(s.selects(w) for s in good for w in found.compromised)


@given(situations())
def test_every_service_before_compromised_pods_is_bad_or_leads_to_the_good_ones_too(
    situation: tuple[list[Demand], Scene],
) -> None:
    parts, surroundings = situation
    found = union(parts)
    for one in surroundings.services:
        leads_to_bad = any(one.selects(w) for w in found.compromised)
        serves_good = found.known_good is not None and one.selects(found.known_good)
        alone = not found.good_services(surroundings) and found.selector_for(one, scene=surroundings) is not None
        moved = found.known_good is not None and alone
        assert (one.name in found.bad_services(surroundings)) == (leads_to_bad and not serves_good and not moved)
