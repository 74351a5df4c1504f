"""The way back: from the last approval that was needed to the exact state of before."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from typing import Any

from tests.bench.clearing import API
from tests.bench.client import BareClient
from tests.bench.world import MODEL

_HELD = {
    "deployment": "/apis/apps/v1/namespaces/{}/deployments/" + f"{MODEL}-v2",
    "route": "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes/" + MODEL,
    "autoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/" + f"{MODEL}-v2",
}
_POLL = 0.01


async def specs(client: BareClient, namespace: str) -> dict[str, Any]:
    """What a containment changes, as it is now."""
    found = [await client.call("GET", path.format(namespace)) for path in _HELD.values()]
    return dict(zip(_HELD, [each["spec"] for each in found], strict=True))


async def restored(
    client: BareClient, people: Sequence[tuple[str, BareClient]], namespace: str, *, before: dict[str, Any]
) -> float:
    """Let people approve the release; seconds from the last one's answer until all is exactly as it was before."""
    incident = (await client.call("GET", f"{API}/namespaces/{namespace}/aiincidents"))["items"][0]
    for name, person in people:
        body = _approval(incident, by=name)
        await person.call("POST", f"{API}/namespaces/{namespace}/incidentdecisions", body)
    approved = time.perf_counter()
    while await specs(client, namespace) != before:
        assert time.perf_counter() - approved < 120, f"{namespace} is not as it was"
        await asyncio.sleep(_POLL)
    return time.perf_counter() - approved


def _approval(incident: dict[str, Any], *, by: str) -> dict[str, Any]:
    name, uid = incident["metadata"]["name"], incident["metadata"]["uid"]
    return {
        "apiVersion": "lazaretto.dev/v1alpha1",
        "kind": "IncidentDecision",
        "metadata": {"name": f"{name}-{uuid.uuid4().hex[:6]}"},
        "spec": {
            "incidentName": name,
            "incidentUID": uid,
            "verb": "ApproveRelease",
            "decidedBy": by,
            "reason": "looked at it",
        },
    }
