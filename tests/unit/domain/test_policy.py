"""Which policy answers: each criterion by itself, and the choice whatever the order in which policies are listed."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api.responsepolicy import PolicyMatch, ResponsePolicy
from lazaretto.api.taxonomy import Severity
from lazaretto.domain.policy import choose_policy, includes, leading_policy, matches, review
from tests.unit.domain.objects import alert, at, incident, model, policy

INCIDENT = incident(
    category="DataLeakage", alerts=[alert("a" * 16, labels={"team": "a", "zone": "1"}), alert("b" * 16, labels={})]
)
MODEL = model("chat", labels={"tier": "gold", "team": "a"})

CRITERIA: list[tuple[str, dict[str, Any], bool]] = [
    ("none", {}, True),
    ("the model", {"models": ["other", "chat"]}, True),
    ("another model", {"models": ["chatter"]}, False),
    ("a label of the model", {"model_labels": {"tier": "gold"}}, True),
    ("all labels of the model", {"model_labels": {"tier": "gold", "team": "a"}}, True),
    ("one label of the model with another value", {"model_labels": {"tier": "gold", "team": "b"}}, False),
    ("a label that the model lacks, empty", {"model_labels": {"zone": ""}}, False),
    ("empty labels of the model", {"model_labels": {}}, True),
    ("the category", {"categories": ["Jailbreak", "DataLeakage"]}, True),
    ("another category", {"categories": ["Jailbreak"]}, False),
    ("the severity", {"severities": ["SEV1", "SEV2"]}, True),
    ("another severity", {"severities": ["SEV1", "SEV3"]}, False),
    ("a label of one alert", {"alert_labels": {"team": "a"}}, True),
    ("two labels of one alert", {"alert_labels": {"team": "a", "zone": "1"}}, True),
    ("a label that no alert has", {"alert_labels": {"team": "b"}}, False),
    ("empty labels of an alert", {"alert_labels": {}}, True),
    ("all hold", {"models": ["chat"], "categories": ["DataLeakage"], "alert_labels": {"zone": "1"}}, True),
    ("all but one hold", {"models": ["chat"], "categories": ["DataLeakage"], "alert_labels": {"zone": "2"}}, False),
]


@pytest.mark.parametrize(("criteria", "expected"), [row[1:] for row in CRITERIA], ids=[row[0] for row in CRITERIA])
def test_every_stated_criterion_must_hold(criteria: dict[str, Any], expected: bool) -> None:
    assert matches(PolicyMatch(**criteria), incident=INCIDENT, model=MODEL, severity="SEV2") is expected


def test_labels_of_different_alerts_do_not_add_up() -> None:
    apart = incident(alerts=[alert("a" * 16, labels={"team": "a"}), alert("b" * 16, labels={"zone": "1"})])
    wanted = PolicyMatch(alert_labels={"team": "a", "zone": "1"})
    assert not matches(wanted, incident=apart, model=MODEL, severity="SEV2")


def test_a_policy_that_asks_for_alert_labels_does_not_answer_an_incident_without_alerts() -> None:
    assert not matches(PolicyMatch(alert_labels={"team": "a"}), incident=incident(), model=MODEL, severity="SEV2")
    assert matches(PolicyMatch(alert_labels={}), incident=incident(), model=MODEL, severity="SEV2")


def test_a_label_counts_with_its_value() -> None:
    assert includes({"a": "1", "b": ""}, {"a": "1"})
    assert includes({"a": "1", "b": ""}, {"b": ""})
    assert includes({}, None)
    assert not includes({"a": "1"}, {"a": ""})
    assert not includes({}, {"b": ""})


def chosen(*policies: ResponsePolicy, severity: Severity = "SEV2") -> tuple[str, str]:
    choice = choose_policy(policies, incident=INCIDENT, model=MODEL, severity=severity)
    return choice.policy.metadata.name if choice.policy else "", choice.reason


def test_without_a_match_nothing_decides() -> None:
    other = policy("other", match=PolicyMatch(models=["other"]))
    assert chosen() == chosen(other) == ("", "no ResponsePolicy of this namespace matches; nothing is done without one")


def test_the_only_match_decides() -> None:
    other = policy("other", priority=9, match=PolicyMatch(categories=["Jailbreak"]))
    assert chosen(other, policy("mine", priority=3)) == ("mine", "priority 3; the only one that matches")


def test_the_highest_priority_decides_and_the_reason_names_those_behind() -> None:
    policies = [policy("low", priority=-5), policy("high", priority=7), policy("middle")]
    assert chosen(*policies) == ("high", "priority 7; also matching, and behind it: middle (0), low (-5)")


def test_among_equals_the_name_that_sorts_first_decides() -> None:
    assert chosen(policy("b"), policy("a"), policy("c"))[0] == "a"


def test_the_reason_fits_its_field_however_many_policies_match() -> None:
    many = [policy(f"{letter}{'x' * 240}") for letter in "abcdefgh"]
    name, reason = chosen(*many)
    assert name == many[0].metadata.name
    assert len(reason) == 512


@pytest.mark.parametrize(
    ("match", "concerned"),
    [
        (PolicyMatch(), True),
        (PolicyMatch(models=["chat"]), True),
        (PolicyMatch(models=["other"]), False),
        (PolicyMatch(model_labels={"tier": "gold"}), True),
        (PolicyMatch(model_labels={"tier": "tin"}), False),
        (PolicyMatch(models=["chat"], model_labels={"tier": "tin"}), False),
        (PolicyMatch(categories=["Jailbreak"], severities=["SEV5"], alert_labels={"x": "y"}), True),
    ],
)
def test_a_policy_concerns_a_model_whatever_the_incident(match: PolicyMatch, concerned: bool) -> None:
    found = leading_policy([policy("one", match=match)], model=MODEL)
    assert (found is not None) is concerned


def test_a_policy_that_names_only_models_that_exist_is_ready() -> None:
    found = review(policy("one", match=PolicyMatch(models=["chat"])), models={"chat", "other"}, tripped=(), now=at(1))
    [condition] = found.conditions
    assert (found.state, condition.type, condition.status, condition.reason) == ("Ready", "Accepted", "True", "Ready")
    assert review(policy("one"), models=(), tripped=(), now=at(1)).state == "Ready"


def test_a_policy_that_names_unknown_models_is_told_which() -> None:
    named = PolicyMatch(models=["zeta", "chat", "beta"])
    found = review(policy("one", match=named), models=["chat"], tripped=(), now=at(1))
    [condition] = found.conditions
    assert (found.state, condition.type, condition.status) == ("Degraded", "Accepted", "False")
    assert condition.reason == "ModelNotFound"
    assert condition.message == "match.models names beta, zeta, which is no ProtectedModel of this namespace"


def test_reviewing_a_policy_again_changes_nothing_until_its_models_do() -> None:
    one = policy("one", match=PolicyMatch(models=["chat"]))
    first = review(one, models=(), tripped=(), now=at(1))
    reviewed = one.model_copy(update={"status": first})
    assert review(reviewed, models=(), tripped=(), now=at(2)) == first
    [mended] = review(reviewed, models=["chat"], tripped=(), now=at(3)).conditions
    assert (mended.status, mended.last_transition_time) == ("True", at(3))


MATCHES = st.builds(
    PolicyMatch,
    models=st.lists(st.sampled_from(["chat", "other"]), max_size=2, unique=True),
    model_labels=st.none() | st.dictionaries(st.just("tier"), st.sampled_from(["gold", "tin"])),
    categories=st.lists(st.sampled_from(["DataLeakage", "Jailbreak"]), max_size=2, unique=True),
    severities=st.lists(st.sampled_from(["SEV1", "SEV2"]), max_size=2, unique=True),
    alert_labels=st.none() | st.dictionaries(st.just("team"), st.sampled_from(["a", "b"])),
)
POLICIES = st.lists(
    st.builds(policy, st.sampled_from("abcdefgh"), match=MATCHES, priority=st.integers(-1, 1)),
    max_size=6,
    unique_by=lambda one: one.metadata.name,
)


@given(POLICIES, st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(policies: list[ResponsePolicy], random: Random) -> None:
    before, leading = chosen(*policies), leading_policy(policies, model=MODEL)
    random.shuffle(policies)
    assert chosen(*policies) == before
    assert leading_policy(policies, model=MODEL) == leading


@given(POLICIES)
def test_the_choice_matches_and_no_match_precedes_it(policies: list[ResponsePolicy]) -> None:
    matching = [p for p in policies if matches(p.spec.match, incident=INCIDENT, model=MODEL, severity="SEV2")]
    name, _ = chosen(*policies)
    assert bool(name) == bool(matching)
    if matching:
        [mine] = [p for p in matching if p.metadata.name == name]
        for other in matching:
            assert other.spec.priority <= mine.spec.priority
            assert other.spec.priority < mine.spec.priority or other.metadata.name >= name


@given(POLICIES)
def test_what_does_not_match_changes_nothing(policies: list[ResponsePolicy]) -> None:
    stranger = policy("stranger", priority=1000, match=PolicyMatch(models=["stranger"]))
    assert chosen(*policies, stranger) == chosen(*policies)


@given(POLICIES)
def test_the_leading_policy_is_never_behind_the_one_that_decides(policies: list[ResponsePolicy]) -> None:
    choice = choose_policy(policies, incident=INCIDENT, model=MODEL, severity="SEV2").policy
    leading = leading_policy(policies, model=MODEL)
    if choice is not None:
        assert leading is not None
        assert (-leading.spec.priority, leading.metadata.name) <= (-choice.spec.priority, choice.metadata.name)
