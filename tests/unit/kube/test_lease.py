"""What a Lease says, and how it is written: over the very state that was read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from lazaretto.domain.election import Record
from lazaretto.kube.lease import record_of, writing

NOON = datetime(2026, 1, 2, 12, 0, 0, 5, tzinfo=UTC)
META = {"namespace": "lazaretto-system", "name": "lazaretto-operator", "uid": "u", "resourceVersion": "7"}


def test_what_is_written_is_what_is_read() -> None:
    record = Record("first", 3, 15, NOON, NOON)
    request = writing(record, over={"metadata": META})
    assert request.path.endswith("/namespaces/lazaretto-system/leases/lazaretto-operator")
    uid, version, put = cast(list[dict[str, Any]], request.body)
    assert (uid["op"], uid["value"], version["op"], version["value"]) == ("test", "u", "test", "7")
    assert put["value"]["renewTime"] == "2026-01-02T12:00:00.000005Z"
    assert record_of({"spec": put["value"]}) == record


def test_a_lease_that_is_given_up_names_no_holder() -> None:
    """The API server refuses an empty one."""
    request = writing(Record("", 3, 1, NOON, NOON), over={"metadata": META})
    assert "holderIdentity" not in cast(list[dict[str, Any]], request.body)[2]["value"]


@pytest.mark.parametrize(
    "lease",
    [
        {},
        {"spec": None},
        {
            "spec": {
                "renewTime": "yesterday",
                "leaseTransitions": "3",
                "leaseDurationSeconds": -5,
                "holderIdentity": None,
            }
        },
    ],
)
def test_what_cannot_be_understood_is_not_there(lease: Any) -> None:
    assert record_of(lease) == Record()
