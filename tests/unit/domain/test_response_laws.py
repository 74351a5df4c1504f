"""What holds of every verdict, whatever people, policies, alerts and the cluster may look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api import IncidentDecision, ResponsePolicy
from lazaretto.api.incidentdecision import Verb
from lazaretto.api.responsepolicy import PolicyMatch, ReleaseRule
from lazaretto.api.taxonomy import CATEGORIES, SEVERITIES, Impact, Severity
from lazaretto.domain.case import Case
from lazaretto.domain.response import Step, respond
from tests.unit.domain.cases import HOLD, INCIDENT, REVISIONS
from tests.unit.domain.objects import alert, at, decision, incident, model, policy, revision, workload

VERBS: Sequence[Verb] = ("Acknowledge", "TakeCommand", "ApproveContainment", "ApproveRelease", "FalsePositive", "Close")
WORKLOADS = ("chat-v1", "chat-v2", "chat-v3")
ABOUT = st.sampled_from([INCIDENT] * 3 + [incident(uid="uid-of-an-earlier-one"), incident("chat-2")])
PEOPLE = st.sampled_from(["alice", "bob"])
ALERTS = st.builds(
    alert, severity_hint=st.none() | st.sampled_from(SEVERITIES), resolved_at=st.none() | st.just(at(3))
).map(lambda entry: [entry])
INCIDENTS = st.builds(
    incident,
    category=st.sampled_from(CATEGORIES),
    revision=st.sampled_from([None, "chat-v1", "chat-v2", "chat-v9"]),
    alerts=ALERTS,
    impact=st.none() | st.builds(Impact, user_safety=st.none() | st.integers(0, 4)),
)
FLEETS = st.lists(st.integers(0, 2), max_size=3).map(
    lambda counts: [workload(name, replicas=n) for name, n in zip(WORKLOADS, counts, strict=False)]
)
SERVING = FLEETS.filter(lambda fleet: sum(one.replicas > 0 for one in fleet) > 1)
TAKEN = st.sampled_from([(), (), ("chat-v1",), ("chat-v3",), ("chat-v2", "chat-v3")])


def policies(*, matching: Sequence[Sequence[Severity]], least: int) -> st.SearchStrategy[list[ResponsePolicy]]:
    one = st.builds(
        policy,
        st.sampled_from(["a", "b", "c"]),
        mode=st.sampled_from(["Observe", "Approve", "Automatic"]),
        priority=st.integers(-1, 1),
        on_no_known_good=st.sampled_from(["Fallback", "Zero", "Hold"]),
        match=st.builds(PolicyMatch, severities=st.sampled_from(matching)),
        release=st.builds(
            ReleaseRule,
            approvals=st.none() | st.integers(1, 3),
            requester_may_approve=st.sampled_from([None, False, True]),
            approvals_expire=st.sampled_from(["5m", "24h"]),
        ),
        impact_floor=st.none() | st.builds(Impact, compliance=st.none() | st.integers(0, 4)),
    )
    return st.lists(one, min_size=least, max_size=3, unique_by=lambda p: p.metadata.name)


def decisions(*verbs: Verb) -> st.SearchStrategy[list[IncidentDecision]]:
    return st.lists(st.builds(decision, st.sampled_from(verbs), PEOPLE, of=ABOUT), max_size=5)


def cases(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """Cases of every kind, but for the parts that are given."""
    every: dict[str, st.SearchStrategy[Any]] = {
        "incident": INCIDENTS,
        "model": st.sampled_from([None, model(), model(), model(exempt=True)]),
        "policies": policies(matching=[[], ["SEV1"], ["SEV2", "SEV3"]], least=0),
        "decisions": decisions(*VERBS),
        "revisions": st.sampled_from([(), REVISIONS, (revision("chat-v3", since=at(-48)), *REVISIONS)]),
        "revoked": TAKEN,
        "workloads": FLEETS,
        "held_workloads": TAKEN.map(lambda names: {f"uid-of-{name}" for name in names}),
        "hold": st.none(),
        "now": st.just(at(4)),
        "denied": st.sampled_from([(), ("may not list deployments",)]),
        "all_workloads_seen": st.booleans(),
    }
    return st.builds(Case, **(every | parts))


CASES = cases()
ACTIVE = cases(
    model=st.sampled_from([model(), model(), model(exempt=True)]),
    policies=policies(matching=[[]], least=1),
    decisions=decisions("Note", "ApproveContainment"),
    revisions=st.just((revision("chat-v3", since=at(-48)), *REVISIONS)),
    workloads=SERVING,
    all_workloads_seen=st.just(True),
)
"""Cases in which something may well be done."""
HOLDS = st.sampled_from([HOLD, HOLD.model_copy(update={"known_good": None})])


def people(case: Case, *verbs: Verb, fresh: bool = True) -> set[str]:
    """Who decided so about this very incident; counted here without the code under test.

    Every decision of these cases was made after the hold began and an hour before it is judged: `fresh` says whether
    that counts.
    """
    name, uid = case.incident.metadata.name, case.incident.metadata.uid
    specs = [one.spec for one in case.decisions] if fresh else []
    mine = [s for s in specs if (s.incident_name, s.incident_uid) == (name, uid)]
    return {s.decided_by for s in mine if s.verb in verbs}


@given(CASES, HOLDS, st.booleans())
@settings(max_examples=300)
def test_a_hold_is_given_up_by_enough_people_or_because_its_release_has_begun_and_by_nothing_else(
    case: Case, held: Any, releasing: bool
) -> None:
    case = replace(case, hold=held.model_copy(update={"releasing": releasing}))
    verdict = respond(case)
    chosen = verdict.choice.policy
    required = chosen.spec.release.approvals if chosen else None
    required = required or (2 if verdict.assessment.severity in ("SEV1", "SEV2") else 1)
    required = max(required, held.approvals)
    stated = chosen.spec.release.requester_may_approve if chosen else None
    lenient = verdict.assessment.severity not in ("SEV1", "SEV2") if stated is None else stated
    fresh = releasing or chosen is None or chosen.spec.release.approvals_expire == "24h"
    asked = set() if lenient else people(case, "ApproveContainment")
    granted = len(people(case, "ApproveRelease", "FalsePositive", fresh=fresh) - asked) >= required
    assert verdict.step is (Step.RELEASE if granted or releasing else Step.KEEP)
    assert verdict.hold is not None
    assert verdict.hold.approvals >= held.approvals
    terms = ("approvals", "requester_may_approve", "approvals_expire")
    assert verdict.hold == case.hold.model_copy(update={t: getattr(verdict.hold, t) for t in terms})  # type: ignore[union-attr]


@given(CASES | ACTIVE)
@settings(max_examples=300)
def test_nothing_is_contained_that_the_policy_or_a_person_did_not_ask_for(case: Case) -> None:
    verdict = respond(case)
    assert verdict.step not in (Step.KEEP, Step.RELEASE, Step.ENDED)
    if verdict.step is not Step.CONTAIN:
        return
    assert case.model is not None
    assert verdict.choice.policy in case.policies
    assert verdict.mode != "Observe"
    if verdict.mode == "Approve" or case.model.spec.exempt:
        assert people(case, "ApproveContainment")


@given(ACTIVE)
@settings(max_examples=300)
def test_a_proposed_hold_never_sends_traffic_to_what_is_compromised_held_or_revoked(case: Case) -> None:
    found = respond(case).hold
    if found is None:
        return
    assert {w.uid for w in found.compromised} <= {w.uid for w in case.workloads}
    if found.known_good is not None:
        good = found.known_good
        assert found.fallback is None
        assert good.workload.uid not in {w.uid for w in found.compromised} | set(case.held_workloads)
        assert good.revision not in {*case.revoked, *found.revisions}


@given(CASES, st.none() | HOLDS)
@settings(max_examples=100)
def test_the_same_case_has_the_same_verdict_in_whatever_order_it_is_told(case: Case, held: Any) -> None:
    case = replace(case, hold=held)
    mirrored = replace(case, policies=case.policies[::-1], decisions=case.decisions[::-1])
    assert respond(case) == respond(case)
    assert (respond(mirrored).step, respond(mirrored).reason) == (respond(case).step, respond(case).reason)


@given(CASES)
@settings(max_examples=300)
def test_nobody_is_accused_while_somebody_cannot_be_seen(case: Case) -> None:
    """The one in sight may be the good one, and the hidden one the bad."""
    target = case.incident.spec.target
    case = replace(case, all_workloads_seen=False, denied=("may not read deployments",))
    if target is None or not target.revision:
        assert respond(case).step is not Step.CONTAIN
