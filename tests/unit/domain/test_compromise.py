"""Which workloads an incident condemns and which one it trusts: examples, and laws over any fleet and any records."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api import ModelRevision, reasons
from lazaretto.domain.compromise import Diagnosis, diagnose
from lazaretto.domain.known_good import KnownGoodCriteria
from lazaretto.domain.scene import Workload
from tests.unit.domain.objects import at, revision, revocation, workload

CRITERIA = KnownGoodCriteria(require_attested=False, soak=timedelta(hours=2))
V1, V2, V3 = revision("v1", attested_by="ci"), revision("v2"), revision("v3", since=at(1))
RECORDS = (V1, V2, V3)
ONE, TWO, THREE = workload("v1"), workload("v2"), workload("v3")


def diagnosed(
    *workloads: Workload,
    named: str | None = None,
    held: Collection[str] = (),
    revoked: Collection[str] = (),
    records: Sequence[ModelRevision] = RECORDS,
    condemned: Collection[str] = (),
) -> Diagnosis:
    return diagnose(
        workloads,
        named=named,
        held=held,
        revisions=records,
        revoked=revoked,
        criteria=CRITERIA,
        condemned=condemned,
    )


def outcome(found: Diagnosis) -> tuple[str, str]:
    """Names of the compromised workloads, and of the known-good one."""
    return " ".join(w.name for w in found.compromised), found.known_good.workload.name if found.known_good else ""


def test_without_a_name_everything_that_serves_is_compromised_except_the_best() -> None:
    found = diagnosed(ONE, TWO, THREE)
    assert outcome(found) == ("v2 v3", "v1")
    assert (found.reason, found.message) == (reasons.RESOLVED, "compromised: Deployment/v2, Deployment/v3")


def test_without_a_name_what_does_not_serve_is_left_alone() -> None:
    idle = workload("v2", replicas=0)
    assert outcome(diagnosed(ONE, idle, THREE)) == ("v3", "v1")


def test_if_only_the_known_good_serves_the_alert_speaks_of_it() -> None:
    assert outcome(diagnosed(ONE)) == ("v1", "")
    assert outcome(diagnosed(ONE, workload("v3", replicas=0))) == ("v1", "")


def test_what_was_condemned_before_is_so_again_whoever_serves_by_now() -> None:
    stopped = workload("v2", replicas=0)
    assert outcome(diagnosed(ONE, stopped, condemned={stopped.identity})) == ("v2", "v1")
    assert outcome(diagnosed(ONE, stopped, THREE, condemned={stopped.identity}, named="v3")) == ("v3", "v1")


def test_if_nothing_that_serves_is_known_to_be_good_all_of_it_is_compromised() -> None:
    found = diagnosed(TWO, workload("new", runs="unrecorded"))
    assert outcome(found) == ("v2 new", "")
    assert found.why_not == (
        "Deployment/v2: not attested, and not seen available; Deployment/new: its revision was never recorded"
    )


def test_two_workloads_of_the_good_revision_are_both_spared() -> None:
    twin = workload("v1-twin", runs="v1")
    assert outcome(diagnosed(ONE, TWO, twin)) == ("v2", "v1")
    assert outcome(diagnosed(twin, TWO, ONE)) == ("v2", "v1")


def test_two_workloads_of_the_only_revision_are_both_compromised() -> None:
    assert outcome(diagnosed(ONE, workload("v1-twin", runs="v1"))) == ("v1 v1-twin", "")


def test_a_named_revision_condemns_every_workload_that_runs_it() -> None:
    twin = workload("twin", runs="v2")
    assert outcome(diagnosed(ONE, TWO, twin, THREE, named="v2")) == ("v2 twin", "v1")


def test_a_named_revision_leaves_other_revisions_alone() -> None:
    assert outcome(diagnosed(ONE, TWO, THREE, named="v1")) == ("v1", "v3")


def test_a_workload_may_be_named_that_runs_no_recorded_revision() -> None:
    assert outcome(diagnosed(ONE, workload("new", runs="unrecorded"), named="new")) == ("new", "v1")


def test_a_workload_that_is_named_condemns_its_twin_as_well() -> None:
    assert outcome(diagnosed(ONE, workload("twin", runs="v1"), named="twin")) == ("v1 twin", "")


def test_a_name_that_is_neither_condemns_nothing() -> None:
    found = diagnosed(ONE, TWO, named="v9")
    assert outcome(found) == ("", "")
    assert found.reason == reasons.REVISION_NOT_FOUND
    assert found.message == "target.revision 'v9' is neither a ModelRevision in service nor a workload of the model"


def test_a_revision_that_nothing_runs_condemns_nothing() -> None:
    assert diagnosed(ONE, named="v2").reason == reasons.REVISION_NOT_FOUND


def test_nothing_can_be_said_without_workloads_or_replicas() -> None:
    assert diagnosed().reason == reasons.WORKLOAD_NOT_FOUND
    assert diagnosed(named="v1").reason == reasons.WORKLOAD_NOT_FOUND
    assert diagnosed(workload("v1", replicas=0), workload("v2", replicas=0)).reason == reasons.NOTHING_SERVES


def test_what_another_incident_holds_is_compromised_here_too_though_it_is_at_zero() -> None:
    held = workload("v2", replicas=0)
    assert outcome(diagnosed(ONE, held, held=["uid-of-v2"])) == ("v2", "v1")


def test_what_another_incident_holds_is_no_way_out_nor_is_its_twin() -> None:
    """Even if the record of what they run was made only after the hold, so that no hold names it."""
    twin = workload("twin", runs="v1")
    assert outcome(diagnosed(ONE, TWO, twin, named="v2", held=["uid-of-v1"])) == ("v2", "")
    assert outcome(diagnosed(ONE, twin, held=["uid-of-v1"])) == ("v1 twin", "")


def test_what_another_incident_names_is_no_way_out_nor_is_its_twin() -> None:
    """An incident may name a revision or a workload."""
    twin = workload("twin", runs="v1")
    for name in ("v1", "twin"):
        assert outcome(diagnosed(ONE, TWO, twin, named="v2", revoked=[name])) == ("v2", "")
    assert outcome(diagnosed(ONE, THREE, twin, revoked=["twin"])) == ("v1 twin", "v3")


def test_what_another_incident_names_is_no_way_out_whatever_runs_it() -> None:
    records = (V2, revision("of-a-pipeline", runs="v1", attested_by="ci"))
    assert outcome(diagnosed(ONE, TWO, named="v2", records=records)) == ("v2", "v1")
    assert outcome(diagnosed(ONE, TWO, named="v2", records=records, revoked=["of-a-pipeline"])) == ("v2", "")


def test_what_another_incident_holds_is_not_told_among_the_candidates() -> None:
    assert diagnosed(ONE, TWO, named="v2", held=["uid-of-v1"]).why_not == "the model has no other workload"


def test_every_candidate_that_was_refused_says_why() -> None:
    found = diagnosed(TWO, workload("v3", ready=0), workload("new", runs="unrecorded"), named="v2")
    assert found.why_not == (
        "Deployment/v3: Deployment/v3 has no ready replica; Deployment/new: its revision was never recorded"
    )


BY_TAG = [workload(name, tagged=["server"], frame="same") for name in ("v1", "v2", "v3")]


def by_tag(*loads: str) -> list[ModelRevision]:
    """Records of three templates that differ by their image's tag alone, all attested, with what they load."""
    names = ("v1", "v2", "v3")
    return [revision(name, attested_by="ci", loads=each) for name, each in zip(names, loads, strict=True)]


def test_what_loads_the_same_under_another_tag_is_no_way_out() -> None:
    found = diagnosed(*BY_TAG, named="v2", records=by_tag("b", "b", "c"))
    assert outcome(found) == ("v2", "v3")
    assert found.why_not == "Deployment/v1: loads the same as Deployment/v2, under another name"
    assert outcome(diagnosed(*BY_TAG, held=["uid-of-v2"], records=by_tag("b", "b", "c"))) == ("v1 v2", "v3")


def test_what_is_not_known_to_load_the_same_may_be_the_way_out() -> None:
    assert outcome(diagnosed(*BY_TAG, named="v2", records=by_tag("", "b", "c"))) == ("v2", "v1")
    assert outcome(diagnosed(*BY_TAG, named="v2", records=by_tag("a", "", "c"))) == ("v2", "v1")
    framed = [workload("v1", tagged=["server"]), *BY_TAG[1:]]
    assert outcome(diagnosed(*framed, named="v2", records=by_tag("b", "b", "c"))) == ("v2", "v1")


def test_what_is_spared_is_spared_under_each_of_its_tags() -> None:
    assert outcome(diagnosed(*BY_TAG, records=by_tag("a", "a", "c"))) == ("v3", "v1")


@dataclass(frozen=True)
class World:
    """What one diagnosis looks at."""

    workloads: Sequence[Workload]
    named: str | None
    held: Collection[str]
    revoked: Collection[str]
    records: Sequence[ModelRevision]

    def diagnosis(self) -> Diagnosis:
        rest = {"held": self.held, "revoked": self.revoked, "records": self.records}
        return diagnosed(*self.workloads, named=self.named, **rest)  # type: ignore[arg-type]


RUNS = ("x", "y", "z")
WORKLOAD_NAMES, RECORD_NAMES = ("a", "b", "c", "d"), ("r1", "r2", "r3", "r4")
WORLDS = st.builds(
    World,
    workloads=st.lists(
        st.builds(
            workload,
            st.sampled_from(WORKLOAD_NAMES),
            runs=st.sampled_from(RUNS),
            replicas=st.sampled_from([0, 1, 2, 2]),
            ready=st.none() | st.integers(0, 2),
        ),
        max_size=4,
        unique_by=lambda one: one.name,
    ),
    named=st.none() | st.sampled_from([*WORKLOAD_NAMES, *RECORD_NAMES]),
    held=st.sets(st.sampled_from([f"uid-of-{name}" for name in WORKLOAD_NAMES]), max_size=2),
    revoked=st.sets(st.sampled_from([*WORKLOAD_NAMES, *RECORD_NAMES]), max_size=1),
    records=st.lists(
        st.builds(
            revision,
            st.sampled_from(RECORD_NAMES),
            runs=st.sampled_from(RUNS),
            attested_by=st.sampled_from(["", "ci"]),
            since=st.none() | st.sampled_from([at(1), at(9)]),
            revoked_by=st.sampled_from([(), (), (), (revocation(),)]),
        ),
        max_size=4,
        unique_by=lambda one: one.metadata.name,
    ),
)


@given(WORLDS)
@settings(max_examples=300)
def test_the_known_good_is_condemned_by_nothing_and_nobody(world: World) -> None:
    found = world.diagnosis()
    if found.known_good is None:
        return
    good = found.known_good.workload
    assert found.known_good.refused == ""
    assert min(good.replicas, good.ready) > 0
    condemned = [w for w in world.workloads if w in found.compromised or w.uid in world.held or w.name in world.revoked]
    assert good.identity not in {w.identity for w in condemned}
    records = [r for r in world.records if r.spec.identity == good.identity]
    assert records
    assert not any(r.metadata.name in world.revoked or r.status.revoked_by for r in records)


@given(WORLDS)
@settings(max_examples=300)
def test_without_a_name_nothing_serves_on_but_the_revision_that_was_spared(world: World) -> None:
    if world.named is not None:
        return
    found = world.diagnosis()
    condemned = {w.identity for w in found.compromised}
    left = [w for w in world.workloads if w.replicas > 0 and w not in found.compromised]
    assert not {w.identity for w in left} & condemned
    assert len({w.identity for w in left}) <= 1
    assert not left or (found.known_good is not None and found.known_good.workload in left)


@given(WORLDS)
@settings(max_examples=300)
def test_a_name_condemns_what_it_names_and_nothing_else(world: World) -> None:
    if world.named is None:
        return
    identities = {r.spec.identity for r in world.records if r.metadata.name == world.named}
    identities |= {w.identity for w in world.workloads if w.name == world.named}
    meant = [w for w in world.workloads if w.identity in identities]
    assert list(world.diagnosis().compromised) == meant


@given(WORLDS, st.permutations(range(4)), st.permutations(range(4)))
@settings(max_examples=200)
def test_the_order_in_which_things_are_listed_does_not_matter(world: World, one: list[int], two: list[int]) -> None:
    def mixed(items: Sequence, order: list[int]) -> list:
        return [items[n] for n in order if n < len(items)]

    before = world.diagnosis()
    after = World(
        mixed(world.workloads, one), world.named, world.held, world.revoked, mixed(world.records, two)
    ).diagnosis()
    assert {w.uid for w in after.compromised} == {w.uid for w in before.compromised}
    assert (after.known_good, after.reason) == (before.known_good, before.reason)
    assert {c.workload.uid: c.refused for c in after.refused} == {c.workload.uid: c.refused for c in before.refused}
