"""How soon something may be done again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api import reasons
from lazaretto.domain.evidence import Problem
from lazaretto.domain.pace import LONGEST_PAUSE, Allowance, Refusal

PROBLEM = Problem(reasons.FORBIDDEN, "may not write it")


def taken(allowance: Allowance, moments: list[float]) -> list[float]:
    """When it is done, for somebody who wants it at these moments and waits as long as he is told."""
    done: list[float] = []
    for wanted in moments:
        moment = max(wanted, *done[-1:], 0.0)
        while pause := allowance.wait(moment):
            moment += pause
        allowance = allowance.taken(moment)
        done.append(moment)
    return done


def test_so_many_at_once_and_then_one_after_the_other() -> None:
    assert taken(Allowance(3, 0.5), [100.0] * 6) == [100.0, 100.0, 100.0, 100.5, 101.0, 101.5]


def test_what_comes_seldom_enough_never_waits() -> None:
    moments = [0.5 * n for n in range(100)]
    assert taken(Allowance(1, 0.5), moments) == moments


def test_what_was_spent_comes_back_and_no_more_than_that() -> None:
    allowance = Allowance(2, 1.0).taken(10.0).taken(10.0)
    assert (allowance.whole(11.9), allowance.whole(12.0)) == (False, True)
    assert taken(allowance, [1000.0] * 3) == [1000.0, 1000.0, 1001.0]


@given(
    st.integers(1, 10),
    st.sampled_from([0.1, 0.25, 2.0]),
    st.lists(st.floats(0.0, 20.0), min_size=1, max_size=60).map(sorted),
    st.floats(0.1, 10.0),
)
def test_never_more_than_the_burst_and_what_comes_back(
    burst: int, every: float, moments: list[float], window: float
) -> None:
    done = taken(Allowance(burst, every), moments)
    most = max(sum(begin <= moment < begin + window for moment in done) for begin in done)
    assert most <= burst + window / every + 1


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    allowance = Allowance(1, 1.0).taken(10.0)
    assert allowance.wait(5.0) == 1.0


@pytest.mark.parametrize(("times", "pause"), [(1, 1.0), (2, 2.0), (5, 16.0), (6, 30.0), (2000, LONGEST_PAUSE)])
def test_what_is_refused_is_tried_after_a_pause_that_doubles(times: int, pause: float) -> None:
    refusal = None
    for _ in range(times):
        refusal = Refusal.after(refusal, PROBLEM, now=7.0)
    assert refusal == Refusal(PROBLEM, times, 7.0 + pause)
