"""Whose decisions count: about this incident, once per person, in whatever order they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api import AIIncident, IncidentDecision
from lazaretto.api.containment import Hold
from lazaretto.api.incidentdecision import Verb
from lazaretto.api.responsepolicy import ReleaseRule
from lazaretto.api.taxonomy import SEVERITIES, Severity
from lazaretto.domain.approvals import RELEASING, ReleaseVerdict, count, release_verdict, relevant, terms_of
from tests.unit.domain.objects import at, decision, hold, incident, workload

MINE = incident()
NOW = at(10)
HELD = hold(MINE, [workload("chat-v2")])
"""Begun at two o'clock; `decision` is made at three unless told otherwise."""
EARLIER = incident(uid="uid-of-an-earlier-one")
OTHER = incident("chat-2")
VERBS: tuple[Verb, ...] = (
    *("Acknowledge", "TakeCommand", "ApproveContainment", "ApproveRelease", "FalsePositive", "Note", "Close"),
)


def verdict(
    *decisions: IncidentDecision,
    severity: Severity = "SEV1",
    rule: ReleaseRule | None = None,
    held: Hold | None = None,
    now: datetime = NOW,
) -> ReleaseVerdict:
    terms = terms_of(rule or ReleaseRule(), severity=severity, hold=held)
    return release_verdict(relevant(decisions, incident=MINE), terms=terms, hold=held, now=now)


def people(found: ReleaseVerdict) -> list[str]:
    return [approval.by for approval in found.counted]


@pytest.mark.parametrize(
    ("severity", "rule", "required"),
    [
        ("SEV1", ReleaseRule(), 2),
        ("SEV2", ReleaseRule(), 2),
        ("SEV3", ReleaseRule(), 1),
        ("SEV4", ReleaseRule(), 1),
        ("SEV5", ReleaseRule(), 1),
        ("SEV1", ReleaseRule(approvals=1), 1),
        ("SEV5", ReleaseRule(approvals=3), 3),
    ],
)
def test_how_many_people_a_release_needs(severity: Severity, rule: ReleaseRule, required: int) -> None:
    found = verdict(severity=severity, rule=rule)
    assert (found.required, found.granted, found.false_positive) == (required, False, False)


@pytest.mark.parametrize(("floor", "required"), [(1, 1), (2, 2), (4, 4)])
def test_a_release_never_gets_cheaper_than_it_was(floor: int, required: int) -> None:
    alice, held = decision("ApproveRelease", "alice"), HELD.model_copy(update={"approvals": floor})
    found = verdict(alice, severity="SEV5", rule=ReleaseRule(approvals=1), held=held)
    assert (found.required, found.granted) == (required, required == 1)
    assert verdict(alice, severity="SEV1", rule=ReleaseRule(approvals=5), held=held).required == 5


def test_two_people_release_the_worst_and_one_the_rest() -> None:
    alice, bob = decision("ApproveRelease", "alice"), decision("ApproveRelease", "bob")
    assert not verdict(alice).granted
    assert verdict(alice, bob).granted
    assert verdict(alice, severity="SEV3").granted


def test_the_same_person_twice_counts_once_and_as_of_the_first_time() -> None:
    first = decision("ApproveRelease", "alice", name="first", created=at(3))
    again = decision("ApproveRelease", "alice", name="again", created=at(4))
    dismissed = decision("FalsePositive", "alice", created=at(5))
    found = verdict(dismissed, again, first)
    assert [(a.by, a.decision, a.at) for a in found.counted] == [("alice", "first", at(3))]
    assert not found.granted


def test_two_spellings_are_two_users() -> None:
    """User names are opaque to Kubernetes, and admission has compared them as they are written."""
    assert people(verdict(decision("ApproveRelease", "alice"), decision("ApproveRelease", "Alice", name="other"))) == [
        "alice",
        "Alice",
    ]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in RELEASING])
def test_other_decisions_release_nothing(verb: Verb) -> None:
    assert verdict(decision(verb, "alice"), decision(verb, "bob"), severity="SEV5").counted == ()


@pytest.mark.parametrize("about", [EARLIER, OTHER], ids=["earlier incident of the same name", "another incident"])
def test_decisions_about_another_incident_count_for_nothing(about: AIIncident) -> None:
    assert relevant([decision("ApproveRelease", "alice", of=about)], incident=MINE) == []


def test_the_uid_alone_is_not_enough() -> None:
    misnamed = decision("ApproveRelease", "alice", incident_name="chat-2")
    assert relevant([misnamed], incident=MINE) == []


@pytest.mark.parametrize(
    ("verbs", "false_positive"),
    [
        (("ApproveRelease", "ApproveRelease"), False),
        (("FalsePositive", "ApproveRelease"), False),
        (("FalsePositive", "FalsePositive"), True),
        (("FalsePositive", "FalsePositive", "ApproveRelease"), True),
        (("FalsePositive", "ApproveRelease", "ApproveRelease"), False),
    ],
)
def test_a_false_positive_is_what_the_majority_says(verbs: Sequence[Verb], false_positive: bool) -> None:
    found = verdict(*(decision(verb, f"person-{number}") for number, verb in enumerate(verbs)))
    assert (found.granted, found.false_positive) == (True, false_positive)


def test_decisions_are_read_oldest_first_and_by_name_within_a_second() -> None:
    late = decision("Note", "alice", name="a", created=at(5))
    early = [decision("Note", "alice", name=name, created=at(4)) for name in ("c", "b")]
    assert [d.metadata.name for d in relevant([late, *early], incident=MINE)] == ["b", "c", "a"]


DECISIONS = st.lists(
    st.builds(
        decision,
        st.sampled_from(VERBS),
        st.sampled_from(["alice", "bob", "carol"]),
        of=st.sampled_from([MINE, MINE, MINE, EARLIER, OTHER]),
        name=st.sampled_from([f"d-{number}" for number in range(20)]),
        created=st.sampled_from([at(3), at(4)]),
    ),
    max_size=8,
    unique_by=lambda one: one.metadata.name,
)
SEVERITY = st.sampled_from(SEVERITIES)
RULES = st.builds(
    ReleaseRule, approvals=st.none() | st.integers(1, 5), requester_may_approve=st.sampled_from([None, False, True])
)


@given(DECISIONS, SEVERITY, RULES, st.randoms(use_true_random=False))
def test_order_does_not_matter(
    decisions: list[IncidentDecision], severity: Severity, rule: ReleaseRule, random: Random
) -> None:
    before = verdict(*decisions, severity=severity, rule=rule)
    random.shuffle(decisions)
    assert verdict(*decisions, severity=severity, rule=rule) == before


@given(DECISIONS)
def test_nobody_counts_twice_and_nobody_counts_who_did_not_approve(decisions: list[IncidentDecision]) -> None:
    mine = [d.spec for d in decisions if d.spec.incident_uid == "uid-of-chat-1"]
    asked = {spec.decided_by for spec in mine if spec.verb == "ApproveContainment"}
    said = {spec.decided_by for spec in mine if spec.verb in RELEASING} - asked
    found = people(verdict(*decisions))
    assert len(found) == len(set(found))
    assert set(found) == said


@given(DECISIONS, SEVERITY, RULES)
def test_words_about_other_incidents_change_nothing(
    decisions: list[IncidentDecision], severity: Severity, rule: ReleaseRule
) -> None:
    mine = [d for d in decisions if d.spec.incident_uid == MINE.metadata.uid]
    assert verdict(*decisions, severity=severity, rule=rule) == verdict(*mine, severity=severity, rule=rule)


@given(DECISIONS, SEVERITY, RULES, st.sampled_from(VERBS))
def test_a_further_decision_takes_no_release_back_but_by_who_asks_for_the_containment_after_all(
    decisions: list[IncidentDecision], severity: Severity, rule: ReleaseRule, verb: Verb
) -> None:
    before = verdict(*decisions, severity=severity, rule=rule)
    if verb == "ApproveContainment" and not before.terms.requester_may_approve:
        late = decision(verb, "alice", name="late", created=at(9))
        assert people(verdict(*decisions, late, severity=severity, rule=rule)) == [
            person for person in people(before) if person != "alice"
        ]
        return
    after = verdict(*decisions, decision(verb, "alice", name="late", created=at(9)), severity=severity, rule=rule)
    assert after.counted[: len(before.counted)] == before.counted
    assert after.granted or not before.granted


@given(DECISIONS, SEVERITY, RULES)
def test_a_release_is_granted_by_as_many_people_as_it_needs(
    decisions: list[IncidentDecision], severity: Severity, rule: ReleaseRule
) -> None:
    found = verdict(*decisions, severity=severity, rule=rule)
    assert found.granted == (len(set(people(found))) >= found.required >= 1)
    assert found.false_positive <= bool(found.counted)


@given(DECISIONS)
def test_one_verb_is_counted_as_any_other(decisions: list[IncidentDecision]) -> None:
    mine = relevant(decisions, incident=MINE)
    for verb in VERBS:
        found = {approval.by: approval.decision for approval in count(mine, (verb,))}
        for person, name in found.items():
            assert name == next(d.metadata.name for d in mine if d.spec.verb == verb and d.spec.decided_by == person)
