"""What holds over any sequence of reports about one incident, whatever is decided, done and seen in between."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api import AIIncident, IncidentDecision, reasons
from lazaretto.api.aiincident import AIIncidentStatus
from lazaretto.domain import chronicle
from lazaretto.domain.conditions import find, is_true
from lazaretto.domain.evidence import Finding
from lazaretto.domain.incident_report import Progress, report
from lazaretto.domain.response import Step, Verdict
from lazaretto.domain.timeline import Timeline, broken_at
from tests.unit.domain.cases import APPROVE, HOLD, INCIDENT, OBSERVE, answer, decided, evidence, problems
from tests.unit.domain.objects import alert, at, decision, incident

GRANTED = decided("ApproveRelease", "alice", "bob")
OPEN = [
    *(answer(), answer(hold=HOLD), answer(hold=HOLD, policies=[]), answer(hold=HOLD, policies=[OBSERVE])),
    *(answer(policies=[APPROVE]), answer(policies=[OBSERVE]), answer(policies=[]), answer(workloads=[])),
    *(answer(incident=incident(model=None), model=None), answer(model=None)),
]
LAST = [answer(hold=HOLD, decisions=GRANTED), answer(decisions=decided("Close", "alice"))]
ENDED = answer(incident=incident(status={"times": {"closedAt": "2026-01-02T04:00:00Z"}}))
INCIDENTS = st.sampled_from([INCIDENT, incident(alerts=[alert(start=at(1)), alert("b" * 16, start=at(2))])])
FINDINGS = st.builds(
    Finding,
    st.sampled_from(["True", "False", "Unknown"]),
    st.sampled_from([reasons.PROVED, reasons.CONTAINING, reasons.NOT_REQUESTED]),
    st.sampled_from(["as seen", "as seen at last"]),
)
PROGRESS = st.builds(
    Progress,
    evidence=st.none() | st.builds(evidence, FINDINGS, FINDINGS),
    problems=st.sampled_from([(), (), problems("may not patch routes"), problems("no answer", "no route")]),
    waiting=st.sampled_from(["", "restoring Deployment/x"]),
    journalled_at=st.none() | st.just(at(4)),
)
TURNS = st.tuples(st.sampled_from(OPEN), PROGRESS)
COURSES = st.lists(st.tuples(st.sampled_from(OPEN * 2 + LAST), PROGRESS, st.booleans()), min_size=1, max_size=6)
"""Verdict, progress, and whether a release is verified in this pass."""
PEOPLE = [decision("Acknowledge", "alice", created=at(4)), decision("TakeCommand", "bob", created=at(4.5)), *GRANTED]


def told(
    about: AIIncident,
    verdict: Verdict,
    progress: Progress,
    *,
    decisions: Sequence[IncidentDecision] = (),
    now: datetime,
) -> AIIncident:
    """The incident after a report with the facts that belong to it, as it comes back from the API server."""
    facts = [
        *chronicle.opening(about, verdict),
        *chronicle.deciding(about, decisions),
        *chronicle.proving(about, progress),
        *chronicle.ending(about, verdict, progress),
    ]
    status = report(about, verdict=verdict, progress=progress, decisions=decisions, facts=facts, now=now)
    stored = AIIncidentStatus.model_validate(status.dump_sparse())
    assert stored == status
    return about.model_copy(update={"status": stored})


def course(about: AIIncident, turns: Sequence[tuple[Verdict, Progress, bool]]) -> list[AIIncident]:
    """The incident before and after each turn; more and more people have decided."""
    found = [about]
    for n, (verdict, progress, verified) in enumerate(turns):
        progress = replace(progress, released=verified and verdict.step is Step.RELEASE)
        found.append(told(found[-1], verdict, progress, decisions=PEOPLE[:n], now=at(5 + n)))
    return found


def pairs(incidents: Sequence[AIIncident]) -> list[tuple[AIIncidentStatus, AIIncidentStatus]]:
    return list(itertools.pairwise(one.status for one in incidents))


@given(INCIDENTS, COURSES)
@settings(max_examples=200)
def test_a_report_of_an_unchanged_situation_is_the_status_that_is_there(
    about: AIIncident, turns: list[tuple[Verdict, Progress, bool]]
) -> None:
    *before, (verdict, progress, verified) = turns
    progress = replace(progress, released=verified and verdict.step is Step.RELEASE)
    once = told(course(about, before)[-1], verdict, progress, decisions=PEOPLE, now=at(50))
    assert told(once, verdict, progress, decisions=PEOPLE, now=at(60)).status == once.status


@given(INCIDENTS, COURSES)
def test_moments_never_move_once_they_are_set(about: AIIncident, turns: list[tuple[Verdict, Progress, bool]]) -> None:
    for old, new in pairs(course(about, turns)):
        assert old.times.dump().items() <= new.times.dump().items()


@given(INCIDENTS, COURSES)
@settings(max_examples=200)
def test_nothing_is_said_to_be_contained_or_shifted_without_evidence_of_it(
    about: AIIncident, turns: list[tuple[Verdict, Progress, bool]]
) -> None:
    for (_, progress, _), (old, new) in zip(turns, pairs(course(about, turns)), strict=True):
        seen = progress.evidence
        if old.times.closed_at is not None:
            assert new == old
        elif new.times.released_at is not None or seen is None:
            assert not is_true(new.conditions, reasons.CONTAINED)
            assert not is_true(new.conditions, reasons.TRAFFIC_SHIFTED)
        else:
            assert is_true(new.conditions, reasons.CONTAINED) is (seen.contained.status == "True")
            assert is_true(new.conditions, reasons.TRAFFIC_SHIFTED) is (seen.traffic.status == "True")
        assert (new.state == "Contained") <= is_true(new.conditions, reasons.CONTAINED)
        assert (new.times.contained_at is None) <= (not is_true(new.conditions, reasons.CONTAINED))


@given(INCIDENTS, COURSES)
def test_a_transition_time_moves_with_its_status_and_never_else(
    about: AIIncident, turns: list[tuple[Verdict, Progress, bool]]
) -> None:
    for n, (old, new) in enumerate(pairs(course(about, turns))):
        assert [c.type for c in new.conditions] == sorted({c.type for c in new.conditions})
        for condition in new.conditions:
            before = find(old.conditions, condition.type)
            same = before is not None and before.status == condition.status
            assert condition.last_transition_time == (before.last_transition_time if before and same else at(5 + n))


@given(INCIDENTS, st.lists(TURNS, min_size=1, max_size=6))
def test_what_is_abnormal_is_there_only_while_it_is_true(
    about: AIIncident, turns: list[tuple[Verdict, Progress]]
) -> None:
    for verdict, progress in turns:
        about = told(about, verdict, progress, now=at(5))
        conditions = about.status.conditions
        needed = verdict.stalled or verdict.step is Step.WAIT
        assert (find(conditions, reasons.STALLED) is not None) is needed
        assert (find(conditions, reasons.DEGRADED) is not None) is bool(progress.problems)


@given(INCIDENTS, st.sampled_from(LAST), COURSES, st.lists(TURNS, max_size=3))
def test_nothing_is_said_any_more_of_an_incident_that_has_ended(
    about: AIIncident,
    last: Verdict,
    turns: list[tuple[Verdict, Progress, bool]],
    late: list[tuple[Verdict, Progress]],
) -> None:
    """Neither by a pass that finds it ended, nor by one that was decided before and is told late."""
    end = Progress(released=last.step is Step.RELEASE)
    about = told(course(about, turns)[-1], last, end, decisions=PEOPLE, now=at(20))
    for verdict, progress in [*late, (ENDED, Progress())]:
        assert told(about, verdict, progress, decisions=PEOPLE, now=at(30)).status == about.status


@given(INCIDENTS, COURSES)
def test_the_timeline_only_grows_and_stays_whole(
    about: AIIncident, turns: list[tuple[Verdict, Progress, bool]]
) -> None:
    for old, new in pairs(course(about, turns)):
        assert new.timeline[: len(old.timeline)] == old.timeline
        assert len({entry.key for entry in new.timeline}) == new.timeline_count
        assert broken_at(Timeline(tuple(new.timeline), new.timeline_count, new.head_hash)) is None
