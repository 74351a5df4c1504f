"""The fence is proved by dry runs that must be refused, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from lazaretto.api import reasons
from lazaretto.domain.conditions import find
from lazaretto.kube.request import Request
from lazaretto.kube.transport import Response
from tests.e2e.shapes import BAD, MODEL, Shape
from tests.engine.edits import contained
from tests.engine.memory_api import called, failure
from tests.engine.world import Operator, World

SCALE, ROUTE = "patch deployments/scale (dry run)", "patch httproutes (dry run)"
SERVICE = "patch services (dry run)"
POLICIES = {SCALE: "lazaretto-fence-replicas", ROUTE: "lazaretto-fence-routes", SERVICE: "lazaretto-fence-services"}


def by_policy(call: str) -> Response:
    message = f"ValidatingAdmissionPolicy '{POLICIES[call]}' with binding 'x' denied request: contained"
    return failure(403, "Forbidden", message=message)


def fencing(world: World, answers: Mapping[str, Response]) -> World:
    """These dry runs are answered so; any other passes."""

    def answer(request: Request) -> Response | None:
        return answers.get(called(request))

    world.api.hook = answer
    return world


def standing(world: World) -> str:
    found = find(world.incident().status.conditions, reasons.FENCED)
    assert found is not None
    assert world.containment is not None
    assert find(world.containment.status.conditions, reasons.FENCED) is not None
    return f"{found.status}/{found.reason}: {found.message}"


BOTH = {SCALE: by_policy(SCALE), ROUTE: by_policy(ROUTE)}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (BOTH, f"True/Proved: the API server refuses to undo Deployment/{BAD}, HTTPRoute/{MODEL}"),
        ({}, "False/NotFenced: not refused: to undo"),
        ({SCALE: BOTH[SCALE]}, f"False/NotFenced: not refused: to undo HTTPRoute/{MODEL}; lazaretto-fence-routes is"),
        ({ROUTE: BOTH[ROUTE]}, f"False/NotFenced: not refused: to undo Deployment/{BAD}; lazaretto-fence-replicas is"),
        ({**BOTH, SCALE: failure(403, "Forbidden")}, "Unknown/NotProved: not known whether it is refused to undo Dep"),
        ({**BOTH, SCALE: by_policy(ROUTE)}, "Unknown/NotProved"),
        ({**BOTH, ROUTE: failure(422, "Invalid")}, "Unknown/NotProved"),
        ({**BOTH, ROUTE: failure(404, "NotFound")}, "Unknown/NotProved"),
        ({ROUTE: failure(404, "NotFound")}, "False/NotFenced"),
    ],
    ids=["all", "none", "no routes", "no scale", "no right", "by another", "lost race", "gone", "worst counts"],
)
async def test_every_held_object_must_be_refused(
    answers: Mapping[str, Response], expected: str, begin: Callable[..., Operator]
) -> None:
    world = await contained(begin(fencing(World(), answers)))
    assert standing(world).startswith(expected)
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0, "a dry run that passes changes nothing"


async def test_a_held_service_is_tried_as_well(begin: Callable[..., Operator]) -> None:
    answers = {SCALE: by_policy(SCALE), SERVICE: by_policy(SERVICE)}
    world = await contained(begin(fencing(World(Shape(route="")), answers)))
    assert standing(world) == f"True/Proved: the API server refuses to undo Deployment/{BAD}, Service/{MODEL}"


async def test_it_is_proved_anew_with_each_pass(begin: Callable[..., Operator]) -> None:
    operator = begin(fencing(World(), BOTH))
    world = await contained(operator)
    assert standing(world).startswith("True")
    for _ in range(3):
        fencing(world, {SCALE: BOTH[SCALE]})
        await operator.once()
        assert standing(world).startswith("False/NotFenced")
        assert world.incident().status.state == "Degraded", "and it stays so as long as the fence is gone"
        assert "lazaretto-fence-routes" in world.incident().status.reason
    fencing(world, BOTH)
    await operator.once()
    assert standing(world).startswith("True")
    assert world.incident().status.state == "Contained"


async def test_a_fence_that_was_never_there_is_no_fault(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    await operator.once()
    assert standing(world).startswith("False/NotFenced")
    assert world.incident().status.state == "Contained"


async def test_what_is_released_is_not_fenced(begin: Callable[..., Operator]) -> None:
    operator = begin(fencing(World(), BOTH))
    world = await contained(operator)
    world.approve()
    await operator.settle()
    found = find(world.incident().status.conditions, reasons.FENCED)
    assert found is not None
    assert (found.status, found.reason) == ("False", reasons.RELEASE_VERIFIED)
    assert world.specs() == world.originals


@pytest.mark.parametrize("answers", [BOTH, {}], ids=["fenced", "not fenced"])
async def test_who_gets_past_the_fence_is_told_so(
    answers: Mapping[str, Response], begin: Callable[..., Operator]
) -> None:
    operator = begin(fencing(World(), answers))
    world = await contained(operator)
    world.change("Deployment", BAD, lambda body: body["spec"].update(replicas=5))
    fence = world.read("HorizontalPodAutoscaler", BAD)["spec"]
    world.change("HorizontalPodAutoscaler", BAD, lambda body: body["spec"].pop("behavior"))
    await operator.settle()
    told = {e.object: e.message for e in world.incident().status.timeline if e.type == "Interference"}
    past = ", past the fence as break-glass alone can," if answers else ""
    assert told[f"Deployment/{BAD}"].endswith(f"was set to 5 by somebody{past} and put back to 0")
    assert "past the fence" not in told[f"HorizontalPodAutoscaler/{BAD}"], "which the fence does not guard"
    assert world.read("HorizontalPodAutoscaler", BAD)["spec"] == fence


async def test_autoscalers_are_not_asked_about(begin: Callable[..., Operator]) -> None:
    world = await contained(begin())
    tried = {called(request) for request in world.api.requests if "dryRun" in request.query}
    assert tried == {SCALE, ROUTE}
