"""What stood around each model when it was last looked at, by name.

A hint and nothing more. An object that a containment will need is read by name at once if it is
known here, and in a second round, after the first has found it, if it is not.

The first pass of a containment is in a hurry. If a model was looked at a moment ago, that pass reads by name the
autoscalers and routes that it had then, and searches for no others. The next pass, right after its writes, does.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lazaretto.api.containment import MOST_TARGETS
from lazaretto.domain.demands import pauses_gitops
from lazaretto.domain.scene import Demand, Scene
from lazaretto.engine.gather import Live, Name, gather
from lazaretto.engine.plan import plan
from lazaretto.engine.store import Key
from lazaretto.engine.triage import Known
from lazaretto.gitops.registry import OWNERS
from lazaretto.kube.api_server import Api
from lazaretto.traffic.registry import SERVICE
from lazaretto.workloads.registry import SCALERS

FRESH = 90.0
"""Seconds for which a look at a model is as good as new. Each is looked at once a minute."""


class Surroundings:
    """Names by model."""

    def __init__(self, *, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._names: dict[Key, frozenset[Name]] = {}
        self._complete: dict[Key, float] = {}
        """When a model was last looked at, if nothing was hidden or left out then."""
        self.absent: frozenset[str] = frozenset()
        """Kinds of autoscalers, and of what syncs, that were not installed when any model was last looked at.

        Routes are not among them: one answer of an API server that has just begun to serve must not leave a way
        to a model open. An autoscaler that is found late is undone.
        """

    def of(self, key: Key) -> frozenset[Name]:
        """Kinds and names of everything that a containment of the whole model would touch."""
        return self._names.get(key, frozenset())

    def remember(self, key: Key, live: Live, *, scene: Scene) -> None:
        """Note what leads to any workload of the model."""
        demand = Demand(compromised=live.workloads, scale_to_zero=live.workloads, shift=True, pause_gitops=True)
        found = [each.name for each in plan(live, scene=scene, demand=demand, containment=None).objects]
        # A Service is moved only if there is somewhere to move to, which this demand does not say.
        services = {s.name for w in live.workloads for s in scene.services_of(w)} - scene.routed
        found += [(SERVICE.resource.kind, name) for name in sorted(services)]
        self._names[key] = frozenset(found[:MOST_TARGETS])
        if live.denied or live.blind or len(found) > MOST_TARGETS:
            self._complete.pop(key, None)
        else:
            self._complete[key] = self._steady()
        self.absent = live.absent & {surface.resource.kind for surface in (*SCALERS, *OWNERS)}

    async def look(self, api: Api, known: Known) -> Live:
        """Everything that a pass over the model looks at. Raises `ApiError` when it could not be read."""
        if known.model is None and known.containment is None:
            return Live({}, ())
        key, gitops = (known.namespace, known.name), pauses_gitops(known.policies, known.containment)
        return await gather(
            api,
            namespace=known.namespace,
            model=known.model,
            containment=known.containment,
            familiar=self.of(key),
            absent=self.absent,
            gitops=gitops,
            recalled=known.containment is None and not gitops and self._fresh(key),
        )

    def forget(self, key: Key) -> None:
        """The model is gone."""
        self._names.pop(key, None)
        self._complete.pop(key, None)

    def _fresh(self, key: Key) -> bool:
        looked = self._complete.get(key)
        return looked is not None and self._steady() - looked < FRESH
