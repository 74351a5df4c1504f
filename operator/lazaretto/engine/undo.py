"""Puts a held object back straight from the watch event that shows it moved, without a pass in between.

A pass reads about twelve objects before it writes; while somebody brings a model back every two
seconds, that time is what its pods live for. So each pass leaves a standing order: what it
found around the model and what it demands. An event is compared with that by the same plan that
a pass makes, of the one object that it shows.

This must never hold anew what was released. Three things see to that:

- Nothing is written before the journal was read once more, from the API server, and says word for
  word what the order was made from. A release is stored there before it restores anything.
- A release waits for what is under way here (`overtaken`), and if anything was written since it
  looked, it looks again.
- Only what was in effect is put back: whatever is new to the journal, or was never written, and what
  merely keeps a GitOps tool away, is for the pass that every event rings for as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lazaretto.api import Containment
from lazaretto.domain.contest import Move
from lazaretto.domain.demands import all_stand
from lazaretto.domain.fields import find_target
from lazaretto.domain.scene import Demand, Scene
from lazaretto.engine.interference import interferences
from lazaretto.engine.opposition import Opposition
from lazaretto.engine.plan import ObjectPlan, plan_object
from lazaretto.engine.store import Key
from lazaretto.engine.surfaces import HELD
from lazaretto.errors import ApiError, TooLarge
from lazaretto.kube.annotation import is_aside
from lazaretto.kube.api_server import Api
from lazaretto.kube.resource import CONTAINMENTS
from lazaretto.kube.retry import RetryPolicy
from lazaretto.kube.surface import Object, Surface, uid_of, version_of

log = logging.getLogger(__name__)

AT_ONCE = RetryPolicy(per_try=1.0, deadline=1.0)
"""Whatever takes longer than that is no shortcut: the pass comes after it."""
_SURFACES: Mapping[str, Surface] = {surface.resource.kind: surface for surface in HELD}


@dataclass(frozen=True, slots=True)
class Order:
    """What a pass found and demands. It stands for as long as the journal stays the one that it is made from."""

    journal: Containment
    scene: Scene
    demand: Demand

    def is_of(self, journal: Containment) -> bool:
        """Whether the journal is still word for word the same."""
        known, now = self.journal.metadata, journal.metadata
        return (known.uid, known.generation) == (now.uid, now.generation)

    def undoing(self, obj: Object) -> ObjectPlan | None:
        """The plan that puts the object back; None if nothing was moved, or a pass has to see to it."""
        surface = _SURFACES.get(str(obj.get("kind", "")))
        if surface is None or not all_stand(self.journal.spec.holds):
            return None
        target = find_target(self.journal.spec.targets, uid_of(obj))
        try:
            plan = plan_object(surface, obj, scene=self.scene, demand=self.demand, target=target)
        except TooLarge:
            return None
        if plan is None or not plan.journalled:
            return None
        changes = tuple(change for change in plan.changes if not is_aside(change.path))
        return replace(plan, changes=changes) if changes else None


@dataclass(slots=True)
class _Model:
    order: Order
    under_way: set[asyncio.Future[None]] = field(default_factory=set)
    written: dict[str, int] = field(default_factory=dict)
    """Resource versions that own writes came to, by uid of the object."""
    unheard: list[Move] = field(default_factory=list)


class Undo:
    """See the module's text. Requires a running event loop."""

    def __init__(self, api: Api, opposition: Opposition) -> None:
        self._api = api
        self._opposition = opposition
        self._models: dict[Key, _Model] = {}

    def stand(self, key: Key, order: Order) -> None:
        """From now on, put back what this order says, which is nothing while one of its holds is being released."""
        if (model := self._models.get(key)) is None:
            self._models[key] = _Model(order)
        else:
            model.order = order

    def rest(self, key: Key) -> None:
        """The model is not contained any more."""
        self._models.pop(key, None)

    async def moved(self, key: Key, obj: Object) -> None:
        """Take in a watched object as it is now. Never raises; what could not be put back is left to the pass."""
        if (model := self._models.get(key)) is None:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        model.under_way.add(done)
        try:
            plan = model.order.undoing(obj)
            if plan is not None and plan.version > model.written.get(plan.uid, 0):
                await self._put_back(key, model, plan)
        except ApiError as error:
            log.info("a held object in %s/%s is not put back at once, but by the next pass: %s", *key, error)
        except Exception:
            # One object that cannot be read must not end the watch on it.
            log.exception("a held object in %s/%s cannot be put back at once", *key)
        finally:
            model.under_way.discard(done)
            done.set_result(None)

    async def _put_back(self, key: Key, model: _Model, plan: ObjectPlan) -> None:
        if not self._opposition.may_undo(key, plan.uid):
            return
        order = model.order
        body = await self._api.get(CONTAINMENTS, namespace=key[0], name=order.journal.metadata.name)
        journal = Containment.read(body)
        if not order.is_of(journal):
            return
        moves = list(interferences([plan], journal))
        if [move.change for move in moves] != list(plan.changes):
            return
        answer = await self._api.patch(plan.surface.write(plan.obj, plan.changes))
        model.written[plan.uid] = version_of(answer)
        model.unheard += moves
        self._opposition.opposed(key)

    async def overtaken(self, key: Key, plans: Sequence[ObjectPlan]) -> frozenset[str]:
        """Uids of planned objects that were put back since the plan saw them; waits for what is under way."""
        if (model := self._models.get(key)) is None:
            return frozenset()
        if model.under_way:
            await asyncio.wait(set(model.under_way))
        return frozenset(p.uid for p in plans if p.version < model.written.get(p.uid, 0))

    def unheard(self, key: Key) -> Sequence[Move]:
        """What was put back and nobody was told of yet."""
        model = self._models.get(key)
        return tuple(model.unheard) if model else ()

    def heard(self, key: Key, moves: Sequence[Move]) -> None:
        """These were told."""
        if (model := self._models.get(key)) is not None:
            model.unheard = [move for move in model.unheard if move not in moves]
