"""Every fault at every write, with Flux and Argo CD kept away meanwhile: in the end all is as it was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.faulty_line import Call, Fault, FaultyLine
from tests.engine.journal_laws import assert_lawful
from tests.engine.test_gitops import HELD, OWNING, SHAPE, SKIPPED, noted, owned_by_flux
from tests.engine.world import Operator, World

ABOUT = ("deployments", "httproutes", "horizontalpodautoscalers", "applications", "containments")


def furnished() -> World:
    world = World(SHAPE, more=[{**OWNING, "metadata": {"name": "models", "annotations": {"team": "x"}}}])
    world.api.absent.discard("applications")
    owned_by_flux(world)
    return world


def all_notes(world: World) -> dict[str, Any]:
    return {f"{kind}/{name}": noted(world, kind, name) for kind, name in (*HELD, ("Application", "models"))}


async def told(*, at: Call | None = None, fault: Fault = Fault.LOST) -> list[Call]:
    """An incident and its release; returns the calls."""
    world = furnished()
    before, specs = all_notes(world), world.specs()
    line = FaultyLine(world.api, at=at, fault=fault)
    operator = Operator(world, line)
    try:
        world.report()
        await operator.settle()
        assert noted(world, "Application", "models") == {"team": "x", **SKIPPED}
        assert all(noted(world, *held).get("kustomize.toolkit.fluxcd.io/reconcile") for held in HELD)
        world.approve()
        await operator.settle()
    finally:
        await operator.stop()
    assert world.containment is None
    assert all_notes(world) == before
    assert world.specs() == specs
    assert_lawful(world)
    return line.calls


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.value)
async def test_a_write_that_goes_wrong_changes_nothing_about_the_end(fault: Fault) -> None:
    clean = [call for call in await told() if not call.reads and call.what.split()[1].split("/")[0] in ABOUT]
    tried = [call for call in clean if fault in call.faults]
    wrong = {}
    for call in tried:
        try:
            await told(at=call, fault=fault)
        except AssertionError as error:
            wrong[str(call)] = str(error)
    assert len(tried) >= 8
    assert wrong == {}
