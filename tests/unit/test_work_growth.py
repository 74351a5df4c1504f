"""What must not cost more for each when there are more: work counted in bytecodes, which no noise changes."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from lazaretto.api import AIIncident
from lazaretto.domain.intake import Group, KnownEntry, KnownIncident, decide
from lazaretto.domain.policy import choose_policy
from lazaretto.domain.timeline import KEPT, Fact, Timeline, record
from lazaretto.engine.store import Store
from lazaretto.engine.triage import Known, triage
from lazaretto.receiver.strict_json import parse
from lazaretto.signals.alertmanager import read_webhook
from tests.bench.alerts import firing, webhook
from tests.bench.work import exponent, work
from tests.unit.domain.objects import MODEL, NAMESPACE, at, incident, model, policy

SIZES = (100, 1000, 10_000)
BAR = 1.1
Call = Callable[[], object]
_GROUP = Group(NAMESPACE, MODEL, "DataLeakage")


def reading(count: int) -> Call:
    body = json.dumps(webhook(firing("shop") for _ in range(count))).encode()
    return lambda: read_webhook(parse(body), most=count)


def intake_of(count: int) -> Call:
    body = webhook(firing("shop") for _ in range(count))
    return partial(_decide, read_webhook(body, most=count).alerts, ())


def intake_beside(count: int) -> Call:
    """One alert, and that many incidents of the past."""
    entry = KnownEntry("a" * 16, at(1))
    past = [
        KnownIncident(NAMESPACE, f"chat-{n}", "7", MODEL, "DataLeakage", False, ended_at=at(2), entries=(entry,))
        for n in range(count)
    ]
    return partial(_decide, read_webhook(webhook([firing("shop")]), most=1).alerts, past)


def _decide(alerts: Any, incidents: Any) -> object:
    return decide(alerts, group=_GROUP, incidents=incidents, sender="am", now=at(9))


def choosing(count: int) -> Call:
    policies = [policy(f"policy-{n}") for n in range(count)]
    return lambda: choose_policy(policies, incident=incident(), model=model(), severity="SEV2")


def recording(count: int) -> Call:
    facts = [Fact(f"fact-{n}", "Interference", "moved") for n in range(count)]
    full = record(Timeline(), [Fact(f"old-{n}", "Interference", "moved") for n in range(KEPT)], now=at(0))

    def call() -> None:
        timeline = full
        for fact in facts:
            timeline = record(timeline, [fact], now=at(1))

    return call


def taking_in(count: int) -> Call:
    bodies = [_body(n) for n in range(count)]
    store = Store()

    def call() -> None:
        for body in bodies:
            store.put(AIIncident, body)

    return call


def deciding(count: int) -> Call:
    """One open incident, and that many of the past."""
    past = [incident(f"chat-{n + 2}", status=_PAST) for n in range(count)]
    known = Known(NAMESPACE, MODEL, model(), [incident(), *past], (), [policy()], (), None)
    return lambda: triage(known, workloads=(), denied=(), now=at(9))


_PAST = {"times": {"closedAt": "2026-01-02T03:00:00Z", "releasedAt": "2026-01-02T03:00:00Z"}}


def _body(number: int, **more: Any) -> dict[str, Any]:
    made = incident(f"chat-{number}", **more).dump()
    made["metadata"] |= {"uid": f"uid-{number}", "resourceVersion": str(number + 1)}
    return made


@pytest.mark.parametrize(
    "load",
    [reading, intake_of, intake_beside, choosing, recording, taking_in, deciding],
    ids=lambda load: load.__name__,
)
def test_twice_as_many_cost_twice_as_much(load: Callable[[int], Call]) -> None:
    load(SIZES[0])()
    costs = [work(load(size)) for size in SIZES]
    grown = exponent(SIZES, costs)
    print(f"{load.__name__}: {grown:.3f} {costs}")
    assert grown <= BAR


def test_twice_as_many_stored_incidents_take_twice_the_memory() -> None:
    taken = []
    for size in SIZES:
        bodies = [_body(number) for number in range(size)]
        tracemalloc.start()
        try:
            store = Store()
            for body in bodies:
                store.put(AIIncident, body)
            taken.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    grown = exponent(SIZES, taken)
    print(f"memory: {grown:.3f}, {taken[-1] // SIZES[-1]} bytes for each")
    assert grown <= BAR


@pytest.mark.parametrize("count", SIZES)
def test_a_timeline_is_as_long_after_any_number_of_facts(count: int) -> None:
    timeline = record(Timeline(), [Fact(f"old-{n}", "Interference", "moved") for n in range(KEPT)], now=at(0))
    full = len(json.dumps([entry.dump() for entry in timeline.entries]))
    for number in range(count):
        timeline = record(timeline, [Fact(f"fact-{number}", "Interference", "moved")], now=at(1))
    assert len(json.dumps([entry.dump() for entry in timeline.entries])) <= 1.1 * full


def test_a_model_pays_nothing_for_the_incidents_of_others() -> None:
    """Bytecodes of finding a model's incidents are the same, however many the namespace has."""
    costs = []
    for size in SIZES:
        store = Store()
        for number in range(size):
            store.put(AIIncident, _body(number, model="other"))
        store.put(AIIncident, _body(size))
        costs.append(work(lambda store=store: store.incidents_of(NAMESPACE, MODEL)))  # type: ignore[misc]
    assert len(set(costs)) == 1


def test_each_with_each_is_seen() -> None:
    """The measure itself can fail."""

    def quadratic(size: int) -> int:
        return work(lambda: [a for a in range(size) for _ in range(size)], within=__name__)

    few = SIZES[:2]
    assert exponent(few, [quadratic(size) for size in few]) > 1.8
