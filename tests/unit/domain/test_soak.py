"""What a soak earns: the time that was watched, whatever happens to processes, clocks and Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api.modelrevision import ModelRevisionStatus
from lazaretto.domain.soak import LONGEST_GAP, LONGEST_STEP, SHORTEST_STEP, Sight, Soak, soaked, stored, told
from tests.unit.domain.objects import at

GOOD = Sight(serves=True, carries=True)
DOWN = Sight(serves=False, carries=True)
IDLE = Sight(serves=True, carries=False)
BLIND = Sight(serves=True, carries=None)
MOVED = Sight(serves=True, carries=True, anew=True)
MINUTE = 60.0


@dataclass
class Process:
    """One operator that looks at one revision, and stores what is worth it."""

    status: ModelRevisionStatus = field(default_factory=ModelRevisionStatus)
    memory: Soak | None = None
    steady: float = 1000.0
    """Its own clock, which nobody sets."""
    wall: datetime = field(default_factory=lambda: at(1))
    """The machine's clock."""
    writes: int = 0

    def look(self, sight: Sight, *, after: float = MINUTE, step: float = 0.0, lost: bool = False) -> Process:
        """Looks `after` seconds; the machine's clock is set by `step` meanwhile. `lost`: the status is not written."""
        self.steady += after
        self.wall += timedelta(seconds=after + step)
        self.memory = soaked(
            stored(self.status), remembered=self.memory, sight=sight, now=self.wall, steady=self.steady
        )
        record = told(self.status, self.memory, now=self.wall)
        changes = {"available_since": self.memory.since, "soak": record}
        new = self.status.model_copy(update=changes)
        if new != self.status and not lost:
            self.status, self.writes = new, self.writes + 1
        return self

    def looks(self, *sights: Sight) -> Process:
        for sight in sights:
            self.look(sight)
        return self

    def restart(self, *, away: float = 5.0) -> Process:
        """A new process: it knows what is stored, and its clock begins elsewhere."""
        self.memory, self.steady = None, 7.0
        self.wall += timedelta(seconds=away)
        return self

    @property
    def earned(self) -> float:
        assert self.memory is not None
        return self.memory.earned

    @property
    def known(self) -> int:
        """What a decision sees."""
        return self.status.soak.earned_seconds if self.status.soak else 0


def test_time_between_two_looks_that_saw_it_serve_with_traffic_counts() -> None:
    assert Process().looks(GOOD).earned == 0
    assert Process().looks(GOOD, GOOD, GOOD).earned == 2 * MINUTE


@pytest.mark.parametrize("sight", [IDLE, BLIND], ids=["no traffic", "nobody can say"])
def test_time_that_cannot_be_shown_to_be_good_earns_nothing_and_takes_nothing(sight: Sight) -> None:
    process = Process().looks(GOOD, GOOD, sight, sight, sight, GOOD)
    assert process.earned == MINUTE
    assert process.looks(GOOD).earned == 2 * MINUTE


@pytest.mark.parametrize("sight", [DOWN, MOVED], ids=["does not serve", "a tag moved"])
def test_a_break_that_was_seen_ends_the_soak(sight: Sight) -> None:
    process = Process().looks(GOOD, GOOD, GOOD, sight, GOOD)
    assert process.earned <= MINUTE
    assert process.status.available_since is not None
    assert process.status.available_since > at(1) + timedelta(seconds=3 * MINUTE)


def test_a_new_soak_is_stored_at_once_though_it_has_earned_nothing() -> None:
    process = Process().looks(GOOD, MOVED)
    assert process.status.soak is not None
    assert process.status.soak.seen_at == process.status.available_since == process.wall


def test_a_break_between_two_looks_ends_it_as_well() -> None:
    process = Process().looks(GOOD, GOOD, GOOD)
    risen = process.wall + timedelta(seconds=30)
    process.look(replace(GOOD, risen=risen))
    assert (process.earned, process.status.available_since) == (0, risen)
    assert process.look(replace(GOOD, risen=risen)).earned == MINUTE


def test_a_long_pause_earns_nothing_and_takes_nothing() -> None:
    process = Process().looks(GOOD, GOOD)
    assert process.look(GOOD, after=LONGEST_GAP).earned == MINUTE + LONGEST_GAP
    assert process.look(GOOD, after=LONGEST_GAP + 1).earned == MINUTE + LONGEST_GAP


@pytest.mark.parametrize("step", [-86400.0, -60.0, 60.0, 86400.0])
def test_setting_the_machines_clock_neither_earns_nor_takes(step: float) -> None:
    assert Process().looks(GOOD, GOOD).look(GOOD, step=step).looks(GOOD).earned == 3 * MINUTE


def test_a_restart_keeps_what_was_stored_and_earns_nothing_by_itself() -> None:
    process = Process().looks(*[GOOD] * 200)
    known, since = process.known, process.status.available_since
    assert 0 < process.earned - known < LONGEST_STEP
    process.restart(away=30.0).looks(GOOD)
    assert (process.earned, process.status.available_since) == (known, since)
    assert process.looks(GOOD).earned == known + MINUTE


def test_a_reset_whose_write_was_lost_is_still_a_reset() -> None:
    process = Process().looks(GOOD, GOOD, GOOD).look(DOWN, lost=True)
    assert process.known > 0
    assert process.looks(GOOD).earned == 0


def test_a_lost_reset_is_a_reset_though_the_clock_was_set_back() -> None:
    """The new soak then begins before the old one, by what the clock says."""
    process = Process().looks(GOOD, GOOD).look(MOVED, step=-7200.0, lost=True)
    assert process.known > 0
    assert process.look(GOOD, after=1.0).earned == 0


def test_what_another_process_stored_counts_and_is_not_added() -> None:
    one, other = Process(), Process()
    one.looks(GOOD)
    other.status, other.wall = one.status, one.wall
    for _ in range(30):
        one.look(GOOD)
        other.status = one.status
        other.look(GOOD)
        one.status = other.status
    assert max(one.earned, other.earned) <= 30 * MINUTE


def test_a_break_that_another_process_saw_counts() -> None:
    process = Process().looks(GOOD, GOOD, GOOD)
    seen = process.wall + timedelta(seconds=1)
    process.status = process.status.model_copy(update={"available_since": seen, "soak": None})
    assert process.looks(GOOD).earned == 0
    assert process.status.available_since == seen


def test_writes_are_few_and_what_is_stored_is_not_far_behind() -> None:
    process = Process()
    for _ in range(24 * 60):
        process.look(GOOD)
        assert process.earned - process.known < max(process.earned / 8, SHORTEST_STEP) + MINUTE
        assert process.earned - process.known < LONGEST_STEP + MINUTE
    assert process.earned == 24 * 3600 - MINUTE
    assert process.writes < 150


@dataclass(frozen=True)
class Step:
    """What happens until the next look."""

    sight: Sight
    after: float
    set_by: float
    lost: bool
    restart: bool


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([GOOD, GOOD, GOOD, IDLE, BLIND, DOWN, MOVED]),
        st.floats(0.0, 400.0),
        st.sampled_from([0.0, 0.0, -7200.0, -90.0, 90.0, 7200.0]),
        st.booleans(),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=30,
)


def run(steps: Sequence[Step]) -> tuple[Process, float]:
    """The process afterwards, and the time for which it was seen to be good since the last break.

    A break that was seen and not stored dies with its process; that process lives on here until it is.
    """
    process, watched, before, unstored = Process(), 0.0, False, False
    for step in steps:
        restart = step.restart and not unstored
        if restart:
            process.restart(away=step.after)
        process.look(step.sight, after=step.after, step=step.set_by, lost=step.lost)
        broken = not step.sight.serves or step.sight.anew
        counts = step.sight.serves and step.sight.carries is True
        if broken:
            watched = 0.0
        elif counts and before and not restart and step.after <= LONGEST_GAP:
            watched += step.after
        before, unstored = counts, step.lost and (broken or unstored)
    return process, watched


@given(STEPS)
@settings(max_examples=400)
def test_never_more_is_earned_than_was_watched(steps: list[Step]) -> None:
    process, watched = run(steps)
    if not steps:
        return
    assert process.earned <= watched + 1e-6
    assert process.known <= watched + 1e-6 or any(step.lost for step in steps)
    assert process.memory is not None
    assert (process.memory.since is None) == (not steps[-1].sight.serves)


@given(STEPS)
def test_without_restarts_and_losses_all_that_was_watched_is_earned(steps: list[Step]) -> None:
    smooth = [replace(step, restart=False, lost=False, set_by=0.0) for step in steps]
    process, watched = run(smooth)
    if smooth:
        assert process.earned == pytest.approx(watched)
        assert process.known <= process.earned


@given(STEPS, st.floats(0.0, 400.0))
def test_an_outage_a_restart_or_a_set_clock_never_adds(steps: list[Step], away: float) -> None:
    def earned(change: Sight | None = None, *, restarts: bool = False, set_by: float = 0.0) -> float:
        changed = [replace(s, sight=replace(s.sight, carries=None) if change else s.sight) for s in steps[-3:]]
        end = [replace(s, restart=restarts, set_by=set_by, lost=False) for s in changed]
        process, _ = run([*(replace(s, restart=False, lost=False, set_by=0.0) for s in steps[:-3]), *end])
        return process.earned if steps else 0.0

    plain = earned()
    assert earned(BLIND) <= plain
    assert earned(restarts=True) <= plain
    assert earned(set_by=away) == earned(set_by=-away) == plain
