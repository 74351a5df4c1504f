"""Who leads: one replica, whatever is lost or late, as long as clocks run at about the same rate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.domain.election import Candidate, Pace, Record

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PACE = Pace(15)


def candidate(identity: str = "a") -> Candidate:
    return Candidate(identity, PACE)


def led(identity: str = "a", *, now: float = 0.0, over: Record | None = None) -> tuple[Candidate, Record]:
    """One that has taken a Lease, and the Lease."""
    one = candidate(identity).saw(over or Record(), now=now)
    record = one.wanted(now=now, wall=NOON)
    assert record is not None
    return one.sending(record, now=now).saw(record, now=now), record


def test_a_lease_that_nobody_holds_is_taken_at_once() -> None:
    one, record = led()
    assert one.leads(0.0)
    assert record == Record("a", 1, 15, NOON, NOON)


def test_a_leader_that_cannot_renew_stops_long_before_anybody_may_begin() -> None:
    one, record = led()
    other = candidate("b").saw(record, now=0.0)
    assert one.leads(9.9)
    assert not one.leads(10.0)
    assert other.wanted(now=14.9, wall=NOON) is None
    assert other.wanted(now=15.0, wall=NOON) == Record("b", 2, 15, NOON, NOON + timedelta(microseconds=1))


def test_each_renewal_that_is_seen_begins_the_wait_anew() -> None:
    one, record = led()
    other = candidate("b").saw(record, now=0.0)
    renewed = one.wanted(now=2.0, wall=NOON + timedelta(seconds=2))
    assert renewed is not None
    other = other.saw(renewed, now=3.0)
    assert other.wanted(now=17.9, wall=NOON) is None
    assert other.wanted(now=18.0, wall=NOON) is not None


@pytest.mark.parametrize("hours", [-1, 1])
def test_clocks_that_are_set_change_nothing(hours: int) -> None:
    """The times in the Lease are for people: what an hour's step makes of them is neither waited for nor believed."""
    one, record = led()
    stepped = one.wanted(now=2.0, wall=NOON + timedelta(hours=hours))
    assert stepped is not None
    other = candidate("b").saw(record, now=0.0).saw(stepped, now=2.0)
    assert other.wanted(now=16.9, wall=NOON - timedelta(hours=hours)) is None
    assert other.wanted(now=17.0, wall=NOON - timedelta(hours=hours)) is not None
    one = one.sending(stepped, now=2.0).saw(stepped, now=2.1)
    assert one.leads(11.9)


def test_a_clock_that_stands_still_renews_all_the_same() -> None:
    """A write that changes nothing is not stored, and others would see no sign of life."""
    one, record = led()
    renewed = one.wanted(now=2.0, wall=NOON)
    assert renewed is not None
    assert renewed.renewed != record.renewed


def test_a_lease_that_is_given_up_is_free() -> None:
    one, record = led()
    given_up = one.resigned(wall=NOON + timedelta(seconds=1))
    assert given_up is not None
    assert not given_up.holder
    assert candidate("b").saw(record, now=0.0).saw(given_up, now=1.0).wanted(now=1.0, wall=NOON) is not None


def test_nobody_gives_up_what_is_not_theirs() -> None:
    _, record = led()
    assert candidate("b").resigned(wall=NOON) is None
    assert candidate("b").saw(record, now=0.0).resigned(wall=NOON) is None


def test_a_restarted_process_takes_its_own_lease_at_once_under_a_new_number() -> None:
    _, record = led("a")
    again = candidate("a").saw(record, now=100.0)
    assert not again.leads(100.0), "what the one before has proved proves nothing now"
    taken = again.wanted(now=100.0, wall=NOON)
    assert taken is not None
    assert taken.term == record.term + 1


def test_a_name_that_lives_is_somebody_else() -> None:
    """Two processes under one name: a mistake, and the second one waits once it sees the first renew."""
    _, record = led("a")
    twin = candidate("a").saw(record, now=0.0).saw(replace(record, renewed=NOON + timedelta(seconds=2)), now=2.0)
    assert twin.wanted(now=2.0, wall=NOON) is None
    assert twin.wanted(now=17.0, wall=NOON) is not None


def test_whoever_is_overtaken_by_their_own_name_leads_no_more() -> None:
    one, record = led("a")
    taken = candidate("a").saw(record, now=1.0).wanted(now=1.0, wall=NOON)
    assert taken is not None
    one = one.saw(taken, now=2.0)
    assert not one.leads(2.0)
    assert one.wanted(now=2.0, wall=NOON) is None, "they do not take it from each other for ever"


def test_a_write_whose_answer_was_lost_counts_from_when_it_was_sent() -> None:
    one = candidate().saw(Record(), now=0.0)
    record = one.wanted(now=0.0, wall=NOON)
    assert record is not None
    one = one.sending(record, now=0.0).saw(record, now=6.0)
    assert one.leads(9.9)
    assert not one.leads(10.0)


def test_one_that_has_overrun_its_time_begins_a_new_term() -> None:
    one, record = led()
    again = one.wanted(now=12.0, wall=NOON)
    assert again is not None
    assert again.term == record.term + 1
    one = one.sending(again, now=12.0).saw(again, now=12.1)
    assert one.term(12.1) == again.term


def test_the_lease_says_itself_how_long_others_wait_for_its_holder() -> None:
    patient = replace(led("b")[1], seconds=60)
    one = candidate().saw(patient, now=0.0)
    assert one.wanted(now=59.0, wall=NOON) is None
    assert one.wanted(now=60.0, wall=NOON) is not None


def test_clocks_may_differ_by_a_fifth_in_either_direction() -> None:
    assert PACE.renew / 0.8 <= PACE.lease / 1.2
    assert PACE.retry < PACE.renew / 4, "one lost answer is not the end of a term"


# Never two


@dataclass
class Replica:
    """One process of the model. Its clock runs at its own rate, from its own beginning."""

    name: str
    rate: float
    offset: float
    me: Candidate = field(init=False)
    version: int = -1
    alive: bool = True

    def __post_init__(self) -> None:
        self.me = Candidate(self.name, PACE)

    def clock(self, real: float) -> float:
        return self.offset + real * self.rate


@dataclass
class Model:
    """The Lease, and everybody's requests on their way."""

    replicas: list[Replica]
    record: Record = field(default_factory=Record)
    version: int = 0
    real: float = 0.0

    def leaders(self) -> list[str]:
        return [r.name for r in self.replicas if r.alive and r.me.leads(r.clock(self.real))]

    def read(self, replica: Replica, *, late: float) -> None:
        record, version = self.record, self.version
        self.passes(late)
        replica.me = replica.me.saw(record, now=replica.clock(self.real))
        replica.version = version

    def write(self, replica: Replica, *, late: float, wall: float, answered: bool) -> None:
        moment = NOON + timedelta(seconds=wall)
        wanted = replica.me.wanted(now=replica.clock(self.real), wall=moment)
        if wanted is None:
            return
        replica.me = replica.me.sending(wanted, now=replica.clock(self.real))
        self.passes(late)
        if replica.version != self.version:
            return
        self.record, self.version = wanted, self.version + 1
        if answered:
            self.passes(late)
            replica.me = replica.me.saw(wanted, now=replica.clock(self.real))
            replica.version = self.version

    def restart(self, replica: Replica) -> None:
        replica.me, replica.version = Candidate(replica.name, PACE), -1

    def passes(self, seconds: float) -> None:
        self.real += seconds
        assert len(self.leaders()) <= 1, f"two lead at {self.real}: {self.leaders()}"


ACTIONS = st.tuples(
    st.sampled_from(["turn", "turn", "turn", "turn", "read", "write", "restart"]),
    st.integers(0, 1),
    st.sampled_from([0.0, 1.0, 4.5, 9.0, 13.0, 60.0]),
    st.sampled_from([-3600.0, 0.0, 3600.0]),
    st.sampled_from([True, True, True, False]),
)
RATES = st.sampled_from([0.85, 1.0, 1.15]) | st.floats(0.85, 1.15)


@settings(max_examples=400, deadline=None)
@given(
    st.tuples(RATES, RATES),
    st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
    st.lists(ACTIONS, min_size=5, max_size=30),
)
def test_never_two_lead(
    rates: tuple[float, float], offsets: tuple[float, float], actions: list[tuple[str, int, float, float, bool]]
) -> None:
    """Reads and writes are late or unanswered, wall clocks jump, processes rest, or are restarted under their name."""
    model = Model([Replica(name, rate, offset) for name, rate, offset in zip("ab", rates, offsets, strict=True)])
    for what, number, seconds, wall, answered in actions:
        replica = model.replicas[number]
        match what:
            case "turn":
                model.read(replica, late=0.0)
                model.write(replica, late=0.0, wall=wall, answered=answered)
                model.passes(seconds)
            case "read":
                model.read(replica, late=seconds)
            case "write":
                model.write(replica, late=seconds, wall=wall, answered=answered)
            case "restart":
                model.restart(replica)
        model.passes(0.0)


@settings(max_examples=200, deadline=None)
@given(st.lists(ACTIONS, max_size=25), RATES)
def test_one_that_is_alone_leads_in_the_end(actions: list[tuple[str, int, float, float, bool]], rate: float) -> None:
    """Whatever went before."""
    model = Model([Replica(name, rate, 0.0) for name in "ab"])
    for what, number, seconds, wall, answered in actions:
        if what in ("write", "turn"):
            model.write(model.replicas[number], late=seconds, wall=wall, answered=answered)
        else:
            model.read(model.replicas[number], late=seconds)
    left = model.replicas[0]
    for _ in range(3):
        model.read(left, late=0.1)
        model.write(left, late=0.1, wall=model.real, answered=True)
        if left.me.leads(left.clock(model.real)):
            return
        model.passes(PACE.lease / 0.85)
    raise AssertionError("nobody leads")
