"""What each of our two processes may ever ask an API server, compared with what its audit log says of a whole run.

What is refused for lack of rights was asked all the same, so that RBAC alone does not show it. An account is held to
its own roles as the manifests ship and bind them: API group, resource, subresource and verb; cluster-wide only by what
is bound so; by the Role in its own namespace only the objects that it names. What containment may do is bound namespace
by namespace, so it names one, and it is never a write to Kubernetes' own namespaces or ours.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.cluster.audit import AuditLog, AuditRecord, Mark
from tests.unit.install.sources import NAMESPACE, Object, of_kind

ACCOUNTS = ("lazaretto-operator", "lazaretto-receiver")
EVERYWHERE, HERE, OPTED_IN = "cluster-wide", "in its own namespace", "in a namespace that opted in"
PROTECTED = {"kube-system", "kube-public", "kube-node-lease", NAMESPACE}
"""Where nothing is contained, whatever is bound."""
READS = {"get", "list", "watch"}
OWN_LEASE = "test-"
"""How the names of Leases begin that a test has replicas elect by, with a Role of its own."""
_PREFIX = f"system:serviceaccount:{NAMESPACE}:"
_AGENTS = ("lazaretto", "kopf")
"""What our processes call themselves. Tests that ask in their name call themselves something else, or nothing."""


class Grant(NamedTuple):
    """One request that an account may make; `names` are the only objects it may concern, none for any."""

    group: str
    resource: str
    verb: str
    where: str
    names: frozenset[str] = frozenset()


_ABOUT_ITSELF = {
    Grant("authentication.k8s.io", "selfsubjectreviews", "create", EVERYWHERE),
    Grant("authorization.k8s.io", "selfsubjectaccessreviews", "create", EVERYWHERE),
}
"""Granted to everybody by Kubernetes, and asked by the operator alone."""
_ON_REQUEST = {Grant("", "secrets", "get", OPTED_IN)}
"""Granted by name by people who want digests of their Secrets, and by no role that is shipped."""


def beyond_the_shipped_rights(audit: AuditLog) -> Mapping[str, int]:
    """Requests of our processes that no role of theirs speaks of, or in another's name, and how often each was made."""
    found: Counter[str] = Counter()
    for record in audit.since(Mark(0), users=[_PREFIX + account for account in ACCOUNTS]):
        account = record.user.removeprefix(_PREFIX)
        if record.user_agent.lower().startswith(_AGENTS) and not _expected(account, record):
            found[f"{account}: {record.verb} {_what(record)} as {record.impersonated or 'itself'}"] += 1
    return found


def expected_of(account: str) -> frozenset[Grant]:
    """Everything that an account may ask, from the roles that are shipped for it."""
    more = _ABOUT_ITSELF | _ON_REQUEST if account == "lazaretto-operator" else set()
    return frozenset(more | {grant for role, where in _roles_of(account) for grant in _grants(role, where)})


def _roles_of(account: str) -> Iterator[tuple[Object, str]]:
    """The roles of an account and where they count; by label alone those that are bound in each namespace."""
    everywhere = {each["roleRef"]["name"] for each in of_kind("ClusterRoleBinding").values() if _binds(each, account)}
    here = {each["roleRef"]["name"] for each in of_kind("RoleBinding").values() if _binds(each, account)}
    component = account.removeprefix("lazaretto-")
    for name, role in of_kind("ClusterRole").items():
        if name in everywhere:
            yield role, EVERYWHERE
        elif role["metadata"]["labels"].get("app.kubernetes.io/component") == component:
            yield role, OPTED_IN
    for name, role in of_kind("Role").items():
        if name in here:
            yield role, HERE


def _binds(binding: Object, account: str) -> bool:
    return any((each["name"], each["namespace"]) == (account, NAMESPACE) for each in binding["subjects"])


def _grants(role: Object, where: str) -> Iterator[Grant]:
    for rule in role["rules"]:
        names = frozenset(rule.get("resourceNames", ()))
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield Grant(group, resource, verb, where, names)


_expected_of = functools.cache(expected_of)


def _expected(account: str, record: AuditRecord) -> bool:
    if record.impersonated:
        return False
    if record.resource == "leases" and record.name.startswith(OWN_LEASE):
        return True
    if not record.resource:
        # What the server can do, its version and its health.
        return record.verb == "get"
    asked = (_group(record), _resource(record), record.verb)
    return any(grant[:3] == asked and _within(grant, record) for grant in _expected_of(account))


def _within(grant: Grant, record: AuditRecord) -> bool:
    if grant.names and record.name not in grant.names:
        return False
    if grant.where == HERE:
        return record.namespace == NAMESPACE
    if grant.where == OPTED_IN:
        return bool(record.namespace) and (record.verb in READS or record.namespace not in PROTECTED)
    return True


def _what(record: AuditRecord) -> str:
    group = _group(record)
    place = f" in {record.namespace}" if record.namespace else ""
    return f"{_resource(record)}{f'.{group}' if group else ''}{place}"


def _group(record: AuditRecord) -> str:
    """The API group, which stands in the path of every request for a resource; empty for the core's."""
    _, root, group, *_ = f"{record.uri}///".split("/")
    return group if root == "apis" else ""


def _resource(record: AuditRecord) -> str:
    return f"{record.resource}/{record.subresource}" if record.subresource else record.resource
