"""A hold whose incident is gone: told only when that is certain, and let go by an emergency's hand."""

from __future__ import annotations

from collections.abc import Callable

from lazaretto.api import reasons
from lazaretto.domain.conditions import find
from tests.e2e.shapes import MODEL
from tests.engine.edits import contained
from tests.engine.memory_api import failure
from tests.engine.world import Operator, World

INCIDENT = f"{MODEL}-1"


def told(world: World) -> str:
    assert world.containment is not None
    found = find(world.containment.status.conditions, reasons.ORPHANED)
    return found.message if found else ""


def let_go(world: World) -> None:
    world.change("Containment", MODEL, lambda body: body["spec"]["holds"][0].update(releasing=True))


async def test_what_a_start_has_not_read_yet_is_not_gone(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    stored = world.api.objects.pop(world.path("AIIncident", INCIDENT))
    await operator.settle()
    assert INCIDENT in told(world)
    world.api.hook = lambda request: failure(500, "InternalError") if request.path.endswith(INCIDENT) else None
    await operator.settle()
    assert told(world) == "", "an API server that does not answer is no proof"
    world.api.hook = None
    world.api.objects[world.path("AIIncident", INCIDENT)] = stored
    await operator.settle()
    assert told(world) == ""


async def test_the_entry_that_is_set_to_releasing_is_restored_exactly(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    world.remove("AIIncident", INCIDENT)
    await operator.settle()
    assert "/spec/holds/0/releasing" in told(world)
    let_go(world)
    await operator.settle()
    assert (world.specs(), world.containment) == (world.originals, None)


async def test_an_emergency_releases_an_incident_that_is_there_as_well(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    let_go(world)
    await operator.settle()
    assert (world.specs(), world.containment) == (world.originals, None)
    status = world.incident().status
    assert (status.state, status.approvals) == ("Released", [])
    assert "break-glass" in status.reason
