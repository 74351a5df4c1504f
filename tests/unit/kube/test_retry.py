"""When a failed try is repeated, and after what pause; on a clock that takes no time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.errors import (
    AlreadyExists,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    InvalidInput,
    NotFound,
    Unavailable,
)
from lazaretto.kube.retry import BACKGROUND, CONTAINMENT, RetryPolicy, retrying
from tests.engine.travelling_time import travelling

POLICY = RetryPolicy(per_try=2.0, deadline=100.0, first_wait=0.025, longest_wait=1.0)
SLACK = 1e-6
"""Clocks are sums of floats."""


@dataclass
class Server:
    """Fails as told, then answers; `busy` is how long it takes to say so."""

    failures: list[BaseException]
    busy: float = 0.0
    begun: list[float] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    async def attempt(self, timeout: float) -> str:
        self.begun.append(asyncio.get_running_loop().time())
        self.timeouts.append(timeout)
        await asyncio.sleep(min(self.busy, timeout))
        if self.failures:
            raise self.failures.pop(0)
        return "answer"

    @property
    def pauses(self) -> list[float]:
        return [later - earlier - self.busy for earlier, later in zip(self.begun, self.begun[1:], strict=False)]


def failing(times: int, *, retry_after: float | None = None, busy: float = 0.0) -> Server:
    return Server([Unavailable(503, f"try {n}", retry_after=retry_after) for n in range(times)], busy=busy)


def test_a_success_needs_one_try() -> None:
    server = failing(0)
    assert travelling(retrying(server.attempt, policy=POLICY)) == "answer"
    assert server.begun == [0.0]


def test_what_is_unavailable_is_asked_again_until_it_answers() -> None:
    server = failing(7)
    assert travelling(retrying(server.attempt, policy=POLICY)) == "answer"
    assert len(server.begun) == 8


@pytest.mark.parametrize(
    "error",
    [
        AlreadyExists(409, ""),
        Conflict(409, ""),
        Conflict(422, ""),
        Expired(410, ""),
        Forbidden(403, "", retry_after=1.0),
        Invalid(422, ""),
        NotFound(404, ""),
        InvalidInput("name", "..", "no"),
        ValueError("a defect"),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_everything_else_passes_through_at_once(error: BaseException) -> None:
    server = Server([error])
    with pytest.raises(type(error)) as caught:
        travelling(retrying(server.attempt, policy=POLICY))
    assert caught.value is error or isinstance(error, asyncio.CancelledError)
    assert len(server.begun) == 1


@settings(max_examples=40, deadline=None)
@given(
    st.floats(min_value=0.001, max_value=1.0),
    st.floats(min_value=1.0, max_value=20.0),
    st.integers(min_value=1, max_value=12),
)
def test_pauses_double_up_to_the_longest_and_are_jittered_by_half(first: float, longest: float, times: int) -> None:
    server = failing(times)
    policy = RetryPolicy(deadline=1e6, first_wait=first, longest_wait=longest)
    travelling(retrying(server.attempt, policy=policy))
    for number, pause in enumerate(server.pauses):
        nominal = min(first * 2**number, longest)
        assert 0.5 * nominal - SLACK <= pause <= 1.5 * nominal + SLACK


def test_clients_that_failed_together_do_not_come_back_together() -> None:
    servers = [failing(1) for _ in range(20)]
    for server in servers:
        travelling(retrying(server.attempt, policy=POLICY))
    assert len({round(server.pauses[0], 6) for server in servers}) > 10


def test_the_server_s_own_wait_is_the_shortest_pause() -> None:
    server = failing(4, retry_after=3.0)
    travelling(retrying(server.attempt, policy=POLICY))
    assert all(pause == pytest.approx(3.0) for pause in server.pauses)


def test_a_wait_shorter_than_ours_changes_nothing() -> None:
    server = failing(1, retry_after=0.001)
    travelling(retrying(server.attempt, policy=RetryPolicy(deadline=100.0, first_wait=4.0)))
    assert server.pauses[0] >= 2.0 - SLACK


@pytest.mark.parametrize("wait", [-5.0, 0.0, float("nan"), None])
def test_a_wait_that_is_none_changes_nothing(wait: float | None) -> None:
    server = failing(1, retry_after=wait)
    travelling(retrying(server.attempt, policy=POLICY))
    assert 0.0125 - SLACK <= server.pauses[0] <= 0.0375 + SLACK


@pytest.mark.parametrize("wait", [POLICY.deadline, 1e9, float("inf")])
def test_a_wait_beyond_the_deadline_is_not_waited_for(wait: float) -> None:
    """Whoever called may have something better to do, such as another object."""
    server = failing(1, retry_after=wait)
    with pytest.raises(Unavailable, match="try 0"):
        travelling(retrying(server.attempt, policy=POLICY))
    assert len(server.begun) == 1


@settings(max_examples=40, deadline=None)
@given(
    st.floats(min_value=0.1, max_value=30.0),
    st.floats(min_value=0.05, max_value=40.0),
    st.floats(min_value=0.0, max_value=50.0),
)
def test_no_try_begins_after_the_deadline_and_none_may_outlast_it(deadline: float, per_try: float, busy: float) -> None:
    server = failing(10_000, busy=busy)
    with pytest.raises(Unavailable) as caught:
        travelling(retrying(server.attempt, policy=RetryPolicy(per_try=per_try, deadline=deadline)))
    assert caught.value.message == f"try {len(server.begun) - 1}"
    assert server.begun[-1] < deadline + SLACK
    for begun, timeout in zip(server.begun, server.timeouts, strict=True):
        assert 0.05 <= timeout <= per_try
        assert timeout <= max(0.05, deadline - begun) + SLACK


def test_a_try_has_its_own_short_timeout() -> None:
    server = failing(3)
    travelling(retrying(server.attempt, policy=POLICY))
    assert server.timeouts == [POLICY.per_try] * 4


def test_containment_gives_up_a_silent_server_sooner_than_background_work_does() -> None:
    assert CONTAINMENT.per_try <= 1.0
    assert CONTAINMENT.per_try < BACKGROUND.per_try
    assert CONTAINMENT.deadline < BACKGROUND.deadline
    assert CONTAINMENT.first_wait <= 0.025
