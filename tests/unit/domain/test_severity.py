"""Severity and priority: examples worked by hand, and the laws - total, and never lowered by worse news."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lazaretto.api.taxonomy import CATEGORIES, SEVERITIES, Category, Impact, Priority, Severity
from lazaretto.domain.known_good import NO_CURE
from lazaretto.domain.severity import (
    CATEGORY_DEFAULTS,
    DIMENSIONS,
    Assessment,
    Urgency,
    assess,
    merge_floors,
    priority_of,
)

CATEGORIES_PAGE = Path(__file__).parents[3] / "docs" / "reference" / "categories.md"

LEVELS = st.integers(0, 4)
SCOPES = st.none() | st.sampled_from([0, 9, 10, 11, 100]) | st.integers(0, 100)
IMPACTS = st.builds(Impact, **dict.fromkeys(DIMENSIONS, st.none() | LEVELS), scope_percent=SCOPES)
HINTS = st.lists(st.sampled_from(SEVERITIES), max_size=3).map(tuple)
QUESTIONS = st.fixed_dictionaries(
    {
        "category": st.sampled_from(CATEGORIES),
        "stated": IMPACTS,
        "floor": st.none() | IMPACTS,
        "hints": HINTS,
        "recurred": st.booleans(),
    }
)
DIMENSION = st.sampled_from(DIMENSIONS)


def impact(*dimensions: int, scope: int | None = None) -> Impact:
    """An impact from its numbers in the order of the tables."""
    return Impact(**dict(zip(DIMENSIONS, dimensions, strict=True)), scope_percent=scope)


def with_(base: Impact | None, **values: int | None) -> Impact:
    return (base or Impact()).model_copy(update=values)


def at_least_as_severe(one: Assessment, *, than: Assessment) -> bool:
    return one.severity <= than.severity and one.score >= than.score


EXAMPLES: list[tuple[str, Impact, bool, Severity, int]] = [
    # The four numbers are user safety, data integrity, model performance, compliance;
    # the score is 100 * (0.40, 0.25, 0.15, 0.20 of them) / 4.
    ("nothing at all is an observation", impact(0, 0, 0, 0), False, "SEV5", 0),
    ("everything at its worst", impact(4, 4, 4, 4), False, "SEV1", 100),
    ("inconvenience", impact(1, 0, 0, 0), False, "SEV4", 10),
    ("unsafe output reached users", impact(2, 0, 0, 0), False, "SEV3", 20),
    ("recoverable harm to one person", impact(3, 0, 0, 0), False, "SEV2", 30),
    ("serious harm, though all else is well", impact(4, 0, 0, 0), False, "SEV1", 40),
    ("weights exfiltrated, though all else is well", impact(0, 4, 0, 0), False, "SEV1", 25),
    ("not the approved artefact, though all else is well", impact(0, 0, 4, 0), False, "SEV1", 15),
    ("a statutory clock runs, though all else is well", impact(0, 0, 0, 4), False, "SEV1", 20),
    ("two dimensions at 2 do not add up", impact(2, 2, 2, 2), False, "SEV3", 50),
    ("one at 3 beside one at 2", impact(3, 2, 2, 2), False, "SEV2", 60),
    ("two at 3 raise by one", impact(0, 3, 0, 3), False, "SEV1", 33),
    ("leaked personal data, plausibly notifiable", impact(2, 3, 1, 3, scope=4), False, "SEV1", 57),
    ("ten per cent of users is not yet wide", impact(2, 0, 0, 0, scope=10), False, "SEV3", 20),
    ("more than ten per cent of users", impact(2, 0, 0, 0, scope=11), False, "SEV2", 20),
    ("wide, but an observation", impact(0, 0, 0, 0, scope=100), False, "SEV4", 0),
    ("it came back", impact(2, 1, 1, 1), True, "SEV2", 35),
    ("all three reasons raise once", impact(1, 1, 1, 1, scope=50), True, "SEV3", 25),
    ("nothing is above the worst", impact(4, 4, 0, 0, scope=50), True, "SEV1", 65),
]


@pytest.mark.parametrize(
    ("stated", "recurred", "severity", "score"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES]
)
def test_examples_worked_by_hand(stated: Impact, recurred: bool, severity: Severity, score: int) -> None:
    found = assess(category="Unknown", stated=stated, recurred=recurred)
    assert (found.severity, found.score, found.impact, found.assumed) == (severity, score, stated, ())


UNSTATED: dict[Severity, set[Category]] = {
    "SEV1": {
        *("ArtifactTampering", "BiasEmergence", "ContextPoisoning", "DataLeakage", "DataPoisoning", "ModelPoisoning"),
        *("ModelTheft", "PrivacyInference", "SupplyChainCompromise"),
    },
    "SEV2": {
        *("AgentMisuse", "AvailabilityLoss", "CredentialCompromise", "GuardrailFailure", "OperationalFailure"),
        *("OutputIntegrity", "UnsafeOutput"),
    },
    "SEV3": {
        *("AdversarialInput", "CostHarvesting", "Hallucination", "IndirectPromptInjection", "Jailbreak", "ModelDrift"),
        *("PolicyViolation", "PromptInjection", "SystemPromptLeak", "Unknown"),
    },
}


def test_an_alert_without_numbers_is_as_severe_as_its_category() -> None:
    found: dict[Severity, set[Category]] = {}
    for category in CATEGORIES:
        found.setdefault(assess(category=category).severity, set()).add(category)
    assert found == UNSTATED


@pytest.mark.parametrize(
    ("severity", "priorities"),
    [
        ("SEV1", ("P1", "P1", "P2")),
        ("SEV2", ("P1", "P2", "P3")),
        ("SEV3", ("P2", "P3", "P4")),
        ("SEV4", ("P3", "P4", "P4")),
        ("SEV5", ("P3", "P4", "P4")),
    ],
)
def test_priority_follows_from_severity_and_urgency(
    severity: Severity, priorities: tuple[Priority, Priority, Priority]
) -> None:
    urgencies: tuple[Urgency, Urgency, Urgency] = ("U1", "U2", "U3")
    assert tuple(priority_of(severity, urgency=urgency) for urgency in urgencies) == priorities


def test_every_category_has_defaults_within_the_scale() -> None:
    assert tuple(CATEGORY_DEFAULTS) == CATEGORIES
    for category, defaults in CATEGORY_DEFAULTS.items():
        assert impact(*defaults) == Impact.model_validate(impact(*defaults).dump()), category
        assert max(defaults) >= 1, f"{category}: an incident that harms nothing is none"


def page_rows() -> list[list[str]]:
    """Category, ATLAS ids, OWASP ids assumed impact and cure of each row of the page."""
    lines = CATEGORIES_PAGE.read_text(encoding="utf-8").splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return table[1:]


def test_the_page_of_categories_says_what_the_code_assumes() -> None:
    told = [(category, tuple(int(number) for number in assumed.split())) for category, _, _, assumed, _ in page_rows()]
    assert told == list(CATEGORY_DEFAULTS.items())


def test_the_page_of_categories_says_where_another_revision_is_no_cure() -> None:
    assert {row[0] for row in page_rows() if row[4] == "no cure"} == NO_CURE
    assert {row[4] for row in page_rows()} == {"no cure", "may help"}


def test_the_page_of_categories_names_ids_that_can_exist() -> None:
    for category, techniques, lists, _, _ in page_rows():
        for found in techniques.split(", "):
            assert re.fullmatch(r"T0\d{3}(\.\d{3})?|–", found), (category, found)
        for found in lists.split(", "):
            assert re.fullmatch(r"(LLM|ML|ASI)(0[1-9]|10)|–", found), (category, found)


def test_every_category_with_every_combination_has_an_answer() -> None:
    values = (None, 0, 1, 2, 3, 4)
    for category, stated in itertools.product(CATEGORIES, itertools.product(values, repeat=4)):
        defaults = CATEGORY_DEFAULTS[category]
        known = [default if value is None else value for value, default in zip(stated, defaults, strict=True)]
        found = assess(category=category, stated=Impact(**dict(zip(DIMENSIONS, stated, strict=True))))
        # Never below the worst dimension, and above it by one level at most.
        assert SEVERITIES.index(found.severity) in (4 - max(known), 3 - max(known)), (category, stated)
        assert [getattr(found.impact, name) for name in DIMENSIONS] == known
        assert 0 <= found.score <= 100
        assert len(found.assumed) == stated.count(None)


@given(QUESTIONS, DIMENSION, LEVELS, LEVELS)
def test_raising_a_dimension_never_lowers(question: dict, dimension: str, one: int, two: int) -> None:
    low, high = sorted((one, two))
    before = assess(**{**question, "stated": with_(question["stated"], **{dimension: low})})
    after = assess(**{**question, "stated": with_(question["stated"], **{dimension: high})})
    assert at_least_as_severe(after, than=before)


@given(QUESTIONS, DIMENSION)
def test_learning_what_was_assumed_changes_nothing(question: dict, dimension: str) -> None:
    assume(getattr(question["stated"], dimension) is None)
    default = CATEGORY_DEFAULTS[question["category"]][DIMENSIONS.index(dimension)]
    before = assess(**question)
    after = assess(**{**question, "stated": with_(question["stated"], **{dimension: default})})
    assert (after.severity, after.score, after.impact) == (before.severity, before.score, before.impact)


@given(QUESTIONS, st.integers(0, 100), st.integers(0, 100))
def test_a_wider_scope_never_lowers(question: dict, one: int, two: int) -> None:
    low, high = sorted((one, two))
    before = assess(**{**question, "stated": with_(question["stated"], scope_percent=low)})
    after = assess(**{**question, "stated": with_(question["stated"], scope_percent=high)})
    assert at_least_as_severe(after, than=before)
    assert at_least_as_severe(before, than=assess(**{**question, "stated": with_(question["stated"], scope_percent=0)}))


@given(QUESTIONS, st.sampled_from(SEVERITIES))
def test_a_hint_raises_and_never_lowers(question: dict, hint: Severity) -> None:
    before, after = assess(**question), assess(**{**question, "hints": (*question["hints"], hint)})
    assert after.severity == min(before.severity, hint)
    assert (after.impact, after.score, after.assumed) == (before.impact, before.score, before.assumed)


@given(QUESTIONS, IMPACTS)
def test_a_further_floor_never_lowers(question: dict, floor: Impact) -> None:
    merged = merge_floors(question["floor"], floor)
    before, after = assess(**question), assess(**{**question, "floor": merged})
    assert at_least_as_severe(after, than=before)
    for name in (*DIMENSIONS, "scope_percent"):
        assert (getattr(after.impact, name) or 0) >= (getattr(merged, name) or 0)


@given(QUESTIONS)
def test_recurrence_never_lowers(question: dict) -> None:
    again, once = ({**question, "recurred": recurred} for recurred in (True, False))
    assert at_least_as_severe(assess(**again), than=assess(**once))


@given(QUESTIONS)
def test_what_nobody_stated_is_told(question: dict) -> None:
    found, stated, floor = assess(**question), question["stated"], question["floor"] or Impact()
    defaults = dict(zip(DIMENSIONS, CATEGORY_DEFAULTS[question["category"]], strict=True))
    assert found.assumed == tuple(
        field.alias
        for name, field in Impact.model_fields.items()
        if name in DIMENSIONS and getattr(stated, name) is None and (getattr(floor, name) or 0) <= defaults[name]
    )
    assert (found.impact.scope_percent is None) == (stated.scope_percent is None and floor.scope_percent is None)


@given(st.lists(st.none() | IMPACTS, max_size=4), st.randoms(use_true_random=False))
def test_merged_floors_are_the_highest_of_each_in_any_order(floors: list[Impact | None], random: Random) -> None:
    merged = merge_floors(*floors)
    random.shuffle(floors)
    assert merge_floors(*floors, merged, None) == merged
    for name in (*DIMENSIONS, "scope_percent"):
        stated = [value for floor in floors if floor and (value := getattr(floor, name)) is not None]
        assert getattr(merged, name) == max(stated, default=None)
