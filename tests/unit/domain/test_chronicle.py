"""Which facts a pass offers to the timeline: each when it becomes true, and none of them twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from lazaretto.api import AIIncident, IncidentDecision
from lazaretto.api.aiincident import IncidentSource, TimelineEntry
from lazaretto.api.containment import JournalTarget
from lazaretto.api.taxonomy import Impact
from lazaretto.domain import chronicle
from lazaretto.domain.chronicle import MOST_FIELDS_TOLD
from lazaretto.domain.contest import Move
from lazaretto.domain.evidence import Evidence, Finding
from lazaretto.domain.fields import ABSENT, Change, Fields, Restoration, extend_journal
from lazaretto.domain.incident_report import Progress
from lazaretto.domain.response import Verdict
from lazaretto.domain.timeline import KEPT, Fact, Timeline, record
from tests.unit.domain.cases import HOLD, MOVED, NOT_YET, OBSERVE, PROVED, answer, decided, evidence
from tests.unit.domain.objects import alert, at, decision, incident, policy

NOON = "2026-01-02T12:00:00Z"
CONTAINED, RELEASED, CLOSED = ({"times": {f"{name}At": NOON}} for name in ("contained", "released", "closed"))
SHIFTED = {"conditions": [{"type": "TrafficShifted", "status": "True", "reason": "Proved", "lastTransitionTime": NOON}]}


def types(facts: Iterable[Fact | TimelineEntry]) -> list[str]:
    return [fact.type for fact in facts]


def journalled(base: Fields, held: Fields, *, name: str = "chat-v2") -> JournalTarget:
    entry = extend_journal(None, held, live=base, group="apps", kind="Deployment", name=name, uid=f"uid-of-{name}")
    assert entry is not None
    return entry


def after(facts: Sequence[Fact], *, about: AIIncident, **status: Any) -> AIIncident:
    """The incident with these facts in its timeline."""
    old = about.status
    timeline = record(Timeline(tuple(old.timeline), old.timeline_count, old.head_hash), facts, now=at(5))
    told = {"timeline": list(timeline.entries), "timeline_count": timeline.count, "head_hash": timeline.head}
    return about.model_copy(update={"status": old.model_copy(update={**told, **status})})


def notes(number: int) -> list[Fact]:
    return [Fact(f"n:{n}", "Interference", "moved") for n in range(number)]


def standing(about: AIIncident, verdict: Verdict, *, facts: Sequence[Fact] = ()) -> AIIncident:
    """The incident once this verdict was told."""
    name = verdict.choice.policy.metadata.name if verdict.choice.policy else ""
    told = [*chronicle.opening(about, verdict), *facts]
    return after(told, about=about, severity=verdict.assessment.severity, policy=name, mode=verdict.mode)


def test_an_incident_begins_with_what_was_detected_stored_and_decided() -> None:
    alerts = [alert("b" * 16, start=at(2)), alert(start=at(1)).model_copy(update={"received_at": at(1.5)})]
    detected, stored, made = chronicle.opening(incident(alerts=alerts), answer())
    assert (detected.type, detected.message, detected.at) == ("Detected", "alert Leak fired", at(1))
    assert (stored.type, stored.message, stored.at) == ("Stored", "stored from Alert alertmanager", at(1.5))
    assert (made.type, made.at) == ("Decided", None)
    assert made.message.startswith(
        "SEV1; raised by: two dimensions at 3 or more;"
        " assumed userSafety, dataIntegrity, modelPerformance, compliance; policy default"
    )
    assert "mode Automatic: move traffic from " in made.message


def test_an_incident_without_alerts_was_stored_when_it_was_created() -> None:
    about = incident(created=at(3))
    about = about.model_copy(update={"spec": about.spec.model_copy(update={"source": IncidentSource(type="Manual")})})
    first, *_ = chronicle.opening(about, answer())
    assert (first.type, first.message, first.at) == ("Stored", "stored from Manual", at(3))


def test_without_a_policy_and_with_nothing_assumed_it_says_so() -> None:
    known = Impact(user_safety=4, data_integrity=0, model_performance=0, compliance=0)
    *_, made = chronicle.opening(incident(), answer(incident=incident(impact=known), policies=[]))
    assert made.message.startswith("SEV1; policy none, no policy: no ResponsePolicy")


def test_what_was_told_at_the_beginning_is_not_told_again() -> None:
    about = standing(incident(alerts=[alert()]), answer())
    assert list(chronicle.opening(about, answer())) == []
    assert list(chronicle.opening(about, answer(hold=HOLD))) == [], "the same decision stands"


@pytest.mark.parametrize(
    "changed",
    [
        {"policies": [OBSERVE]},
        {"policies": []},
        {"policies": [policy("other", mode="Automatic")]},
        {"incident": incident(category="CostHarvesting")},
    ],
    ids=["mode", "no policy", "policy", "severity"],
)
def test_another_decision_is_told_and_so_is_the_way_back(changed: Mapping[str, Any]) -> None:
    about = standing(incident(), answer())
    assert types(chronicle.opening(about, answer(**changed))) == ["Decided"]
    back = standing(standing(about, answer(**changed)), answer())
    assert types(back.status.timeline) == ["Stored", "Decided", "Decided", "Decided"]


def test_the_end_of_an_incident_is_no_decision_about_severity_or_mode() -> None:
    about = standing(incident(), answer(policies=[OBSERVE]))
    assert list(chronicle.opening(about, answer(policies=[OBSERVE], decisions=decided("Close", "alice")))) == []


def test_what_was_done_is_told_field_by_field_after_the_journal() -> None:
    base = {"replicas": 3, "paused": ABSENT, "same": 1}
    targets = [
        journalled(base, {"replicas": 0, "paused": True, "same": 1}),
        journalled(base, {"replicas": 0}, name="x"),
    ]
    first, *moved = chronicle.acting(incident(), targets, journalled_at=at(4))
    assert (first.type, first.message, first.at) == (
        *("Journalled", "base of 2 objects stored before the first touch", at(4)),
    )
    assert [(f.type, f.object, f.field, f.before, f.after) for f in moved] == [
        ("Acted", "Deployment/chat-v2", "replicas", "3", "0"),
        ("Acted", "Deployment/chat-v2", "paused", "absent", "true"),
        ("Acted", "Deployment/x", "replicas", "3", "0"),
    ]
    assert moved[1].message == "Deployment/chat-v2: paused absent -> true"
    assert len({fact.key for fact in moved}) == 3


def test_what_was_done_is_told_until_containment_was_proved() -> None:
    targets = [journalled({"replicas": 3}, {"replicas": 0})]
    assert list(chronicle.acting(incident(status=CONTAINED), targets, journalled_at=at(4))) == []
    assert list(chronicle.acting(incident(), [], journalled_at=None)) == []


def test_a_beginning_that_newer_entries_have_pushed_out_is_not_told_again() -> None:
    """Without scaling to zero nothing ever proves containment, and whoever fights it makes many entries."""
    targets = [journalled({"weight": 50}, {"weight": 0})]
    noisy = after(notes(KEPT + 5), about=incident())
    told = list(chronicle.acting(noisy, targets, journalled_at=at(4)))
    assert types(told) == ["Journalled", "Acted"], "many entries before the containment hide nothing"
    begun = {"times": noisy.status.times.model_copy(update={"containment_started_at": at(4)})}
    acted = after(told, about=noisy, **begun)
    assert list(chronicle.acting(acted, targets, journalled_at=at(4))) == told
    later = after([Fact(f"later:{n}", "Interference", "moved") for n in range(KEPT)], about=acted)
    assert list(chronicle.acting(later, targets, journalled_at=at(4))) == []


def test_interference_names_who_moved_what_and_is_another_fact_each_time() -> None:
    change = Change("replicas", 5, 0)
    facts = [
        chronicle.interference(Move("Deployment/chat-v2", change, "kubectl-scale", version))
        for version in ("7", "8", "7")
    ]
    assert facts[0].message == "Deployment/chat-v2: replicas was set to 5 by kubectl-scale and put back to 0"
    assert (facts[0].object, facts[0].field, facts[0].before, facts[0].after, facts[0].by) == (
        *("Deployment/chat-v2", "replicas", "5", "0", "kubectl-scale"),
    )
    assert facts[0] == facts[2]
    assert facts[0].key != facts[1].key
    nobody = chronicle.interference(Move("Deployment/chat-v2", change, "", "7"))
    assert "was set to 5 by somebody and" in nobody.message


@pytest.mark.parametrize(("fields", "told"), [(1, 1), (MOST_FIELDS_TOLD, MOST_FIELDS_TOLD), (32, MOST_FIELDS_TOLD + 1)])
def test_many_fields_that_are_moved_together_are_not_told_one_by_one(fields: int, told: int) -> None:
    moves = [Move("HTTPRoute/chat", Change(f"rules/{n}", 1, 0), "argocd", "7") for n in range(fields)]
    facts = list(chronicle.interferences(moves))
    assert len({fact.key for fact in facts}) == len(facts) == told
    if fields > told:
        assert facts[-1].message == "HTTPRoute/chat: 29 more fields were changed by argocd and put back"


def test_long_names_and_paths_do_not_make_two_facts_one() -> None:
    """Object names reach 253 characters and paths 512; the version and the end of the path still count."""
    name, path = "HTTPRoute/" + "r" * 253, "rules/a/backends/" + "s" * 253
    moved = [Change(f"{path}:{port}.weight", 1, 0) for port in (80, 81)]
    versions = [chronicle.interference(Move(name, moved[0], "m", v)) for v in ("7", "8")]
    targets = [journalled({c.path: 1 for c in moved}, {c.path: 0 for c in moved})]
    acted = list(chronicle.acting(incident(), targets, journalled_at=at(4)))[1:]
    both = Restoration((), kept=tuple(moved), done=tuple(moved))
    restored = [*chronicle.restoring(name, "u", both), *chronicle.keeping(name, "u", both)]
    for facts in (versions, acted, restored):
        assert len({fact.key for fact in facts}) == len(facts) >= 2
        assert record(Timeline(), facts, now=at(5)).count == len(facts)


FENCED = Finding("True", "Proved", "refused")
BEHIND_A_FENCE = {"conditions": [{"type": "Fenced", "status": "True", "reason": "Proved", "lastTransitionTime": NOON}]}


@pytest.mark.parametrize(
    ("seen", "status", "messages"),
    [
        (None, {}, []),
        (evidence(NOT_YET, NOT_YET), {}, []),
        (evidence(PROVED, NOT_YET), {}, ["no pod left"]),
        (evidence(NOT_YET, MOVED), {}, ["all lead to the good one"]),
        (evidence(), {}, ["no pod left", "all lead to the good one"]),
        (evidence(), CONTAINED, ["all lead to the good one"]),
        (evidence(), SHIFTED, ["no pod left"]),
        (evidence(), {**CONTAINED, **SHIFTED}, []),
        (evidence(), RELEASED, ["no pod left"]),
        (replace(evidence(NOT_YET, NOT_YET), fenced=FENCED), {}, ["refused"]),
        (replace(evidence(NOT_YET, NOT_YET), fenced=FENCED), BEHIND_A_FENCE, []),
        (replace(evidence(NOT_YET, NOT_YET), fenced=Finding("False", "NotFenced", "passes")), {}, []),
    ],
)
def test_a_finding_is_told_when_it_first_becomes_true(
    seen: Evidence | None, status: Mapping[str, Any], messages: list[str]
) -> None:
    facts = list(chronicle.proving(incident(status=status), Progress(evidence=seen)))
    assert [fact.message for fact in facts] == messages
    assert set(types(facts)) <= {"Proved"}


def test_decisions_are_told_in_their_order_with_who_and_why() -> None:
    decisions = [decision("Note", "alice", created=at(3)), decision("ApproveRelease", "bob", created=at(4))]
    facts = list(chronicle.deciding(incident(), decisions))
    assert [(f.type, f.message, f.by, f.at) for f in facts] == [
        ("Note", "alice: because", "alice", at(3)),
        ("ApproveRelease", "bob: because", "bob", at(4)),
    ]
    assert list(chronicle.deciding(incident(status=CLOSED), decisions)) == []


def test_each_decision_is_told_once_however_many_follow() -> None:
    decisions: list[IncidentDecision] = []
    about = incident()
    for n in range(2 * KEPT):
        decisions.append(decision("Note", "alice", name=f"note-{n}", created=at(5 + n / 60)))
        about = after(list(chronicle.deciding(about, decisions)), about=about)
        assert (about.status.timeline_count, about.status.timeline[-1].at) == (n + 1, at(5 + n / 60))


@pytest.mark.parametrize(
    ("released", "status", "expected"),
    [(False, {}, []), (True, {}, ["restored and verified; release approved by alice, bob"]), (True, RELEASED, [])],
)
def test_a_release_is_told_once(released: bool, status: Mapping[str, Any], expected: list[str]) -> None:
    verdict = answer(hold=HOLD, decisions=decided("ApproveRelease", "alice", "bob"))
    facts = list(chronicle.ending(incident(status=status), verdict, Progress(released=released)))
    assert [(fact.type, fact.message) for fact in facts] == [("Released", text) for text in expected]


@pytest.mark.parametrize(("status", "expected"), [({}, ["Closed"]), (CLOSED, [])])
def test_a_close_is_told_once(status: Mapping[str, Any], expected: list[str]) -> None:
    verdict = answer(decisions=decided("Close", "alice"))
    assert types(chronicle.ending(incident(status=status), verdict, Progress())) == expected


def test_what_was_restored_and_what_was_kept_is_told_with_both_values() -> None:
    pending, done = Change("minReplicas", 0, 1), Change("replicas", 0, 3)
    both = Restoration((pending,), kept=(Change("paused", True, ABSENT),), done=(done,))
    [restored] = chronicle.restoring("Deployment/x", "u1", both)
    [left] = chronicle.keeping("Deployment/x", "u1", both)
    assert (restored.type, restored.message) == ("Restored", "Deployment/x: replicas 0 -> 3")
    assert (restored.object, restored.field, restored.before, restored.after) == ("Deployment/x", "replicas", "0", "3")
    assert (left.type, left.before, left.after) == ("Kept", "true", "absent")
    assert left.message == "Deployment/x: paused was changed by somebody else to absent and stays so"


@pytest.mark.parametrize(("size", "shown"), [(78, 80), (79, 80), (500, 80)])
def test_a_long_value_is_shortened_for_people_and_whole_in_its_place(size: int, shown: int) -> None:
    value = "x" * size
    restored = Restoration((), (), done=(Change("selector", value, "y"),))
    [fact] = chronicle.restoring("Service/x", "u1", restored)
    text = fact.message.removeprefix("Service/x: selector ").removesuffix(' -> "y"')
    assert len(text) == shown
    assert text.endswith("...") is (size > 78)
    assert fact.before == f'"{value}"'
