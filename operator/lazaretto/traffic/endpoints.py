"""`discovery.k8s.io/v1` EndpointSlices: which pods a Service leads to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lazaretto.kube.surface import Object, metadata


def endpoints_of(slices: Iterable[Object]) -> Iterator[tuple[str, Any]]:
    """Each endpoint of the slices, with the name of its Service; "" for a slice that belongs to none."""
    for piece in slices:
        service = (metadata(piece).get("labels") or {}).get("kubernetes.io/service-name", "")
        for endpoint in piece.get("endpoints") or ():
            yield service, endpoint


def pod_behind(endpoint: Any) -> str:
    """Uid of the endpoint's pod; "" if it is none."""
    return str((endpoint.get("targetRef") or {}).get("uid", ""))
