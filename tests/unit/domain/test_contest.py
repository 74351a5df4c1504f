"""When moves of a held object are a fight, and what is said about it."""

from __future__ import annotations

from lazaretto.domain.contest import ENOUGH, MOST_NAMED, QUIET, Fight, Move, contested
from lazaretto.domain.fields import Change

REF = "Deployment/chat-v2"


def move(number: int, *, by: str = "kubectl") -> Move:
    return Move(REF, Change("spec.replicas", 3, 0), by, str(number))


def fought(times: int, *, by: tuple[str, ...] = ("kubectl",), every: float = 2.0) -> Fight:
    fight = Fight(REF, "1")
    for number in range(1, times + 1):
        fight = fight.joined(move(number, by=by[number % len(by)]), now=number * every)
    return fight


def test_it_takes_some_moves_to_make_a_fight() -> None:
    assert [fought(n).is_on for n in (1, ENOUGH - 1, ENOUGH)] == [False, False, True]


def test_a_move_that_is_seen_again_is_the_same_one() -> None:
    fight = fought(3)
    assert fight.joined(move(3), now=1000.0) == fight


def test_it_is_over_after_a_quiet_time() -> None:
    fight = fought(7)
    assert (fight.over(14.0 + QUIET - 0.1), fight.over(14.0 + QUIET)) == (False, True)


def test_everybody_is_named_up_to_a_bound() -> None:
    assert fought(9, by=("kubectl", "", "argocd")).by == "argocd, kubectl, somebody"
    many = fought(40, by=tuple(f"m{n}" for n in range(10)))
    assert len(many.managers) == MOST_NAMED


def test_what_is_said_changes_a_handful_of_times_in_a_long_fight() -> None:
    said = {contested([fought(n)]) for n in range(301)}
    assert said == {""} | {f"{REF} was moved {n} times or more by kubectl" for n in (5, 10, 20, 40, 80, 160)}


def test_each_object_is_told_of_and_those_that_were_hardly_moved_are_not() -> None:
    other = Fight("HTTPRoute/chat", "1", ENOUGH, ("argocd",))
    assert contested([other, fought(6), fought(1)]) == (
        f"{REF} was moved 5 times or more by kubectl; HTTPRoute/chat was moved 5 times or more by argocd"
    )
