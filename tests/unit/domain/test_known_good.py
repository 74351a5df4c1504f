"""Whether a workload may serve instead: each check with its reason, and the order among those that may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api import ModelRevision
from lazaretto.api.responsepolicy import KnownGoodRule
from lazaretto.api.taxonomy import CATEGORIES, Category
from lazaretto.domain.known_good import NO_CURE, Candidate, KnownGoodCriteria, criteria_of, judge, of_identity, rank
from lazaretto.domain.scene import Workload
from tests.unit.domain.objects import at, digest, model, moved_tag, revision, revocation, workload

SOAKED = KnownGoodCriteria(require_attested=False, soak=timedelta(hours=2))
ATTESTED = KnownGoodCriteria(require_attested=True, soak=timedelta(hours=2))
GOOD = workload("good")
OTHER = revision("other", attested_by="ci")


def judged(
    *records: ModelRevision,
    of: Workload = GOOD,
    criteria: KnownGoodCriteria = SOAKED,
    revoked: Sequence[str] = (),
) -> Candidate:
    return judge(of, revisions=[*records, OTHER], revoked=revoked, criteria=criteria)


def good(**fields: object) -> ModelRevision:
    return revision("good", **fields)  # type: ignore[arg-type]


MOVED = (moved_tag("a", "b"),)
TOLD = f"TagMoved: the image of container server was sha256:{'a' * 64} and is sha256:{'b' * 64}"
PINNED = KnownGoodCriteria(require_attested=False, soak=timedelta(hours=2), require_pinned=True)
TAGGED = replace(GOOD, unpinned=("chat:v1", "hf://a/b"))


def began(hour: float, *, preferred: str = "") -> KnownGoodCriteria:
    return replace(SOAKED, began=at(hour), preferred=preferred)


ACCEPTED: list[tuple[str, Candidate, str]] = [
    ("attested", judged(good(attested_by="ci")), "attested by ci"),
    ("attested, as asked for", judged(good(attested_by="ci"), criteria=ATTESTED), "attested by ci"),
    ("attested and fresh", judged(good(attested_by="ci", since=at(9.9))), "attested by ci"),
    ("soaked", judged(good(since=at(7))), "available without an incident since 2026-01-02T07:00:00Z"),
    (
        "soaked to the second",
        judged(good(since=at(1), earned=2 * 3600)),
        "available without an incident since 2026-01-02T01:00:00Z",
    ),
    (
        "recorded twice, attested once",
        judged(good(), revision("z-of-ci", runs="good", attested_by="ci"), criteria=ATTESTED),
        "attested by ci",
    ),
    ("pinned, as asked for", judged(good(attested_by="ci"), criteria=PINNED), "attested by ci"),
    ("not pinned, which nobody asks for", judged(good(attested_by="ci"), of=TAGGED), "attested by ci"),
    ("seen before it began", judged(good(created=at(2), attested_by="ci"), criteria=began(3)), "attested by ci"),
    (
        "its tag moved, and it has soaked since",
        judged(good(since=at(7), attested_by="ci", moved=MOVED)),
        "available without an incident since 2026-01-02T07:00:00Z",
    ),
    (
        "its tag moved, and somebody attested what it stands for now",
        judged(good(attested_by="early", moved=MOVED), revision("z", runs="good", attested_by="ci"), criteria=ATTESTED),
        "attested by ci",
    ),
    (
        "one of its two records is older",
        judged(good(created=at(5)), revision("z", runs="good", attested_by="ci", created=at(1)), criteria=began(3)),
        "attested by ci",
    ),
    (
        "seen later, and named by the owner",
        judged(good(created=at(5), attested_by="ci"), criteria=began(3, preferred="good")),
        "attested by ci",
    ),
]

REFUSED: list[tuple[str, Candidate, str]] = [
    (
        "its tag moved, short of a new soak",
        judged(good(since=at(9), moved=MOVED)),
        f"{TOLD}; available since 2026-01-02T09:00:00Z, short of the soak time of 2h",
    ),
    (
        "its tag moved after it was attested",
        judged(good(since=at(7), attested_by="ci", moved=MOVED), criteria=ATTESTED),
        f"{TOLD}; attested before that, and the policy asks for it",
    ),
    (
        "its tag moved, and its pods do not agree",
        judged(good(attested_by="ci", moved=MOVED)),
        f"{TOLD}; attested before that, and not seen available",
    ),
    (
        "not pinned",
        judged(good(attested_by="ci"), of=TAGGED, criteria=PINNED),
        "chat:v1 names no digest or commit, and the policy asks for it (requirePinned)",
    ),
    (
        "first seen when it had begun",
        judged(good(created=at(5), attested_by="ci"), criteria=began(3)),
        "first seen 2026-01-02T05:00:00Z, after the compromise is said to have begun (2026-01-02T03:00:00Z)",
    ),
    (
        "no cure",
        judged(good(attested_by="ci"), criteria=replace(SOAKED, uncured="ModelTheft")),
        "no revision is a cure for ModelTheft, unless the policy's knownGood.anyCategory says so",
    ),
    ("never recorded", judged(), "its revision was never recorded"),
    ("revoked", judged(good(attested_by="ci"), revoked=["good"]), "revision good is named by an open incident"),
    (
        "revoked in its status",
        judged(good(attested_by="ci", revoked_by=[revocation()])),
        "revision good is named by an open incident",
    ),
    (
        "one of its two records revoked",
        judged(good(attested_by="ci"), revision("z", runs="good"), revoked=["z"]),
        "revision z is named by an open incident",
    ),
    (
        "no replica is ready",
        judged(good(attested_by="ci"), of=workload("good", ready=0, available=True)),
        "Deployment/good has no ready replica",
    ),
    (
        "not available",
        judged(good(attested_by="ci"), of=workload("good", available=False)),
        "Deployment/good has no ready replica",
    ),
    (
        "on its way to zero",
        judged(good(attested_by="ci"), of=workload("good", replicas=0, ready=2)),
        "Deployment/good has no ready replica",
    ),
    ("soaked, not attested", judged(good(since=at(1)), criteria=ATTESTED), "not attested, and the policy asks for it"),
    ("never seen available", judged(good()), "not attested, and not seen available"),
    (
        "a second short",
        judged(good(since=at(1), earned=2 * 3600 - 1)),
        "available since 2026-01-02T01:00:00Z, short of the soak time of 2h",
    ),
    (
        "available for long, and nothing was earned",
        judged(good(since=at(1), earned=0)),
        "available since 2026-01-02T01:00:00Z, short of the soak time of 2h",
    ),
]


@pytest.mark.parametrize(("found", "reason"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_evidence_that_lets_a_workload_serve(found: Candidate, reason: str) -> None:
    assert (found.refused, found.reason) == ("", reason)
    assert found.revision is not None
    assert found.revision.spec.identity == GOOD.identity


@pytest.mark.parametrize(("found", "refused"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_every_refusal_says_why(found: Candidate, refused: str) -> None:
    assert (found.refused, found.reason) == (refused, "")


def test_one_at_zero_replicas_may_serve_where_it_may_be_scaled_up() -> None:
    at_zero = workload("good", replicas=0, ready=0)
    found = judged(good(attested_by="ci"), of=at_zero, criteria=replace(SOAKED, running_only=False))
    assert (found.refused, found.reason) == ("", "attested by ci")


@pytest.mark.parametrize(
    ("soak", "told"),
    [
        (timedelta(hours=24), "24h"),
        (timedelta(days=3), "72h"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(minutes=45), "45m"),
        (timedelta(seconds=30), "30s"),
    ],
)
def test_the_soak_time_is_told_as_people_write_it(soak: timedelta, told: str) -> None:
    found = judged(good(since=at(1), earned=0), criteria=KnownGoodCriteria(require_attested=False, soak=soak))
    assert found.refused.endswith(f"short of the soak time of {told}")


def test_one_whose_pods_would_not_start_is_not_brought_up() -> None:
    record = good(attested_by="ci")
    lacking = record.model_copy(update={"status": record.status.model_copy(update={"lacks": ["ConfigMap/prompts"]})})
    brought_up = replace(SOAKED, running_only=False)
    idle = workload("good", replicas=0)
    assert judged(record, of=idle, criteria=brought_up).refused == ""
    told = "ConfigMap/prompts, which its pods need, does not exist"
    assert judged(lacking, of=idle, criteria=brought_up).refused == told
    assert judged(lacking, criteria=brought_up).refused == "", "what serves has all that it needs"


def test_without_a_soak_time_being_seen_is_enough() -> None:
    criteria = KnownGoodCriteria(require_attested=False, soak=timedelta(0))
    assert judged(good(since=at(1), earned=0), criteria=criteria).refused == ""
    assert judged(good(), criteria=criteria).refused == "not attested, and not seen available"


def test_records_of_one_identity_are_found_attested_ones_first() -> None:
    records = [revision("b"), revision("c", runs="b", attested_by="ci"), revision("a", runs="b"), OTHER]
    assert [r.metadata.name for r in of_identity(records, digest("b"))] == ["c", "a", "b"]
    assert of_identity(records, digest("unknown")) == []


def candidate(
    name: str,
    *,
    attested: bool = False,
    hour: float | None = 1,
    record: str = "",
    refused: str = "",
    serves: bool = True,
) -> Candidate:
    since = None if hour is None else at(hour)
    evidence = revision(record or f"r-{name}", attested_by="ci" if attested else "", since=since)
    return Candidate(workload(name, ready=2 if serves else 0, available=serves), evidence, refused, "")


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (candidate("z", hour=9, record="owners"), candidate("a", attested=True)),
        (candidate("z", hour=9), candidate("a", attested=True, record="owners", serves=False)),
        (candidate("z", attested=True, serves=False), candidate("a", serves=False)),
        (candidate("z", hour=9, attested=True), candidate("a")),
        (candidate("z", hour=1), candidate("a", hour=2)),
        (candidate("z", hour=9), candidate("a", hour=None)),
        (candidate("a"), candidate("z")),
    ],
    ids=[
        "named by the owner",
        "ready",
        "attested, both to be scaled up",
        "attested",
        "available for longer",
        "seen available at all",
        "name",
    ],
)
def test_what_comes_first_among_those_that_may_serve(better: Candidate, worse: Candidate) -> None:
    criteria = KnownGoodCriteria(require_attested=False, soak=timedelta(0), preferred="owners")
    assert rank([worse, better], criteria=criteria) == rank([better, worse], criteria=criteria) == [better, worse]


def test_the_owners_choice_is_passed_over_if_it_may_not_serve() -> None:
    criteria = KnownGoodCriteria(require_attested=False, soak=timedelta(0), preferred="owners")
    refused = candidate("a", attested=True, record="owners", refused="revoked")
    assert rank([refused, candidate("b")], criteria=criteria) == [candidate("b")]


NAMES = ("v1", "v2", "v3")
RECORDS = st.lists(
    st.builds(
        revision,
        st.sampled_from(["r1", "r2", "r3", "r4"]),
        runs=st.sampled_from(NAMES),
        attested_by=st.sampled_from(["", "ci"]),
        since=st.none() | st.sampled_from([at(1), at(9), at(11)]),
        revoked_by=st.sampled_from([(), (), (revocation(),)]),
        moved=st.sampled_from([(), (), MOVED]),
    ),
    max_size=4,
    unique_by=lambda one: one.metadata.name,
)
WORKLOADS = st.builds(
    workload,
    st.sampled_from("abc"),
    runs=st.sampled_from(NAMES),
    replicas=st.integers(0, 2),
    ready=st.integers(0, 2),
    available=st.booleans(),
    unpinned=st.sampled_from([(), ("chat:v1",)]),
)
REVOKED = st.sets(st.sampled_from(["r1", "r2", "r3", "r4"]), max_size=2)
CRITERIA = st.builds(
    KnownGoodCriteria,
    require_attested=st.booleans(),
    soak=st.sampled_from([timedelta(0), timedelta(hours=2)]),
    preferred=st.sampled_from(["", "r1", "r4"]),
    require_pinned=st.booleans(),
    uncured=st.sampled_from(["", "", "ModelTheft"]),
    began=st.none() | st.sampled_from([at(0), at(4)]),
)


@given(WORKLOADS, RECORDS, REVOKED, CRITERIA)
def test_what_may_serve_runs_now_is_recorded_and_is_named_by_nobody(
    of: Workload, records: list[ModelRevision], revoked: set[str], criteria: KnownGoodCriteria
) -> None:
    found = judge(of, revisions=records, revoked=revoked, criteria=criteria)
    assert bool(found.refused) != bool(found.reason)
    if found.refused:
        return
    mine = [r for r in records if r.spec.identity == of.identity]
    assert found.revision in mine
    assert not any(r.metadata.name in revoked or r.status.revoked_by for r in mine)
    assert min(of.replicas, of.ready) > 0
    assert of.available
    attested = any(r.spec.attestation and not r.status.moved_tags for r in mine)
    assert attested or not criteria.require_attested
    since = found.revision.status.available_since
    soak = found.revision.status.soak
    assert attested or (since is not None and soak is not None and soak.earned_seconds >= criteria.soak.total_seconds())
    assert not criteria.uncured
    assert not (criteria.require_pinned and of.unpinned)


@given(WORKLOADS, RECORDS, REVOKED, CRITERIA, st.randoms(use_true_random=False))
def test_the_order_of_the_records_does_not_matter(
    of: Workload, records: list[ModelRevision], revoked: set[str], criteria: KnownGoodCriteria, random: Random
) -> None:
    before = judge(of, revisions=records, revoked=revoked, criteria=criteria)
    random.shuffle(records)
    assert judge(of, revisions=records, revoked=revoked, criteria=criteria) == before


@given(WORKLOADS, RECORDS, REVOKED, CRITERIA, st.sampled_from(["r1", "r2", "r3", "r4"]))
def test_a_further_revocation_lets_nobody_serve(
    of: Workload, records: list[ModelRevision], revoked: set[str], criteria: KnownGoodCriteria, name: str
) -> None:
    before = judge(of, revisions=records, revoked=revoked, criteria=criteria)
    after = judge(of, revisions=records, revoked={*revoked, name}, criteria=criteria)
    assert after.refused or not before.refused


@given(
    st.lists(WORKLOADS, max_size=3, unique_by=lambda w: w.name), RECORDS, CRITERIA, st.randoms(use_true_random=False)
)
def test_ranking_drops_the_refused_and_does_not_depend_on_order(
    workloads: list[Workload], records: list[ModelRevision], criteria: KnownGoodCriteria, random: Random
) -> None:
    candidates = [judge(w, revisions=records, revoked=(), criteria=criteria) for w in workloads]
    ranked = rank(candidates, criteria=criteria)
    assert {c.workload.uid for c in ranked} == {c.workload.uid for c in candidates if not c.refused}
    random.shuffle(candidates)
    assert rank(candidates, criteria=criteria) == ranked


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_that_no_revision_cures_is_asked_about_unless_the_policy_says_so(category: Category) -> None:
    def uncured(**rule: bool) -> str:
        return criteria_of(KnownGoodRule(**rule), model=model(), category=category).uncured

    assert uncured() == (category if category in NO_CURE else "")
    assert uncured(any_category=True) == ""
