"""What the journal ever showed, as an independent witness saw it."""

from __future__ import annotations

from tests.e2e.scene import plain
from tests.e2e.watcher import Watcher


def assert_one_base(watcher: Watcher) -> None:
    """No version of the journal ever showed another base than the first."""
    bases: dict[tuple[str, str], set[str]] = {}
    for version in watcher.seen("containments"):
        for target in version.body["spec"].get("targets", []):
            for field in target["fields"]:
                bases.setdefault((target["uid"], field["path"]), set()).add(plain(field.get("base")))
    assert bases
    assert all(len(found) == 1 for found in bases.values()), bases
