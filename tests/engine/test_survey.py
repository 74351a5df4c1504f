"""The standing self-test: could an incident of this model be answered right now, and what is missing if not."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from lazaretto.api import ModelRevision, ProtectedModel, ResponsePolicy, reasons
from lazaretto.domain.conditions import find
from lazaretto.engine.rights import RIGHTS_AGE
from lazaretto.engine.status_writer import StatusWriter
from lazaretto.engine.store import Store
from lazaretto.engine.survey import Survey
from lazaretto.engine.traffic_lookup import SILENCE, Ask
from lazaretto.errors import Invalid, Unavailable
from lazaretto.kube.api_server import ApiServer
from tests.e2e.shapes import ATTESTED, BAD, GOOD, MODEL, Shape
from tests.engine.memory_api import called
from tests.engine.world import NAMESPACE, NOON, ONCE, Operator, World

LISTED = ("horizontalpodautoscalers", "scaledobjects", "services", "httproutes", "grpcroutes")
READS = Counter({"get deployments": 2} | {f"list {plural}": 1 for plural in LISTED})
Edit = Callable[[World], object]


class Surveyor:
    """A survey of a world; its clock is moved by tests."""

    def __init__(self, world: World, traffic: Ask | None = None) -> None:
        self.world = world
        self.moment = NOON
        self.store = Store()
        api = ApiServer(world.api, policy=ONCE)
        self._statuses = StatusWriter(api, self.store)
        self.survey = Survey(
            api, self.store, self._statuses, clock=self, traffic=traffic, steady=lambda: self.moment.timestamp()
        )
        self.task = asyncio.create_task(self._statuses.work())

    def now(self) -> datetime:
        return self.moment

    async def look(self) -> tuple[bool, list[str]]:
        """Whether the model is ready, and what was asked and written for it."""
        self.world.tell(self.store)
        begun = len(self.world.api.requests)
        ready = await self.survey.survey(NAMESPACE, MODEL)
        for _ in range(100):
            await asyncio.sleep(0)
        return ready, [called(request) for request in self.world.api.requests[begun:]]

    @property
    def model(self) -> ProtectedModel:
        return ProtectedModel.read(self.world.read("ProtectedModel", MODEL))

    def standing(self) -> tuple[str, str, str]:
        """State, and the condition's reason and message."""
        armed = find(self.model.status.conditions, reasons.ARMED)
        assert armed is not None
        assert (armed.status == "True") == (self.model.status.state != "Disarmed")
        return self.model.status.state, armed.reason, armed.message


@pytest.fixture
async def begin() -> AsyncIterator[Callable[..., Surveyor]]:
    made: list[Surveyor] = []

    def start(world: World | None = None, traffic: Ask | None = None) -> Surveyor:
        made.append(Surveyor(world or World(), traffic))
        return made[-1]

    yield start
    for surveyor in made:
        surveyor.task.cancel()


async def test_a_model_that_can_be_answered_for_is_armed(begin: Callable[..., Surveyor]) -> None:
    surveyor = begin()
    ready, _ = await surveyor.look()
    assert ready
    assert surveyor.standing() == ("Armed", reasons.READY, "an incident can be answered")
    status = surveyor.model.status
    assert (status.known_good, status.policy, status.open_incidents, status.checked_at) == (
        ATTESTED,
        "leaks-at-once",
        0,
        NOON,
    )
    good = status.workloads[0]
    assert (good.name, good.revision, good.replicas, good.ready) == (GOOD, ATTESTED, 2, 2)


async def test_what_runs_and_was_never_recorded_is_recorded_once(begin: Callable[..., Surveyor]) -> None:
    surveyor = begin()
    await surveyor.look()
    revisions = {r.metadata.name: r for r in surveyor.store.all(ModelRevision)}
    assert len(revisions) == 2
    (made,) = [r for name, r in revisions.items() if name != ATTESTED]
    assert made.metadata.labels == {"lazaretto.dev/model": MODEL}
    assert [w.name for w in made.status.workloads] == [BAD]
    assert (made.status.state, made.status.available_since) == ("Soaking", NOON)
    assert revisions[ATTESTED].status.state == "Attested"
    _, calls = await surveyor.look()
    assert "create modelrevisions" not in calls


async def test_what_another_recorded_meanwhile_is_no_obstacle(begin: Callable[..., Surveyor]) -> None:
    world = World()
    await begin(world).look()
    late = begin(world)
    unheard = [name for name in (r["metadata"]["name"] for r in world.api.all("modelrevisions")) if name != ATTESTED]
    late.store.drop(
        ModelRevision, NAMESPACE, unheard[0], uid=world.read("ModelRevision", unheard[0])["metadata"]["uid"]
    )
    ready, calls = await late.look()
    assert (ready, calls.count("create modelrevisions")) == (True, 1)
    assert len(world.api.all("modelrevisions")) == 2


async def test_the_second_look_writes_what_was_earned_alone_and_asks_for_no_right_again(
    begin: Callable[..., Surveyor],
) -> None:
    surveyor = begin()
    _, first = await surveyor.look()
    assert first.count("create selfsubjectaccessreviews") == 5
    surveyor.moment += timedelta(minutes=1)
    _, second = await surveyor.look()
    assert Counter(second) == READS + Counter({"patch modelrevisions/status": 1}), "of the one that soaks"
    surveyor.moment += timedelta(seconds=5)
    _, soon = await surveyor.look()
    assert Counter(soon) == READS
    assert surveyor.model.status.checked_at == NOON, "it says when something last changed"
    surveyor.moment += RIGHTS_AGE
    _, third = await surveyor.look()
    assert third.count("create selfsubjectaccessreviews") == 5


def without(kind: str, name: str) -> Edit:
    return lambda world: world.remove(kind, name)


def edited(**spec: Any) -> Edit:
    return lambda world: world.change("ProtectedModel", MODEL, lambda body: body["spec"].update(spec))


def forbid(*calls: str) -> Edit:
    return lambda world: world.api.forbidden.update(calls)


def both(*edits: Edit) -> Edit:
    return lambda world: [edit(world) for edit in edits]


NO_POLICIES = both(without("ResponsePolicy", "leaks-at-once"), without("ResponsePolicy", "everything-else"))
LOST = [{"kind": "Deployment", "name": GOOD}, {"kind": "Deployment", "name": "nowhere"}]


@pytest.mark.parametrize(
    ("edit", "state", "reason", "message"),
    [
        (without("HTTPRoute", MODEL), "Degraded", reasons.ROUTE_NOT_FOUND, f"HTTPRoute/{MODEL} does not exist"),
        (
            edited(routes=[{"kind": "GRPCRoute", "name": MODEL}]),
            "Degraded",
            reasons.ROUTE_NOT_FOUND,
            f"GRPCRoute/{MODEL} does not exist",
        ),
        (edited(workloads=LOST), "Degraded", reasons.WORKLOAD_NOT_FOUND, "Deployment/nowhere does not exist"),
        (
            both(without("Deployment", GOOD), without("Deployment", BAD)),
            "Disarmed",
            reasons.WORKLOAD_NOT_FOUND,
            "no workload of the model exists",
        ),
        (without("ModelRevision", ATTESTED), "Degraded", reasons.NO_KNOWN_GOOD, "no revision is known to be good"),
        (NO_POLICIES, "Disarmed", reasons.NO_POLICY, "no ResponsePolicy of this namespace concerns the model"),
        (forbid("get deployments"), "Disarmed", reasons.FORBIDDEN, "may not read deployments: made up"),
        (forbid("list services"), "Disarmed", reasons.FORBIDDEN, "may not read services: made up"),
        (forbid("patch deployments/scale"), "Disarmed", reasons.FORBIDDEN, "may not patch deployments/scale"),
        (forbid("patch httproutes"), "Disarmed", reasons.FORBIDDEN, "may not patch httproutes"),
    ],
    ids=[
        "route is gone",
        "route of another kind",
        "a workload is gone",
        "all workloads are gone",
        "nothing is known to be good",
        "no policy",
        "workloads out of sight",
        "Services out of sight",
        "may not scale",
        "may not move routes",
    ],
)
async def test_what_is_missing_is_said(
    edit: Edit, state: str, reason: str, message: str, begin: Callable[..., Surveyor]
) -> None:
    surveyor = begin()
    edit(surveyor.world)
    ready, _ = await surveyor.look()
    found = surveyor.standing()
    assert found[:2] == (state, reason)
    assert message in found[2]
    assert not ready or reason == reasons.NO_KNOWN_GOOD


async def test_a_right_that_is_missing_is_asked_for_again_at_once(begin: Callable[..., Surveyor]) -> None:
    surveyor = begin()
    surveyor.world.api.forbidden = {"patch services"}
    await surveyor.look()
    assert surveyor.standing()[0] == "Disarmed"
    surveyor.world.api.forbidden = set()
    await surveyor.look()
    assert surveyor.standing()[0] == "Armed"


async def test_rights_that_cannot_be_asked_for_are_not_called_missing(begin: Callable[..., Surveyor]) -> None:
    surveyor = begin()
    surveyor.world.api.forbidden = {"create selfsubjectaccessreviews"}
    await surveyor.look()
    assert surveyor.standing()[0] == "Armed"


async def test_a_model_that_comes_up_is_looked_at_again(begin: Callable[..., Surveyor]) -> None:
    surveyor = begin()
    status = {"conditions": [{"type": "Available", "status": "False"}]}
    surveyor.world.change("Deployment", BAD, lambda body: body.update(status=status))
    assert (await surveyor.look())[0] is False
    surveyor.world.controllers()
    assert (await surveyor.look())[0] is True


async def test_what_could_not_be_read_changes_nothing(begin: Callable[..., Surveyor]) -> None:
    surveyor = begin()
    await surveyor.look()
    before = surveyor.model.status
    surveyor.world.api.hook = lambda request: (_ for _ in ()).throw(Unavailable(0, "made up"))
    with pytest.raises(Unavailable):
        await surveyor.look()
    assert surveyor.model.status == before


async def test_a_model_that_is_gone_is_not_looked_at(begin: Callable[..., Surveyor]) -> None:
    surveyor = begin()
    surveyor.world.remove("ProtectedModel", MODEL)
    assert await surveyor.look() == (True, [])


def tagged() -> World:
    """The good revision is named by a tag, and nobody has attested it."""
    world = World(Shape(attested=False))

    def tag(body: Any) -> None:
        body["spec"]["template"]["spec"]["containers"] = [{"name": "server", "image": "registry.example/vllm:1"}]

    world.change("Deployment", GOOD, tag)
    run(world, A)
    world.controllers()
    return world


def run(world: World, digest: str) -> None:
    """What the good revision's pods run."""
    seen = {"containerStatuses": [{"name": "server", "imageID": f"registry.example/vllm@sha256:{digest * 64}"}]}
    for number in range(2):
        world.change("Pod", f"{GOOD}-{number}", lambda body: body["status"].update(seen))


A, B = "ab"


def record(surveyor: Surveyor) -> ModelRevision:
    """What is known of the good revision."""
    (found,) = [r for r in surveyor.store.all(ModelRevision) if r.spec.images == ["registry.example/vllm:1"]]
    return found


async def test_a_tag_is_resolved_from_the_pods_and_a_move_is_told(begin: Callable[..., Surveyor]) -> None:
    surveyor = begin(tagged())
    _, calls = await surveyor.look()
    assert calls.count("list pods") == 1, "of the one workload whose template names a tag"
    status = record(surveyor).status
    assert (status.digest_confidence, [d.digest[-1] for d in status.digests]) == ("Resolved", [A])
    shown = {w.name: w.digest_confidence for w in surveyor.model.status.workloads}
    assert shown == {GOOD: "Resolved", BAD: "Mutable"}
    surveyor.moment += timedelta(hours=1)
    run(surveyor.world, B)
    await surveyor.look()
    status = record(surveyor).status
    assert (status.state, status.available_since, status.digest_confidence) == ("TagMoved", surveyor.moment, "Resolved")
    await surveyor.look()
    (good,) = [w for w in surveyor.model.status.workloads if w.name == GOOD]
    assert good.takes_over.startswith(f"no: TagMoved: the image of container server was sha256:{A * 64} and is sha256:")


async def test_pods_that_may_not_be_read_leave_a_tag_unresolved(begin: Callable[..., Surveyor]) -> None:
    surveyor = begin(tagged())
    await surveyor.look()
    surveyor.world.api.forbidden = {"list pods"}
    await surveyor.look()
    status = record(surveyor).status
    assert (status.digest_confidence, [d.digest[-1] for d in status.digests]) == ("Mutable", [A])


class Metrics:
    """A Prometheus that answers as a test says."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: bool | Exception = True

    async def ask(self, query: str) -> bool:
        self.asked.append(query)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


QUERY = 'rate(x{namespace="$namespace",deployment="$workload"}[5m])'


def earned(surveyor: Surveyor) -> tuple[int, str]:
    """Seconds of the bad revision, which nobody attested, and how they are counted."""
    (status,) = [r.status for r in surveyor.store.all(ModelRevision) if r.metadata.name != ATTESTED]
    condition = find(status.conditions, "KnownGood")
    assert condition is not None
    return status.soak.earned_seconds if status.soak else 0, condition.reason


async def test_a_soak_counts_while_there_is_traffic(begin: Callable[..., Surveyor]) -> None:
    world, metrics = World(), Metrics()
    edited(trafficQuery=QUERY)(world)
    surveyor = begin(world, metrics.ask)
    for answer, reason, seconds in (
        (True, "Soaking", 0),
        (True, "Soaking", 60),
        (False, "NoTraffic", 60),
        (True, "Soaking", 60),
        (Unavailable(0, "made up"), "TrafficUnknown", 60),
        (True, "Soaking", 60),
        (Invalid(400, "made up"), "TrafficUnknown", 60),
        (True, "Soaking", 60),
        (True, "Soaking", 120),
    ):
        metrics.answer = answer
        await surveyor.look()
        assert earned(surveyor) == (seconds, reason)
        surveyor.moment += timedelta(minutes=1)
    query = f'rate(x{{namespace="{NAMESPACE}",deployment="{BAD}"}}[5m])'
    assert set(metrics.asked) == {query}, "the attested one has nothing to prove"


async def test_who_does_not_answer_is_left_alone_for_a_while(begin: Callable[..., Surveyor]) -> None:
    world, metrics = World(), Metrics()
    edited(trafficQuery=QUERY)(world)
    surveyor = begin(world, metrics.ask)
    metrics.answer = Unavailable(0, "made up")
    await surveyor.look()
    await surveyor.look()
    assert len(metrics.asked) == 1
    surveyor.moment += timedelta(seconds=SILENCE)
    metrics.answer = True
    await surveyor.look()
    assert (len(metrics.asked), earned(surveyor)[1]) == (2, "Soaking")


async def test_without_a_question_or_somebody_to_ask_availability_counts(begin: Callable[..., Surveyor]) -> None:
    metrics = Metrics()
    silent = begin(World(), metrics.ask)
    world = World()
    edited(trafficQuery=QUERY)(world)
    for surveyor in (silent, begin(world)):
        await surveyor.look()
        surveyor.moment += timedelta(minutes=1)
        await surveyor.look()
        assert earned(surveyor) == (60, "SoakingByAvailability")
    assert metrics.asked == []


async def test_a_question_that_cannot_be_asked_is_told_and_earns_nothing(begin: Callable[..., Surveyor]) -> None:
    world, metrics = World(), Metrics()
    edited(trafficQuery="rate(x{deployment=$workload}[5m])")(world)
    surveyor = begin(world, metrics.ask)
    await surveyor.look()
    surveyor.moment += timedelta(minutes=1)
    await surveyor.look()
    assert (earned(surveyor), metrics.asked) == ((0, "TrafficUnknown"), [])


async def test_a_restart_keeps_what_was_stored(begin: Callable[..., Surveyor]) -> None:
    world = World()
    surveyor = begin(world)
    for _ in range(3):
        await surveyor.look()
        surveyor.moment += timedelta(minutes=1)
    assert earned(surveyor)[0] == 120
    after = begin(world)
    after.moment = surveyor.moment + timedelta(seconds=90)
    await after.look()
    assert earned(after)[0] == 120
    after.moment += timedelta(minutes=1)
    await after.look()
    assert earned(after)[0] == 180


async def test_an_incident_shows_on_the_model_and_on_the_revision_that_it_names(begin: Callable[..., Surveyor]) -> None:
    world = World(Shape())
    surveyor = begin(world)
    await surveyor.look()
    operator = Operator(world)
    world.report(target={"model": MODEL, "revision": BAD})
    await operator.settle()
    await surveyor.look()
    assert (surveyor.model.status.state, surveyor.model.status.open_incidents) == ("Contained", 1)
    (bad,) = [r for r in surveyor.store.all(ModelRevision) if r.metadata.name != ATTESTED]
    assert (bad.status.state, [r.incident for r in bad.status.revoked_by]) == ("Revoked", [f"{MODEL}-1"])
    world.approve()
    await operator.settle()
    await operator.stop()
    await surveyor.look()
    assert (surveyor.model.status.state, surveyor.model.status.open_incidents) == ("Armed", 0)
    (bad,) = [r for r in surveyor.store.all(ModelRevision) if r.metadata.name != ATTESTED]
    assert (bad.status.state, bad.status.revoked_by) == ("Soaking", [])


async def test_a_policy_says_whether_the_models_that_it_names_exist(begin: Callable[..., Surveyor]) -> None:
    world = World()
    world.change("ResponsePolicy", "leaks-at-once", lambda body: body["spec"]["match"].update(models=[MODEL, "gone"]))
    surveyor = begin(world)
    world.tell(surveyor.store)
    surveyor.survey.review_policies(NAMESPACE)
    await asyncio.sleep(0.01)
    found = {p.metadata.name: find(p.status.conditions, reasons.ACCEPTED) for p in surveyor.store.all(ResponsePolicy)}
    assert {name: c.status for name, c in found.items() if c} == {"leaks-at-once": "False", "everything-else": "True"}
