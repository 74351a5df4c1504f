"""Evidence behind a fence, and without one."""

from __future__ import annotations

import pytest

from lazaretto.domain.evidence import Evidence, Finding, Level

TRAFFIC = Finding("True", "Proved", "moved")
FENCED = Finding("True", "Proved", "refused")
OPEN = (Finding("False", "NotFenced", "missing"), Finding("Unknown", "NotProved", "not known"))


def evidence(level: Level, status: str) -> Evidence:
    return Evidence(level, Finding(status, "Proved", "no pod left"), TRAFFIC, ())  # type: ignore[arg-type]


@pytest.mark.parametrize("level", ["", "L0", "L1", "L2"])
def test_a_fence_that_stands_takes_nothing_away(level: Level) -> None:
    found = evidence(level, "True").behind(FENCED)
    assert (found.level, found.fenced, found.contained.message) == (level, FENCED, f"no pod left ({level})")


@pytest.mark.parametrize("fenced", OPEN)
@pytest.mark.parametrize(("level", "proved"), [("", ""), ("L0", "L0"), ("L1", "L1"), ("L2", "L1")])
def test_without_a_fence_that_stands_no_more_than_l1_is_proved(level: Level, proved: str, fenced: Finding) -> None:
    found = evidence(level, "True").behind(fenced)
    assert (found.level, found.fenced) == (proved, fenced)
    assert found.contained.message == f"no pod left ({proved}: held by the operator alone, see Fenced)"
    assert found.traffic == TRAFFIC


def test_what_is_not_contained_keeps_its_text() -> None:
    before = evidence("L1", "False")
    assert before.behind(FENCED).contained == before.contained
