"""Who moved a held field: found by comparing, named as far as the API server names anybody."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from lazaretto.api import reasons
from lazaretto.api.containment import Containment
from lazaretto.domain.conditions import is_true
from lazaretto.domain.contest import Move
from lazaretto.domain.fields import read_journal
from lazaretto.engine.attribution import last_foreign_manager
from lazaretto.engine.plan import ObjectPlan
from lazaretto.kube.annotation import is_annotation, is_aside
from lazaretto.kube.surface import metadata


def interferences(
    plans: Sequence[ObjectPlan], containment: Containment | None, *, kept_away: Collection[str] = ()
) -> Iterator[Move]:
    """Held fields that were in effect and are not any more, also those of an object that was deleted and made anew.

    That GitOps tools are kept away is in effect for the uids in `kept_away`; elsewhere it may never have been written.
    """
    if containment is None:
        return
    fenced = is_true(containment.status.conditions, reasons.FENCED)
    in_effect = {o.object for o in containment.status.objects if o.level}
    known = {(t.kind, t.name) for t in containment.spec.targets}
    for p in plans:
        held = read_journal(p.entry).held if p.name in known and p.ref in in_effect else {}
        for change in p.changes:
            aside = is_aside(change.path)
            if change.path in held and held[change.path] == change.after and (not aside or p.uid in kept_away):
                manager = last_foreign_manager(p.obj, owning=p.surface.owned)
                version = str(metadata(p.obj).get("resourceVersion", ""))
                guarded = bool(p.surface.fence) and not is_annotation(change.path)
                yield Move(p.ref, change, manager, version, past_fence=fenced and guarded)
