"""Plans for single objects, made by hand: what a test is about is said, all else is as it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lazaretto.api.containment import JournalTarget
from lazaretto.domain.fields import ABSENT, Change, Restoration, encode
from lazaretto.engine.plan import ObjectPlan
from lazaretto.kube.surface import Surface, name_of, uid_of
from tests.engine.memory_api import Object
from tests.engine.world import SURFACES

DEPLOYMENT, AUTOSCALER, SERVICE = (
    SURFACES[plural] for plural in ("deployments", "horizontalpodautoscalers", "services")
)
ROUTE = SURFACES["httproutes"]


def change(path: str, before: Any, after: Any) -> Change:
    return Change(path, before, after)


def plan_of(
    surface: Surface,
    obj: Object,
    *,
    wanted: Mapping[str, Any] | None = None,
    changes: Sequence[Change] = (),
    restore: Sequence[Change] = (),
    kept: Sequence[Change] = (),
    fields: Sequence[str] = (),
) -> ObjectPlan:
    """A plan. It journals the given fields, and those that are wanted or restored."""
    demanded = {c.path: c.after for c in changes} if wanted is None else dict(wanted)
    base = dict.fromkeys((*fields, *demanded), ABSENT) | {c.path: c.after for c in restore}
    entry = JournalTarget.model_validate(
        {
            "kind": surface.resource.kind,
            "name": name_of(obj),
            "uid": uid_of(obj),
            "fields": [{"path": path, "base": encode(value)} for path, value in base.items()],
        }
    )
    restoration = Restoration(tuple(restore), tuple(kept))
    return ObjectPlan(surface, obj, demanded, entry, True, tuple(changes), restoration)
