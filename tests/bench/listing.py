"""The pages by which a process reads all incidents: which ones, from the audit log, and how large each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.bench.client import BareClient
from tests.cluster.audit import AuditLog, Mark


def pages_asked(audit: AuditLog, mark: Mark, *, user: str) -> list[str]:
    """Path and query of every page of incidents that was asked for since then, in that order."""
    records = audit.since(mark, users=[user], verbs=["list"])
    return [r.uri for r in records if r.resource == "aiincidents" and r.code == 200]


async def weighed(client: BareClient, uris: Sequence[str]) -> dict[str, Any]:
    """Number and bytes of those pages: each is asked for once more, while what it continues is remembered (5 min)."""
    sizes = [len(await client.raw(uri)) for uri in uris]
    queries = [parse_qs(urlsplit(uri).query) for uri in uris]
    return {
        "pages": len(sizes),
        "lists": sum("continue" not in query for query in queries),
        "limits": sorted({int(query.get("limit", ["0"])[0]) for query in queries}),
        "bytes": sum(sizes),
        "largest": max(sizes, default=0),
    }
