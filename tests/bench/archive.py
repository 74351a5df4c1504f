"""Incidents of the past: as many copies of one that was contained and released as a run asks for."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from typing import Any

from tests.bench.clearing import API
from tests.bench.client import BareClient

_AT_ONCE = 16
_STATUS = "application/merge-patch+json"


async def fill(
    client: BareClient, operator: BareClient, *, pattern: dict[str, Any], namespaces: Sequence[str], count: int
) -> int:
    """Store `count` closed incidents like `pattern`, dealt out to the namespaces; the bytes of a list of all.

    `operator` has the one account that may write their status.
    """
    gate = asyncio.Semaphore(_AT_ONCE)
    status = _closed(pattern)

    async def one(number: int) -> None:
        namespace = namespaces[number % len(namespaces)]
        # Only the receiver may say that they came by alert.
        spec = copy.deepcopy(pattern["spec"]) | {"source": {"type": "Tool"}}
        for position, entry in enumerate(spec["alerts"]):
            entry["fingerprint"] = f"{number:012x}{position:04x}"
        # Numbers that the receiver will not come to.
        name = f"archive-{number:06d}"
        body = {
            "apiVersion": pattern["apiVersion"],
            "kind": pattern["kind"],
            "metadata": {"name": name, "labels": pattern["metadata"].get("labels", {})},
            "spec": spec,
        }
        path = f"{API}/namespaces/{namespace}/aiincidents"
        async with gate:
            await client.call("POST", path, body)
            await operator.call("PATCH", f"{path}/{name}/status", {"status": status}, content_type=_STATUS)

    await asyncio.gather(*map(one, range(count)))
    return await listed_bytes(client)


async def listed_bytes(client: BareClient) -> int:
    """Bytes of a list of all incidents."""
    return len(await client.raw(f"{API}/aiincidents"))


def _closed(pattern: dict[str, Any]) -> dict[str, Any]:
    status: dict[str, Any] = copy.deepcopy(pattern["status"])
    moment = status["times"].get("containedAt") or status["times"]["containmentStartedAt"]
    status["state"] = "Released"
    status["times"] |= {"releasedAt": moment, "closedAt": moment}
    status.pop("limited", None)
    return status
