"""Whom the API server names as the writer of a field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lazaretto.kube.surface import Object, metadata


def last_foreign_manager(obj: Object, *, owning: Sequence[str]) -> str:
    """Field manager, other than us, that owns this field, with its subresource; the newest if there are several.

    Empty where the API server keeps no owner: of a field that was removed, and of a replica count
    that was raised from zero through `/scale` (its `replicas` is `omitempty`, so at zero nobody owns
    it, and what nobody owns is not tracked from there on).
    """
    entries = [
        e
        for e in metadata(obj).get("managedFields") or ()
        if not str(e.get("manager", "")).startswith("lazaretto") and _owns(e.get("fieldsV1") or {}, owning)
    ]
    # Entries of a write through a subresource carry no time; they took the field from whoever had it.
    newest = max(entries, key=lambda e: str(e.get("time") or "~"), default=None)
    if newest is None:
        return ""
    suffix = f" (/{newest['subresource']})" if newest.get("subresource") else ""
    return f"{newest.get('manager', '')}{suffix}"


def _owns(fields: Mapping[str, Any], path: Sequence[str]) -> bool:
    for step in path:
        if step not in fields:
            return False
        fields = fields[step]
    return True
