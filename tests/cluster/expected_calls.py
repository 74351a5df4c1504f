"""What our two processes may ever ask an API server, compared with what its audit log says of a whole run of tests.

What is refused for lack of rights was asked all the same, so that RBAC alone does not show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tests.cluster.audit import AuditLog, AuditRecord, Mark
from tests.unit.install.sources import NAMESPACE, of_kind, rights

_ACCOUNTS = tuple(f"system:serviceaccount:{NAMESPACE}:lazaretto-{name}" for name in ("operator", "receiver"))
_AGENTS = ("lazaretto", "kopf")
"""What our processes call themselves. Tests that ask in their name call themselves something else, or nothing."""
_ABOUT_ITSELF = {("selfsubjectreviews", "create"), ("selfsubjectaccessreviews", "create")}
_ON_REQUEST = {("secrets", "get")}
"""Granted by name by people who want digests of their Secrets, and by no role that is shipped."""


def beyond_the_shipped_rights(audit: AuditLog) -> Mapping[str, int]:
    """Requests of our processes that no role speaks of, or in another's name, and how often each was made."""
    roles = [*of_kind("ClusterRole").values(), *of_kind("Role").values()]
    granted = {(resource, verb) for role in roles for _, resource, verb in rights(role)}
    expected = granted | _ABOUT_ITSELF | _ON_REQUEST
    found: Counter[str] = Counter()
    for record in audit.since(Mark(0), users=_ACCOUNTS):
        ours = record.resource and record.user_agent.lower().startswith(_AGENTS)
        if ours and (record.impersonated or (_resource(record), record.verb) not in expected):
            name = record.user.rpartition(":")[2]
            found[f"{name}: {record.verb} {_resource(record)} as {record.impersonated or 'itself'}"] += 1
    return found


def _resource(record: AuditRecord) -> str:
    return f"{record.resource}/{record.subresource}" if record.subresource else record.resource
