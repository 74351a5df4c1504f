"""The Lease by which replicas elect a leader: read and written as a record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lazaretto.domain.election import Record
from lazaretto.kube.request import Request, json_patch
from lazaretto.kube.resource import LEASES

MANAGER = "lazaretto-election"
_MOMENT = "%Y-%m-%dT%H:%M:%S.%fZ"


def record_of(lease: Mapping[str, Any]) -> Record:
    """What it says. Anybody may have written it: what cannot be understood counts as not there."""
    spec = lease.get("spec") or {}
    return Record(
        holder=str(spec.get("holderIdentity") or ""),
        term=_number(spec.get("leaseTransitions")),
        seconds=max(0, _number(spec.get("leaseDurationSeconds"))),
        acquired=_moment(spec.get("acquireTime")),
        renewed=_moment(spec.get("renewTime")),
    )


def writing(record: Record, *, over: Mapping[str, Any]) -> Request:
    """Writes the record over the Lease as it was read, and over no other state of it."""
    metadata = over["metadata"]
    spec: dict[str, Any] = {"leaseDurationSeconds": record.seconds, "leaseTransitions": record.term}
    if record.holder:
        spec["holderIdentity"] = record.holder
    if record.acquired is not None:
        spec["acquireTime"] = record.acquired.strftime(_MOMENT)
    if record.renewed is not None:
        spec["renewTime"] = record.renewed.strftime(_MOMENT)
    operations = [
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "add", "path": "/spec", "value": spec},
    ]
    namespace, name = metadata["namespace"], metadata["name"]
    return json_patch(LEASES, operations, namespace=namespace, name=name, manager=MANAGER)


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except ValueError:
        return None
