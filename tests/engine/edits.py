"""What people do to objects, and what they ask of an operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.engine.memory_api import Object
from tests.engine.world import Operator, World

Edit = Callable[[Object], object]


async def contained(operator: Operator, **more: Any) -> World:
    operator.world.report(**more)
    await operator.settle()
    assert operator.world.incident().status.state == "Contained"
    return operator.world


def replicas(count: int) -> Edit:
    return lambda body: body["spec"].update(replicas=count)


def weight(count: int) -> Edit:
    return lambda body: body["spec"]["rules"][0]["backendRefs"][1].update(weight=count)


def behavior(value: Any) -> Edit:
    return lambda body: body["spec"].update(behavior=value)
