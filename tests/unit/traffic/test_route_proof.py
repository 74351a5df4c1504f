"""What a route's status proves: every gateway that speaks of it has accepted this very generation."""

from __future__ import annotations

from typing import Any

import pytest

from lazaretto.traffic.gateway import GRPC, HTTP
from tests.unit.traffic.routes import Object, backend, route, rule

NAMES = ("Accepted", "ResolvedRefs")


def parent(
    name: str = "front", *, status: str = "True", generation: int | None = 4, types: tuple[str, ...] = NAMES
) -> Object:
    seen = {} if generation is None else {"observedGeneration": generation}
    return {"parentRef": {"name": name}, "conditions": [{"type": t, "status": status, **seen} for t in types]}


@pytest.mark.parametrize("surface", [HTTP, GRPC], ids=["HTTPRoute", "GRPCRoute"])
@pytest.mark.parametrize(
    ("parents", "level", "told"),
    [
        pytest.param([parent()], "L1", "accepted", id="one has accepted it"),
        pytest.param([parent(), parent("back", generation=5)], "L1", "accepted", id="two have, one is ahead"),
        pytest.param([], "L0", "no gateway has reported", id="none reports"),
        pytest.param(None, "L0", "no gateway has reported", id="there is no status"),
        pytest.param(
            [parent(generation=3)], "L0", "front has not reported Accepted for generation 4", id="an older one"
        ),
        pytest.param([parent(generation=None)], "L0", "front has not reported Accepted", id="of no generation"),
        pytest.param([parent(status="False")], "L0", "front has not reported Accepted", id="it is refused"),
        pytest.param([parent(status="Unknown")], "L0", "front has not reported Accepted", id="it is not decided"),
        pytest.param([parent(types=NAMES[:1])], "L0", "front has not reported ResolvedRefs", id="half is reported"),
        pytest.param([parent(types=NAMES[1:])], "L0", "front has not reported Accepted", id="the other half is"),
        pytest.param([parent(), parent("back", generation=3)], "L0", "back has not reported", id="one of two lags"),
        pytest.param([{}], "L0", "? has not reported Accepted", id="a gateway without a name"),
    ],
)
def test_a_route_is_proved_when(surface: Any, parents: list[Object] | None, level: str, told: str) -> None:
    found = route(rule(backend("good")))
    found["metadata"]["generation"] = 4
    if parents is not None:
        found["status"] = {"parents": parents}
    proof = surface.prove(found)
    assert proof.level == level
    assert told in proof.message


@pytest.mark.parametrize("surface", [HTTP, GRPC], ids=["HTTPRoute", "GRPCRoute"])
def test_a_restored_route_is_in_service(surface: Any) -> None:
    assert surface.settled(route(rule(backend("good")))) == ""
