"""What makes an approval count: given by somebody else, while the hold stood, and not too long ago.

None of that gets weaker while a hold stands, whatever becomes of the policy.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api import IncidentDecision
from lazaretto.api.containment import Hold
from lazaretto.api.incidentdecision import Verb
from lazaretto.api.responsepolicy import ReleaseRule
from lazaretto.api.taxonomy import SEVERITIES, Severity
from lazaretto.domain.approvals import MOST_NAMED, RELEASING, ReleaseVerdict, release_verdict, relevant, terms_of
from tests.unit.domain.objects import at, decision, hold, incident, workload

MINE = incident()
HELD = hold(MINE, [workload("chat-v2")])
"""Begun at two o'clock; `decision` is made at three unless told otherwise."""
ASKED = decision("ApproveContainment", "alice", created=at(1))
MOMENT = timedelta(microseconds=1)


def verdict(
    *decisions: IncidentDecision,
    severity: Severity = "SEV1",
    rule: ReleaseRule | None = None,
    held: Hold | None = HELD,
    now: datetime | None = None,
) -> ReleaseVerdict:
    terms = terms_of(rule or ReleaseRule(), severity=severity, hold=held)
    return release_verdict(relevant(decisions, incident=MINE), terms=terms, hold=held, now=now or at(10))


def people(found: ReleaseVerdict) -> list[str]:
    return [approval.by for approval in found.counted]


def held(**fields: Any) -> Hold:
    return HELD.model_copy(update=fields)


@pytest.mark.parametrize(
    ("severity", "rule", "counts"),
    [
        ("SEV1", ReleaseRule(), False),
        ("SEV2", ReleaseRule(), False),
        ("SEV3", ReleaseRule(), True),
        ("SEV5", ReleaseRule(), True),
        ("SEV1", ReleaseRule(requester_may_approve=True), True),
        ("SEV5", ReleaseRule(requester_may_approve=False), False),
    ],
)
@pytest.mark.parametrize("verb", RELEASING)
def test_whether_who_asked_for_the_containment_approves_its_release(
    severity: Severity, rule: ReleaseRule, counts: bool, verb: Verb
) -> None:
    found = verdict(ASKED, decision(verb, "alice"), decision(verb, "bob"), severity=severity, rule=rule)
    assert people(found) == (["alice", "bob"] if counts else ["bob"])
    assert found.reservations == ("" if counts else "alice (approved the containment)")


def test_two_people_are_two_beside_the_one_who_asked() -> None:
    bob, carol = decision("ApproveRelease", "bob"), decision("ApproveRelease", "carol")
    assert not verdict(ASKED, decision("ApproveRelease", "alice"), bob).granted
    assert verdict(ASKED, decision("ApproveRelease", "alice"), bob, carol).granted


def test_a_containment_of_an_earlier_incident_was_asked_for_by_nobody_who_matters() -> None:
    earlier = decision("ApproveContainment", "alice", of=incident(uid="uid-of-an-earlier-one"), created=at(1))
    assert people(verdict(earlier, decision("ApproveRelease", "alice"))) == ["alice"]


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("began", "made", "counts"),
    [
        (at(3), at(3) - SECOND, False),
        (at(3), at(3), True),
        (at(3) + MOMENT, at(3), False),
        (at(3) + SECOND - MOMENT, at(3), False),
        (at(3) + SECOND - MOMENT, at(3) + SECOND, True),
    ],
    ids=["before", "within the second, all of it after", "same second", "end of the same second", "the next second"],
)
def test_an_approval_counts_only_if_it_was_surely_given_after_the_hold_began(
    began: datetime, made: datetime, counts: bool
) -> None:
    """Stored times of creation are whole seconds, cut down; the hold's beginning has microseconds."""
    found = verdict(decision("ApproveRelease", "bob", created=made), held=held(since=began))
    assert people(found) == (["bob"] if counts else [])
    assert found.reservations == ("" if counts else "bob (before the containment began, or in the same second)")


def test_who_approved_too_early_can_approve_again() -> None:
    early = decision("ApproveRelease", "bob", name="early", created=at(1))
    found = verdict(early, decision("ApproveRelease", "bob", name="again"))
    assert [(a.by, a.decision) for a in found.counted] == [("bob", "again")]
    assert found.discounted == ()


def test_without_a_hold_there_is_nothing_that_came_before_it() -> None:
    found = verdict(decision("FalsePositive", "bob", created=at(0)), held=None, severity="SEV5")
    assert found.granted
    assert found.false_positive


@pytest.mark.parametrize(
    ("rule", "after", "counts"),
    [
        (ReleaseRule(), timedelta(hours=24), True),
        (ReleaseRule(), timedelta(hours=24) + MOMENT, False),
        (ReleaseRule(approvals_expire="1h30m"), timedelta(minutes=90), True),
        (ReleaseRule(approvals_expire="1h30m"), timedelta(minutes=90) + MOMENT, False),
    ],
)
def test_an_approval_expires(rule: ReleaseRule, after: timedelta, counts: bool) -> None:
    found = verdict(decision("ApproveRelease", "bob"), rule=rule, now=at(3) + after)
    assert people(found) == (["bob"] if counts else [])
    assert found.reservations == ("" if counts else f"bob (expired: older than {rule.approvals_expire})")


def test_an_expired_word_is_no_majority_either() -> None:
    old = [decision("FalsePositive", name, created=at(3)) for name in ("bob", "carol")]
    fresh = [decision("ApproveRelease", name, created=at(26)) for name in ("dan", "eve")]
    found = verdict(*old, *fresh, now=at(28))
    assert (found.granted, found.false_positive, people(found)) == (True, False, ["dan", "eve"])


def test_a_release_that_has_begun_keeps_its_approvals() -> None:
    said = [decision("ApproveRelease", name) for name in ("bob", "carol")]
    found = verdict(*said, held=held(releasing=True), now=at(500))
    assert (people(found), found.granted) == (["bob", "carol"], True)


def test_a_message_names_some_and_counts_the_rest() -> None:
    early = [decision("ApproveRelease", f"person-{n}" + "x" * 200, created=at(1)) for n in range(MOST_NAMED + 3)]
    said = verdict(*early).reservations
    assert said.endswith("(before the containment began, or in the same second) and 3 more")
    assert len(said) < 600


RULES = st.builds(
    ReleaseRule,
    approvals=st.none() | st.integers(1, 5),
    requester_may_approve=st.sampled_from([None, False, True]),
    approvals_expire=st.sampled_from(["5m", "2h", "120m", "24h", "9999h"]),
)
CHANGES = st.lists(st.tuples(st.sampled_from(SEVERITIES), RULES), min_size=1, max_size=5)
DECISIONS = st.lists(
    st.builds(
        decision,
        st.sampled_from((*RELEASING, "ApproveContainment")),
        st.sampled_from(["alice", "bob", "carol"]),
        name=st.sampled_from([f"d-{n}" for n in range(20)]),
        created=st.sampled_from([at(1), at(3), at(9)]),
    ),
    max_size=6,
    unique_by=lambda one: one.metadata.name,
)


@given(CHANGES, DECISIONS)
def test_no_change_of_policy_or_severity_makes_a_release_cheaper_than_it_ever_was(
    changes: list[tuple[Severity, ReleaseRule]], decisions: list[IncidentDecision]
) -> None:
    """Whoever is let go by the last of these terms would have been let go by each of them alone."""
    kept = HELD
    for severity, rule in changes:
        terms = terms_of(rule, severity=severity, hold=kept)
        kept = kept.model_copy(
            update={
                "approvals": terms.approvals,
                "requester_may_approve": terms.requester_may_approve,
                "approvals_expire": terms.approvals_expire,
            }
        )
    last_severity, last = changes[-1]
    if verdict(*decisions, severity=last_severity, rule=last, held=kept).granted:
        assert all(verdict(*decisions, severity=severity, rule=rule).granted for severity, rule in changes)
