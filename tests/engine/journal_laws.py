"""What must be true of every write in every history, whatever went wrong in between."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from lazaretto.api import Containment
from lazaretto.api.containment import JournalTarget
from lazaretto.domain.fields import ABSENT, Fields, read_journal
from tests.engine.memory_api import Stored, place_of
from tests.engine.world import SURFACES, World

TARGETS = frozenset(f"patch {plural}" for plural in SURFACES) | {"patch deployments/scale"}


def targets_written(history: Collection[Stored]) -> Counter[str]:
    """How often each object that is not ours was written."""
    return Counter(place_of(s.request.path).path for s in history if s.call in TARGETS)


def assert_lawful(world: World, *, theirs: Collection[tuple[str, str]] = ()) -> None:
    """The base was stored before the first touch and never changed; no entry went before it was restored.

    `theirs` are fields, by object name and path, that somebody else has changed: they need not be restored.
    """
    journal: dict[str, JournalTarget] = {}
    existing = {body["metadata"]["uid"] for body in world.api.objects.values()}
    live = dict(world.bases)
    for stored in world.api.history:
        uid = stored.body["metadata"]["uid"]
        if stored.call in TARGETS:
            assert uid in journal, f"{stored.request} before the journal knew the object"
            live[uid] = SURFACES[place_of(stored.request.path).plural].read(stored.body)
        elif stored.call.endswith(" containments"):
            held = [] if stored.call.startswith("delete") else Containment.read(stored.body).spec.targets
            new = {target.uid: target for target in held}
            for target in new.values():
                _assert_base(target, world.bases[target.uid])
            for old in (journal[uid] for uid in journal.keys() & existing):
                kept = read_journal(new.get(old.uid)).base.keys()
                _assert_restored(old, live.get(old.uid, {}), paths=_paths(old) - kept, theirs=theirs)
            journal = new


def _assert_base(target: JournalTarget, base: Fields) -> None:
    known = read_journal(target).base
    assert known == {path: base.get(path, ABSENT) for path in known}, f"{target.name}: not what it was before"


def _paths(target: JournalTarget) -> set[str]:
    return {field.path for field in target.fields}


def _assert_restored(
    target: JournalTarget, live: Fields, *, paths: Collection[str], theirs: Collection[tuple[str, str]]
) -> None:
    """Whatever the journal forgets was restored before."""
    base = read_journal(target).base
    wrong = {path for path in paths if live.get(path, ABSENT) != base[path]}
    assert wrong <= {path for name, path in theirs if name == target.name}, f"{target.name}: {wrong} not restored"


def plain_journal(containment: Containment | None) -> Mapping[str, Any]:
    """Every base and held value, by object and field."""
    targets = containment.spec.targets if containment else []
    found = {f"{t.kind}/{t.name}": {f.path: (f.base, f.held) for f in t.fields} for t in targets}
    return copy.deepcopy(found)
