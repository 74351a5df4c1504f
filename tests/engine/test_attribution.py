"""Who moved a field, as far as the API server says."""

from __future__ import annotations

from typing import Any

import pytest

from lazaretto.domain.fields import Fields
from lazaretto.engine.attribution import last_foreign_manager


def owner(manager: str, *, time: str = "", subresource: str = "", fields: Fields | None = None) -> dict[str, Any]:
    entry = {"manager": manager, "fieldsV1": {"f:spec": {"f:replicas": {}}} if fields is None else fields}
    return entry | ({"time": time} if time else {}) | ({"subresource": subresource} if subresource else {})


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], ""),
        ([owner("kubectl", time="2026-01-02T10:00:00Z")], "kubectl"),
        ([owner("lazaretto-scale", subresource="scale")], ""),
        ([owner("kubectl", time="2026-01-02T10:00:00Z", fields={"f:metadata": {}})], ""),
        ([owner("a", time="2026-01-02T10:00:00Z"), owner("b", time="2026-01-02T11:00:00Z")], "b"),
        ([owner("a", subresource="scale"), owner("b", time="2026-01-02T11:00:00Z")], "a (/scale)"),
        ([{"manager": "odd"}], ""),
    ],
    ids=["nobody", "somebody", "ourselves", "of another field", "the newest", "through a subresource", "no fields"],
)
def test_who_moved_a_field(entries: list[Any], expected: str) -> None:
    obj = {"metadata": {"managedFields": entries}}
    assert last_foreign_manager(obj, owning=("f:spec", "f:replicas")) == expected


def test_without_managed_fields_nobody_is_named() -> None:
    assert last_foreign_manager({}, owning=("f:spec",)) == ""
    assert last_foreign_manager({"metadata": {"managedFields": None}}, owning=("f:spec",)) == ""
