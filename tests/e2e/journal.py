"""What a containment ever wrote: the journal as an independent witness saw it, and its objects by the audit log."""

from __future__ import annotations

from collections import Counter

from tests.e2e.ledger import Ledger, named
from tests.e2e.scene import plain
from tests.e2e.shapes import BAD, MODEL
from tests.e2e.watcher import Watcher

_TOUCHED = {"deployments/scale": BAD, "httproutes": MODEL, "horizontalpodautoscalers": BAD}


def assert_one_base(watcher: Watcher) -> None:
    """No version of the journal ever showed another base than the first."""
    bases: dict[tuple[str, str], set[str]] = {}
    for version in watcher.seen("containments"):
        for target in version.body["spec"].get("targets", []):
            for field in target["fields"]:
                bases.setdefault((target["uid"], field["path"]), set()).add(plain(field.get("base")))
    assert bases
    assert all(len(found) == 1 for found in bases.values()), bases


def assert_written(ledger: Ledger, times: int) -> None:
    """Every object was written that often: once to contain it, and once to release it."""
    ledger.settled()
    counts = Counter((named(r).removeprefix("patch "), r.name) for r in ledger.targets())
    assert counts == dict.fromkeys(_TOUCHED.items(), times)
