"""What an account asked of the API server in one namespace, read from the audit log.

The log is written as a request ends, an instant after its answer: `settled` waits until nothing has been added for
a moment. Requests are named as people write them: `patch deployments/scale`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from tests.cluster.audit import AuditLog, AuditRecord, Mark
from tests.e2e.scene import OPERATOR, RECEIVER

READS = frozenset({"get", "list", "watch"})
_QUIET_SECONDS = 0.3

# Everything that the two accounts ever have to ask in a protected namespace.
ALLOWED = {
    OPERATOR: frozenset(
        {
            *(f"{verb} {kind}" for verb in ("get", "list", "watch") for kind in ("deployments", "services")),
            *(f"{verb} horizontalpodautoscalers" for verb in ("get", "list", "watch", "patch")),
            *(f"{verb} {kind}" for verb in ("get", "list", "watch", "patch") for kind in ("httproutes", "grpcroutes")),
            *(f"{verb} scaledobjects" for verb in ("get", "list", "watch", "patch")),
            *("patch deployments/scale", "patch services", "list pods", "list endpointslices", "create events"),
            *("list events", "create configmaps", "delete modelrevisions"),
            *(f"{verb} containments" for verb in ("get", "create", "patch", "delete")),
            *(f"patch {kind} (dry run)" for kind in ("deployments/scale", "services", "httproutes", "grpcroutes")),
            *("get aiincidents", "get protectedmodels", "get modelrevisions", "create modelrevisions"),
            *("patch aiincidents/status", "patch containments/status"),
            *("patch modelrevisions/status", "patch protectedmodels/status", "patch responsepolicies/status"),
        }
    ),
    RECEIVER: frozenset({"create aiincidents", "patch aiincidents", "get aiincidents", "list aiincidents"}),
}
TARGETS = frozenset(
    {"patch deployments/scale", "patch services", "patch httproutes", "patch grpcroutes"}
    | {"patch horizontalpodautoscalers"}
)


def named(record: AuditRecord) -> str:
    """Verb and resource, and whether it was a dry run."""
    rehearsed = " (dry run)" if record.dry_run else ""
    return f"{record.verb} {record.resource}" + (f"/{record.subresource}" if record.subresource else "") + rehearsed


class Ledger:
    """Requests in one namespace since a moment."""

    def __init__(self, audit: AuditLog, namespace: str, *, mark: Mark | None = None) -> None:
        """Counts from now, or from `mark`."""
        self._audit = audit
        self._namespace = namespace
        self._mark = audit.mark() if mark is None else mark

    def settled(self) -> None:
        """Waits until no request was added for a moment."""
        seen = -1
        while (now := len(self.calls(OPERATOR, writes=True))) != seen:
            seen = now
            time.sleep(_QUIET_SECONDS)

    def calls(self, user: str, *, writes: bool = False) -> list[AuditRecord]:
        """The account's requests in the order in which they arrived."""
        found = [
            record
            for record in self._audit.since(self._mark, users=[user], namespace=self._namespace)
            if not (writes and record.verb in READS)
        ]
        return sorted(found, key=lambda record: record.received)

    def first(self, user: str, holds: Callable[[AuditRecord], bool]) -> AuditRecord:
        """The first request of which `holds` is true."""
        return next(record for record in self.calls(user) if holds(record))

    def targets(self) -> list[AuditRecord]:
        """The operator's successful writes to objects that are not its own, in order."""
        return [r for r in self.calls(OPERATOR, writes=True) if named(r) in TARGETS and r.code == 200]

    def stored(self) -> list[AuditRecord]:
        """The operator's writes that were carried out, whatever it heard of them, in order."""
        return [r for r in self.calls(OPERATOR, writes=True) if not r.dry_run and 200 <= r.code < 300]

    def decided(self) -> datetime | None:
        """When the first decision of a person was stored, if one was."""
        records = self._audit.since(self._mark, verbs=["create"], namespace=self._namespace)
        return min((r.at for r in records if r.resource == "incidentdecisions" and r.code == 201), default=None)

    def counted(self, user: str) -> Counter[str]:
        """How often what was asked."""
        return Counter(named(record) for record in self.calls(user))

    def excess(self, user: str) -> set[str]:
        """Requests that the account had no business to make, and those that were refused for lack of rights.

        Dry runs prove the fence by being refused.
        """
        calls = self.calls(user)
        refused = {f"{named(r)} refused" for r in calls if r.code in (401, 403) and not r.dry_run}
        return {named(r) for r in calls if named(r) not in ALLOWED[user]} | refused
