"""One object as the API server stores it, with its journal: moved by passes, and by people in between.

A pass is what the engine makes it: plan, journal, then the surface's patch, applied operation by operation.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from lazaretto.api.containment import JournalTarget
from lazaretto.domain.fields import Change
from lazaretto.domain.scene import Demand, Scene
from lazaretto.engine.gather import Live
from lazaretto.engine.plan import ObjectPlan, plan
from lazaretto.kube.request import JSON_PATCH, Request
from lazaretto.kube.surface import Surface, name_of, namespace_of
from tests.engine.json_patches import json_patched
from tests.unit.domain import objects

Object = dict[str, Any]


class HeldObject:
    """See the module's text. `defaulted` is what the API server makes of a body that it stores."""

    def __init__(self, surface: Surface, body: Object, *, defaulted: Callable[[Object], Object] = lambda body: body):
        self.surface = surface
        self._defaulted = defaulted
        self.body = defaulted(copy.deepcopy(body))
        self.target: JournalTarget | None = None
        self.writes = 0

    def plan(self, scene: Scene, demand: Demand) -> ObjectPlan | None:
        containment = objects.containment()
        containment = containment.model_copy(
            update={"spec": containment.spec.model_copy(update={"targets": [self.target] if self.target else []})}
        )
        live = Live({self.surface: [self.body]}, scene.workloads)
        return next(iter(plan(live, scene=scene, demand=demand, containment=containment).objects), None)

    def hold(self, scene: Scene, demand: Demand) -> None:
        """One pass: whatever is demanded is journalled, then written."""
        found = self.plan(scene, demand)
        if found is None:
            return
        self.target = found.entry
        if found.changes:
            self.send(self.surface.write(self.body, found.changes))

    def release(self, scene: Scene, demand: Demand | None = None) -> tuple[Change, ...]:
        """Gives back what is not demanded any more, and tells what was kept because it is somebody else's."""
        standing = demand or Demand()
        self.hold(scene, standing)
        found = self.plan(scene, standing)
        if found is not None and found.restore.changes:
            self.send(self.surface.write(self.body, found.restore.changes))
            found = self.plan(scene, standing)
        assert found is None or not found.restore.changes, "the release would never come to an end"
        return found.restore.kept if found else ()

    def meddle(self, change: Callable[[Object], object]) -> None:
        """Somebody else edits the object."""
        body = copy.deepcopy(self.body)
        change(body)
        self._store(body)

    def send(self, request: Request) -> None:
        """Raises `PatchRefusedError`, and nothing is stored, if one operation does not fit."""
        resource = self.surface.resource
        assert request.method == "PATCH"
        assert request.content_type == JSON_PATCH
        assert request.path == resource.path(namespace=namespace_of(self.body), name=name_of(self.body))
        assert request.query == {"fieldManager": self.surface.manager}
        assert isinstance(request.body, list)
        self.writes += 1
        self._store(json_patched(self.body, request.body))

    def _store(self, body: Object) -> None:
        stored = self._defaulted(body)
        if stored["spec"] != self.body["spec"]:
            stored["metadata"]["generation"] = self.body["metadata"]["generation"] + 1
        self.body = stored
