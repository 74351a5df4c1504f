"""What is recorded of revisions: those that are missing, who speaks against them, since when they serve in peace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api import AIIncident, Containment, ModelRevision
from lazaretto.api.meta import LABEL_MODEL
from lazaretto.api.modelrevision import ModelRevisionStatus, Revocation
from lazaretto.domain.conditions import find
from lazaretto.domain.digests import Resolution
from lazaretto.domain.recorded_template import Keeping
from lazaretto.domain.revision_record import Look, revision_status, revocations, unrecorded
from lazaretto.domain.scene import Workload
from lazaretto.domain.soak import soaked, stored
from lazaretto.domain.traffic import FLOWS, NO_ANSWER, NO_PROMETHEUS, NO_QUERY, NONE, REFUSED, Traffic
from tests.unit.domain.objects import (
    MODEL,
    at,
    containment,
    digest,
    hold,
    incident,
    revision,
    revocation,
    workload,
)

V1 = revision("v1", generation=4)


def test_what_runs_without_a_record_gets_one() -> None:
    [body] = unrecorded(MODEL, [workload("v1"), workload("v2")], [V1])
    stored = ModelRevision.read(body)
    assert body["apiVersion"] == "lazaretto.dev/v1alpha1"
    assert body["kind"] == "ModelRevision"
    assert stored.metadata.name == f"chat-{digest('v2')[:10]}"
    assert stored.metadata.labels == {LABEL_MODEL: MODEL}
    assert (stored.spec.model, stored.spec.identity) == (MODEL, digest("v2"))
    assert stored.spec.images == ["registry.example/v2:1"]
    assert stored.spec.attestation is None


def test_one_record_is_enough_for_workloads_that_run_the_same() -> None:
    [body] = unrecorded(MODEL, [workload("a", runs="same"), workload("b", runs="same")], [])
    assert ModelRevision.read(body).spec.identity == digest("same")


def test_a_record_by_another_name_is_a_record() -> None:
    assert unrecorded(MODEL, [workload("v1")], [revision("of-a-pipeline", runs="v1", attested_by="ci")]) == []


@given(st.lists(st.builds(workload, st.sampled_from("abcd"), runs=st.sampled_from("wxyz")), max_size=5))
def test_recording_what_is_missing_leaves_nothing_missing(workloads: list[Workload]) -> None:
    bodies = unrecorded(MODEL, workloads, [V1])
    records = [V1, *(ModelRevision.read(body) for body in bodies)]
    assert unrecorded(MODEL, workloads, records) == []
    assert len({r.metadata.name for r in records}) == len(records)


NAMING = incident("chat-1", revision="v1")
HOLDING = incident("chat-2")
STRANGER = incident("chat-3", revision="v2")
UNTARGETED = incident("chat-4", model=None)
CLOSED = incident("chat-5", revision="v1", status={"times": {"closedAt": at(5)}})


def held(of: AIIncident, *revisions: str) -> Containment:
    return containment(hold(of, [workload("v1")], revisions=list(revisions)))


@pytest.mark.parametrize(
    ("incidents", "journal", "expected"),
    [
        ([], None, []),
        ([NAMING], None, ["chat-1"]),
        ([STRANGER, UNTARGETED], None, []),
        ([HOLDING], held(HOLDING, "v0", "v1"), ["chat-2"]),
        ([HOLDING], held(HOLDING, "v2"), []),
        ([HOLDING], held(NAMING, "v1"), []),
        ([HOLDING, NAMING], held(HOLDING, "v1"), ["chat-1", "chat-2"]),
        ([NAMING], held(NAMING, "v1"), ["chat-1"]),
        ([CLOSED], held(CLOSED, "v1"), []),
    ],
    ids=[
        *("nobody", "by its target", "others", "by its hold", "holds another", "the hold of another"),
        *("both ways", "twice", "closed"),
    ],
)
def test_open_incidents_that_name_the_revision_revoke_it(
    incidents: Sequence[AIIncident], journal: Containment | None, expected: list[str]
) -> None:
    found = revocations(V1, incidents=incidents, containment=journal, workloads=())
    assert [r.incident for r in found] == expected


def test_an_incident_that_names_a_workload_revokes_what_it_runs() -> None:
    named = incident("chat-1", revision="chat-v1")
    running = workload("chat-v1", runs="v1")
    [found] = revocations(V1, incidents=[named], containment=None, workloads=[running])
    assert found.incident == "chat-1"
    assert revocations(V1, incidents=[named], containment=None, workloads=[workload("chat-v1")]) == []


def test_a_revocation_says_which_incident_and_of_what_kind() -> None:
    named = incident("chat-1", revision="v1", category="ModelPoisoning")
    [found] = revocations(V1, incidents=[named], containment=None, workloads=())
    assert found == Revocation(incident="chat-1", incident_uid="uid-of-chat-1", category="ModelPoisoning")


def test_the_name_of_a_workload_that_was_rolled_back_stands_for_what_it_ran_before() -> None:
    named, running = incident("chat-9", revision="chat"), workload("chat", runs="v1")
    held = hold(named, [running])
    spared = held.model_copy(update={"compromised": [held.compromised[0].model_copy(update={"rolled_back": True})]})
    assert revocations(V1, incidents=[named], containment=containment(held), workloads=[running])
    assert revocations(V1, incidents=[named], containment=containment(spared), workloads=[running]) == []


def test_no_more_revocations_are_told_than_the_field_takes() -> None:
    many = [incident(f"chat-{number:02}", revision="v1") for number in reversed(range(20))]
    found = revocations(V1, incidents=many, containment=None, workloads=())
    assert [r.incident for r in found] == [f"chat-{number:02}" for number in range(16)]


def status(
    *workloads: Workload,
    of: ModelRevision = V1,
    revoked_by: Sequence[Revocation] = (),
    resolution: Resolution | None = None,
    traffic: Traffic = FLOWS,
    now: datetime | None = None,
) -> ModelRevisionStatus:
    now = now or at(9)
    look = Look(workloads, list(revoked_by), resolution or Resolution("Pinned"), traffic)
    soak = soaked(stored(of.status), remembered=None, sight=look.sight(of, now=now), now=now, steady=0.0)
    return revision_status(of, look=look, soak=soak, served=None, kept=Keeping(None), now=now)


def known_good(found: ModelRevisionStatus) -> tuple[str, str, str]:
    condition = find(found.conditions, "KnownGood")
    assert condition is not None
    return condition.status, condition.reason, condition.message


SERVING = workload("v1", since=at(1))
ATTESTED = revision("v1", attested_by="ci")


@pytest.mark.parametrize(
    ("found", "state", "condition"),
    [
        (
            status(SERVING),
            "Soaking",
            (
                "Unknown",
                "Soaking",
                "available since 2026-01-02T09:00:00Z, with traffic; the policy's soak time decides",
            ),
        ),
        (status(SERVING, of=ATTESTED), "Attested", ("True", "Attested", "attested by ci")),
        (status(), "Unavailable", ("Unknown", "NotProved", "no available workload runs it")),
        (status(of=ATTESTED), "Unavailable", ("Unknown", "NotProved", "no available workload runs it")),
        (
            status(SERVING, of=ATTESTED, revoked_by=[revocation("chat-1"), revocation("chat-2")]),
            "Revoked",
            ("False", "Revoked", "named by chat-1, chat-2"),
        ),
        (status(revoked_by=[revocation()]), "Revoked", ("False", "Revoked", "named by chat-1")),
    ],
    ids=["soaking", "attested", "not running", "attested, not running", "revoked", "revoked, not running"],
)
def test_where_a_revision_stands(found: ModelRevisionStatus, state: str, condition: tuple[str, str, str]) -> None:
    assert (found.state, known_good(found)) == (state, condition)


def test_the_status_names_its_workloads_available_or_not_and_no_others() -> None:
    down = workload("down", runs="v1", ready=0)
    found = status(SERVING, down, workload("v2"))
    assert [w.name for w in found.workloads] == ["v1", "down"]
    assert found.observed_generation == 4
    many = status(*(workload(f"w-{number}", runs="v1") for number in range(20)))
    assert len(many.workloads) == 16


def test_availability_counts_from_when_it_was_seen_not_from_before() -> None:
    assert status(SERVING, now=at(9)).available_since == at(9)


def test_unbroken_availability_keeps_its_beginning() -> None:
    assert status(SERVING, of=revision("v1", since=at(3)), now=at(9)).available_since == at(3)


def test_a_workload_that_was_down_between_two_looks_begins_anew() -> None:
    risen = workload("v1", since=at(7))
    assert status(risen, of=revision("v1", since=at(3)), now=at(9)).available_since == at(7)


def test_two_workloads_carry_each_other_over_a_break() -> None:
    """One of them rose later; nothing says that both were down at once."""
    twins = workload("v1", since=at(7)), workload("twin", runs="v1", since=at(8))
    assert status(*twins, of=revision("v1", since=at(3)), now=at(9)).available_since == at(3)


@pytest.mark.parametrize(
    "down",
    [workload("v1", ready=0, available=True), workload("v1", available=False), workload("v2")],
    ids=["no replica is ready", "not available", "runs something else"],
)
def test_what_does_not_serve_is_not_available(down: Workload) -> None:
    assert status(down, of=revision("v1", since=at(3))).available_since is None


def test_an_incident_ends_the_soak_and_its_end_begins_a_new_one() -> None:
    soaked = revision("v1", since=at(3))
    revoked = status(SERVING, of=soaked, revoked_by=[revocation()], now=at(9))
    assert (revoked.available_since, revoked.revoked_by) == (None, [revocation()])
    after = soaked.model_copy(update={"status": revoked})
    assert status(SERVING, of=after, now=at(12)).available_since == at(12)


A, B = (f"sha256:{letter * 64}" for letter in "ab")


def runs(*digests: str) -> Resolution:
    return Resolution("Resolved" if len(digests) == 1 else "Mutable", {"server": digests})


def test_a_tag_that_moved_ends_the_soak_and_the_word_of_who_attested() -> None:
    of = revision("v1", since=at(1), attested_by="ci")
    of = of.model_copy(update={"status": status(SERVING, of=of, resolution=runs(A), now=at(3))})
    assert (of.status.state, of.status.available_since) == ("Attested", at(1))
    moved = status(SERVING, of=of, resolution=runs(B), now=at(5))
    assert (moved.state, moved.available_since) == ("TagMoved", at(5))
    told = f"TagMoved: the image of container server was {A} and is {B}"
    soaking = "available since 2026-01-02T05:00:00Z, with traffic; the policy's soak time decides"
    assert known_good(moved) == ("Unknown", "TagMoved", f"{told}; {soaking}")
    back = status(SERVING, of=of.model_copy(update={"status": moved}), resolution=runs(A), now=at(7))
    assert (back.state, back.available_since, back.moved_tags) == ("Attested", at(7), [])


def test_pods_that_do_not_agree_are_no_revision_that_could_soak() -> None:
    of = revision("v1", since=at(1))
    of = of.model_copy(update={"status": status(SERVING, of=of, resolution=runs(A), now=at(3))})
    found = status(SERVING, of=of, resolution=runs(A, B), now=at(5))
    assert (found.state, found.available_since, found.digest_confidence) == ("TagMoved", None, "Mutable")
    assert known_good(found)[2].endswith("; its pods do not agree")


@pytest.mark.parametrize(
    ("traffic", "reason", "told"),
    [
        (FLOWS, "Soaking", "with traffic"),
        (NONE, "NoTraffic", "without traffic now, which does not count"),
        (NO_ANSWER, "TrafficUnknown", "Prometheus does not answer, and meanwhile nothing counts"),
        (REFUSED, "TrafficUnknown", "Prometheus refuses spec.trafficQuery of the model, and nothing counts"),
        (NO_QUERY, "SoakingByAvailability", "by availability alone: the model has no spec.trafficQuery"),
        (NO_PROMETHEUS, "SoakingByAvailability", "by availability alone: the operator was told of no Prometheus"),
    ],
    ids=["traffic", "no traffic", "no answer", "refused", "no question", "nobody to ask"],
)
def test_how_the_soak_is_counted_is_said(traffic: Traffic, reason: str, told: str) -> None:
    found = status(SERVING, traffic=traffic)
    since = "available since 2026-01-02T09:00:00Z"
    assert (found.state, known_good(found)) == (
        "Soaking",
        ("Unknown", reason, f"{since}, {told}; the policy's soak time decides"),
    )


STEPS = st.lists(
    st.tuples(
        st.lists(
            st.builds(
                workload,
                st.sampled_from(["a", "b"]),
                runs=st.sampled_from(["v1", "v1", "v2"]),
                ready=st.integers(0, 1),
                since=st.sampled_from([at(0), at(2)]),
            ),
            max_size=2,
            unique_by=lambda one: one.name,
        ),
        st.sampled_from([(), (), (revocation(),)]),
    ),
    min_size=1,
    max_size=6,
)


@given(STEPS)
def test_availability_is_never_dated_before_the_last_break_that_was_seen(
    steps: list[tuple[list[Workload], tuple[Revocation, ...]]],
) -> None:
    record, broken = V1, 1
    for hour, (workloads, revoked_by) in enumerate(steps, start=2):
        serves = any(w.identity == digest("v1") and w.available and w.ready for w in workloads)
        broken = hour if revoked_by or not serves else broken
        record = record.model_copy(
            update={"status": status(*workloads, of=record, revoked_by=revoked_by, now=at(hour))}
        )
        since = record.status.available_since
        assert (since is None) == (broken == hour)
        assert since is None or at(broken) < since <= at(hour)


@given(STEPS)
def test_looking_twice_changes_nothing(steps: list[tuple[list[Workload], tuple[Revocation, ...]]]) -> None:
    record = V1
    for workloads, revoked_by in steps:
        once = status(*workloads, of=record, revoked_by=revoked_by, now=at(5))
        record = record.model_copy(update={"status": once})
        assert status(*workloads, of=record, revoked_by=revoked_by, now=at(6)) == once
