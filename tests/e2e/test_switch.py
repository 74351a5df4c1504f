"""The one switch on a real control plane: nothing new begins by itself, what stands is defended and released."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lazaretto.domain.switch import SWITCH
from tests.cluster.waiting import until
from tests.e2e.raw_api import RawApi
from tests.e2e.scene import Scene, Stage, condition
from tests.e2e.shapes import MODEL, Shape

pytestmark = pytest.mark.cluster

SYSTEM = "lazaretto-system"


@contextmanager
def switched_off(admin: RawApi) -> Iterator[None]:
    """Automatic action is stopped for the whole cluster meanwhile."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": SWITCH}, "data": {"mode": "Observe"}}
    admin.create(body, namespace=SYSTEM)
    try:
        yield
    finally:
        admin.delete("configmaps", namespace=SYSTEM, name=SWITCH)


def await_waiting(scene: Scene) -> None:
    """Waits until the incident waits for a person because of the switch."""
    waiting = scene.await_state("AwaitingApproval")
    assert condition(waiting, "Stalled")["reason"] == "SwitchedOff"
    assert "ConfigMap lazaretto-switch says mode Observe" in waiting["status"]["reason"]
    until(lambda: [e for e in scene.events(f"{MODEL}-1") if e["reason"] == "Stalled"], what="a Warning Event")


def test_it_stops_what_is_new_and_nothing_else(stage: Stage, admin: RawApi) -> None:
    scenes = stage.build_all({"held": Shape(fenced=False), "approved": Shape(), "waiting": Shape()})
    held, approved, waiting = scenes["held"], scenes["approved"], scenes["waiting"]
    originals = {name: scene.specs() for name, scene in scenes.items()}
    held.report()
    held.contained()
    with switched_off(admin):
        for scene in (approved, waiting):
            scene.report()
            await_waiting(scene)
        assert (approved.specs(), waiting.specs()) == (originals["approved"], originals["waiting"])
        held.scale("support-llm-v2", 2)
        until(lambda: held.replicas() == 0, what="what is held is defended")
        approved.decide("alice", "ApproveContainment")
        approved.contained()
        held.release()
        assert held.specs() == originals["held"]
        assert waiting.specs() == originals["waiting"]
    waiting.contained()
