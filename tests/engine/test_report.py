"""What a pass found becomes statuses and Events: every fact once, none lost on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from lazaretto.api import AIIncident, Containment, reasons
from lazaretto.api.containment import Hold, TargetProof
from lazaretto.domain.conditions import find
from lazaretto.domain.evidence import Evidence, Finding, messages_of
from lazaretto.domain.incident_report import Progress
from lazaretto.domain.policy import PolicyChoice
from lazaretto.domain.response import Step, Verdict
from lazaretto.domain.severity import assess
from lazaretto.domain.timeline import Fact
from lazaretto.engine.apply import Outcome
from lazaretto.engine.current_pass import Pass
from lazaretto.engine.event_writer import EventWriter
from lazaretto.engine.gather import Live
from lazaretto.engine.report import Reporter
from lazaretto.engine.standing import Standing
from lazaretto.engine.status_writer import StatusWriter
from lazaretto.engine.store import Store
from lazaretto.engine.triage import Known, Triage
from lazaretto.errors import Forbidden
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.resource import CONTAINMENTS, INCIDENTS
from tests.engine.memory_api import MemoryApi, called
from tests.engine.world import NOON, ONCE, NoonClock
from tests.unit.domain.cases import problems
from tests.unit.domain.objects import MODEL, NAMESPACE, containment, hold, incident, workload

INCIDENT = INCIDENTS.path(namespace=NAMESPACE, name="chat-1")
JOURNAL = CONTAINMENTS.path(namespace=NAMESPACE, name=MODEL)
GOOD, BAD = workload("v1"), workload("v2")
HOLD = hold(incident("chat-1"), [BAD], known_good=GOOD)


class Desk:
    """A reporter over an API server with an incident and its containment; `work` starts the lanes behind it."""

    def __init__(self) -> None:
        self.api = MemoryApi()
        self.store = Store()
        api = ApiServer(self.api, policy=ONCE)
        self.statuses, self.events = StatusWriter(api, self.store), EventWriter(api)
        self.reporter = Reporter(self.store, self.statuses, self.events, clock=NoonClock())
        self.tasks: list[asyncio.Task[None]] = []
        self.add_incident()
        self.store.put(Containment, self.api.add(JOURNAL, {"kind": "Containment", **containment(HOLD).dump()}))

    def add_incident(self, **more: Any) -> None:
        body = {"kind": "AIIncident", **incident("chat-1", **more).dump()}
        self.store.put(AIIncident, self.api.add(INCIDENT, body))

    @property
    def incident(self) -> AIIncident:
        return AIIncident.read(self.api.objects[INCIDENT])

    @property
    def containment(self) -> Containment:
        return Containment.read(self.api.objects[JOURNAL])

    def report(self, *keys: str, verdict: Verdict | None = None, **progress: Any) -> asyncio.Future[None]:
        """Reports facts with these keys about the incident as the store knows it."""
        about = self.store.get(AIIncident, NAMESPACE, "chat-1")
        assert about is not None
        facts = tuple(Fact(key, "Acted", f"did {key}") for key in keys)
        self.reporter.incident(Standing(about, verdict or KEPT, Progress(**progress), facts))
        (future,) = self.reporter.pending(NAMESPACE, ["chat-1"])
        return future

    def work(self) -> None:
        self.tasks = [asyncio.create_task(work) for work in (self.statuses.work(), self.events.work())]

    async def quiet(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)

    @property
    def written(self) -> int:
        """How often a status was written."""
        return sum(stored.call.endswith("/status") for stored in self.api.history)

    def counted(self) -> Counter[str]:
        return Counter(e.key for e in self.incident.status.timeline if e.type == "Acted")

    async def of_containment(
        self,
        *,
        holds: Sequence[Hold] = (HOLD,),
        evidence: Evidence | None = None,
        outcome: Outcome | None = None,
        contested: str | None = None,
    ) -> Containment:
        known = Known(NAMESPACE, MODEL, None, (), (), (), (), self.containment)
        current = Pass(
            known, Live({}, ()), Triage({}, tuple(holds)), NOON, outcome=outcome or Outcome(), evidence=evidence
        )
        current.contested = contested
        self.reporter.containment(current)
        await self.quiet()
        return self.containment


def verdict(step: Step, *, stalled: bool = False, reason: str = reasons.AWAITING_RELEASE) -> Verdict:
    found = assess(category="DataLeakage")
    return Verdict(step, reason, "because", found, PolicyChoice(None, "none"), hold=HOLD, stalled=stalled)


KEPT = verdict(Step.KEEP)
STALLED = verdict(Step.RECORD, stalled=True, reason=reasons.NO_KNOWN_GOOD)


def evidence(contained: str, traffic: str, *, objects: Sequence[TargetProof] = ()) -> Evidence:
    def seen(status: str) -> Finding:
        return Finding(status, reasons.PROVED, "seen")  # type: ignore[arg-type]  # one of the three

    return Evidence("L2" if contained == "True" else "L0", seen(contained), seen(traffic), tuple(objects))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_facts_of_a_status_that_is_superseded_go_into_the_next(desk: Desk) -> None:
    first, second = desk.report("a", "b"), desk.report("b", "c")
    desk.work()
    await asyncio.gather(first, second)
    assert desk.counted() == Counter("abc")
    assert desk.written == 1


async def test_facts_of_a_status_that_could_not_be_written_go_into_the_next(desk: Desk) -> None:
    desk.api.forbidden = {"patch aiincidents/status"}
    desk.work()
    with pytest.raises(Forbidden):
        await desk.report("a")
    desk.api.forbidden = set()
    await desk.report("b")
    assert desk.counted() == Counter("ab")


async def test_facts_that_come_during_a_write_go_into_the_next(desk: Desk) -> None:
    desk.api.delay = 0.01
    desk.work()
    first = desk.report("a")
    while not desk.api.requests:
        await asyncio.sleep(0)
    second = desk.report("b")
    await asyncio.gather(first, second)
    assert desk.counted() == Counter("ab")


async def test_the_same_fact_is_recorded_once_however_often_it_is_told(desk: Desk) -> None:
    desk.work()
    for _ in range(3):
        await desk.report("a")
    assert desk.counted() == Counter("a")
    assert desk.written == 1, "and a status that says nothing new is not written"


async def test_a_successor_of_the_same_name_takes_over_nothing(desk: Desk) -> None:
    desk.report("a")
    desk.api.delete(INCIDENT)
    desk.add_incident(uid="another")
    desk.work()
    await desk.quiet()
    assert desk.incident.status.timeline == []
    await desk.report("b")
    assert desk.counted() == Counter("b")


async def test_every_entry_is_announced_once(desk: Desk) -> None:
    desk.work()
    await desk.report("a")
    await desk.report("a", "b")
    await desk.quiet()
    timeline = [(entry.type, entry.message) for entry in desk.incident.status.timeline]
    events = [(event["reason"], event["message"]) for event in desk.api.all("events")]
    assert sorted(events) == sorted(timeline)
    assert len(events) == sum(called(request) == "create events" for request in desk.api.requests)
    assert {event["involvedObject"]["uid"] for event in desk.api.all("events")} == {desk.incident.metadata.uid}


@pytest.mark.parametrize(
    ("more", "type_"),
    [({"verdict": STALLED}, reasons.STALLED), ({"problems": problems("may not write x")}, reasons.DEGRADED)],
    ids=["stalled", "degraded"],
)
async def test_what_is_wrong_is_announced_when_it_begins(desk: Desk, more: dict[str, Any], type_: str) -> None:
    desk.work()
    await desk.report("a", **more)
    await desk.report("b", **more)
    await desk.quiet()
    posted = [r.body for r in desk.api.requests if called(r) == "create events" and isinstance(r.body, dict)]
    (event,) = [body for body in posted if body["reason"] == type_]
    condition = find(desk.incident.status.conditions, type_)
    assert condition is not None
    assert (event["type"], event["message"]) == ("Warning", f"{condition.reason}: {condition.message}")


async def test_nobody_waits_for_what_was_never_reported(desk: Desk) -> None:
    assert desk.reporter.pending(NAMESPACE, ["chat-1", "chat-2"]) == []
    first, second = desk.report("a"), desk.report("b")
    assert desk.reporter.pending(NAMESPACE, ["chat-1", "chat-2"]) == [second] != [first]


async def test_what_is_stored_is_pending_no_more_and_what_could_not_be_stored_is_still_told(desk: Desk) -> None:
    desk.work()
    await desk.report("a")
    assert desk.reporter.pending(NAMESPACE, ["chat-1"]) == []
    desk.api.forbidden = {"patch aiincidents/status"}
    with pytest.raises(Forbidden):
        await desk.report("b")
    (lost,) = desk.reporter.pending(NAMESPACE, ["chat-1"])
    with pytest.raises(Forbidden):
        await lost


@pytest.mark.parametrize(
    ("found", "outcome", "releasing", "state"),
    [
        (None, Outcome(written=2), False, "Containing"),
        (evidence("False", "False"), Outcome(), False, "Containing"),
        (evidence("False", "True"), Outcome(), False, "Shifted"),
        (evidence("True", "Unknown"), Outcome(), False, "Contained"),
        (evidence("True", "True"), Outcome(problems=[*problems("may not write x")]), False, "Degraded"),
        (None, Outcome(), True, "Releasing"),
    ],
)
async def test_state_of_a_containment(
    desk: Desk, found: Evidence | None, outcome: Outcome, releasing: bool, state: str
) -> None:
    desk.work()
    holds = [HOLD.model_copy(update={"releasing": releasing})]
    status = (await desk.of_containment(holds=holds, evidence=found, outcome=outcome)).status
    assert status.state == state
    degraded = find(status.conditions, reasons.DEGRADED)
    assert (degraded.message if degraded else "") == messages_of(outcome.problems)
    contained = find(status.conditions, reasons.CONTAINED)
    assert (contained.status if contained else None) == (found.contained.status if found else None)


async def test_what_was_proved_stays_said_until_it_is_looked_at_again(desk: Desk) -> None:
    desk.work()
    proof = [TargetProof(object="Deployment/v2", level="L2")]
    before = await desk.of_containment(evidence=evidence("True", "True", objects=proof))
    assert (before.status.proof, before.status.objects) == ("L2", proof)
    after = await desk.of_containment()
    assert after.status == before.status
    moved = await desk.of_containment(outcome=Outcome(written=1))
    assert (moved.status.state, moved.status.proof) == ("Containing", "L2")


async def test_a_fight_is_a_condition_while_it_lasts_and_is_left_alone_by_who_knows_nothing_of_it(desk: Desk) -> None:
    desk.work()
    said = []
    for contested in ("Deployment/v2 was moved", None, "", None):
        found = find((await desk.of_containment(contested=contested)).status.conditions, reasons.CONTESTED)
        said.append(found and (found.status, found.reason, found.message))
    fought = ("True", reasons.FOUGHT, "Deployment/v2 was moved")
    assert said == [fought, fought, None, None]
    assert desk.written == 2


async def test_a_problem_that_lasts_keeps_its_beginning_and_one_that_ends_is_gone(desk: Desk) -> None:
    desk.work()
    await desk.of_containment(outcome=Outcome(problems=[*problems("a")]))
    await desk.of_containment(outcome=Outcome(problems=[*problems("a")]))
    assert desk.written == 1
    status = (await desk.of_containment()).status
    assert find(status.conditions, reasons.DEGRADED) is None


async def test_the_newest_hold_that_stands_says_where_traffic_goes(desk: Desk) -> None:
    desk.work()
    standing = hold(incident("chat-2"), [BAD], known_good=workload("v0"))
    gone = hold(incident("chat-3"), [BAD], known_good=workload("v9"), releasing=True)
    assert (await desk.of_containment(holds=[HOLD, standing, gone])).status.known_good == "v0"
    assert (await desk.of_containment(holds=[gone])).status.known_good == ""


async def test_without_a_hold_nothing_is_said(desk: Desk) -> None:
    desk.work()
    await desk.of_containment(holds=[])
    assert desk.written == 0
