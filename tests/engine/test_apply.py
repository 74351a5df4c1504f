"""Planned writes go out together, and each of them comes to its own end."""

from __future__ import annotations

import asyncio

import pytest

from lazaretto.api import reasons
from lazaretto.domain.evidence import Problem
from lazaretto.engine.apply import Outcome, apply
from lazaretto.errors import Conflict
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.request import Request, at_version
from lazaretto.kube.transport import Response
from tests.e2e.shapes import BAD, GOOD, MODEL
from tests.engine.edits import replicas
from tests.engine.memory_api import failure
from tests.engine.plans import DEPLOYMENT, ROUTE, change, plan_of
from tests.engine.travelling_time import travelling
from tests.engine.world import ONCE, World

WEIGHT = "rules/{}/backends/Service:support-llm-v2:80.weight"


def writes(world: World) -> list:
    """Both Deployments to 0, and the route's second weight."""
    route = world.read("HTTPRoute", MODEL)
    path = next(p for p in ROUTE.read(route) if p.endswith(f"{BAD}:80.weight"))
    scale = change("spec.replicas", 3, 0)
    weight = change(path, 90, 0)
    found = [(plan_of(DEPLOYMENT, world.read("Deployment", name), changes=[scale]), [scale]) for name in (GOOD, BAD)]
    return [*found, (plan_of(ROUTE, route, changes=[weight]), [weight])]


async def applied(world: World) -> Outcome:
    return await apply(ApiServer(world.api, policy=ONCE), writes(world))


def state(world: World) -> tuple[int, int, int]:
    """Replicas of both, and the weight of the bad one."""
    good, bad = (world.read("Deployment", name)["spec"]["replicas"] for name in (GOOD, BAD))
    return good, bad, world.read("HTTPRoute", MODEL)["spec"]["rules"][0]["backendRefs"][1]["weight"]


async def test_everything_is_written() -> None:
    world = World()
    assert await applied(world) == Outcome(written=3)
    assert state(world) == (0, 0, 0)


async def test_nothing_to_write_is_nothing_sent() -> None:
    world = World()
    assert await apply(ApiServer(world.api), []) == Outcome()
    assert not world.api.requests


def test_all_are_under_way_at_once() -> None:
    async def scene() -> float:
        world = World()
        world.api.delay = 1.0
        await applied(world)
        return asyncio.get_running_loop().time()

    assert travelling(scene()) == 1.0


UID = World().read("Deployment", GOOD)["metadata"]["uid"]
FORBIDDEN = Problem(reasons.FORBIDDEN, f"may not write Deployment/{GOOD}: made up")


NOT_WRITTEN = Problem(reasons.NOT_WRITTEN, f"Deployment/{GOOD} not written: made up")
LONG = Problem(reasons.NOT_WRITTEN, f"Deployment/{GOOD} not written: {'x' * 256}")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (failure(409, "Conflict"), Outcome(written=2, stale=1)),
        (failure(404, "NotFound"), Outcome(written=2, stale=1)),
        (failure(403, "Forbidden"), Outcome(2, 0, [FORBIDDEN], {UID: FORBIDDEN})),
        (failure(401, "Unauthorized"), Outcome(2, 0, [NOT_WRITTEN])),
        (failure(422, "Invalid", cause="spec.replicas: too many"), Outcome(2, 0, [NOT_WRITTEN], {UID: NOT_WRITTEN})),
        (failure(422, "Invalid", message="x" * 1000, cause="the whole object"), Outcome(2, 0, [LONG], {UID: LONG})),
        (failure(500, "InternalError"), Outcome(2, 0, [NOT_WRITTEN])),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Response) else "",
)
async def test_one_that_fails_does_not_keep_the_others(answer: Response, outcome: Outcome) -> None:
    world = World()
    path = world.path("Deployment", GOOD) + "/scale"

    def refuse(request: Request) -> Response | None:
        return answer if request.path == path else None

    world.api.hook = refuse
    assert await applied(world) == outcome
    assert state(world) == (2, 0, 0)


async def test_a_successor_of_the_same_name_is_left_alone() -> None:
    world = World()
    planned = writes(world)
    for kind, name in (("Deployment", BAD), ("HTTPRoute", MODEL)):
        body = world.read(kind, name)
        world.remove(kind, name)
        del body["metadata"]["uid"]
        world.add(body)
    assert await apply(ApiServer(world.api, policy=ONCE), planned) == Outcome(written=1, stale=2)
    assert state(world) == (0, 3, 90)


async def test_a_write_that_arrives_after_a_release_does_nothing() -> None:
    """Its process was suspended with the write on its way, and the object looks as it did when that was planned."""
    world = World()
    [(plan, changes), *_] = [each for each in writes(world) if each[0].surface is DEPLOYMENT]
    late = at_version(DEPLOYMENT.write(plan.obj, changes), plan.obj["metadata"]["resourceVersion"])
    world.change("Deployment", GOOD, replicas(0))
    world.change("Deployment", GOOD, replicas(3))
    with pytest.raises(Conflict):
        await ApiServer(world.api, policy=ONCE).patch(late)
    assert world.read("Deployment", GOOD)["spec"]["replicas"] == 3


async def test_a_status_that_is_written_all_the_time_does_not_keep_a_model_from_being_held() -> None:
    world = World()
    planned = writes(world)

    def busy(request: Request) -> None:
        if request.method == "PATCH" and request.path.endswith("/scale"):
            for name in (GOOD, BAD):
                world.change(
                    "Deployment", name, lambda body: body.setdefault("status", {}).update(seen=len(world.api.requests))
                )

    world.api.hook = busy
    assert await apply(ApiServer(world.api, policy=ONCE), planned) == Outcome(written=3)
    assert state(world) == (0, 0, 0)


async def test_what_somebody_changed_meanwhile_is_planned_anew() -> None:
    world = World()
    planned = writes(world)
    world.change("Deployment", BAD, lambda body: body["spec"].update(replicas=7))
    assert await apply(ApiServer(world.api, policy=ONCE), planned) == Outcome(written=2, stale=1)
    assert state(world) == (0, 7, 0)
