"""The admission policies that a containment rests on while the operator is down, and whether they are as shipped. Pure.

A policy is recognised by the digest of what it enforces: matches, conditions, variables, validations, and what it marks
in the audit log. What the API server fills in by itself is left out, and the namespace of our accounts, which an
installation may choose, is made neutral; so the digest of a stored policy is that of its manifest. `ENFORCED` is
checked against `manifests/` by a test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

Spec = Mapping[str, Any]

PREFIX = "lazaretto-"
ACCOUNT = "system:serviceaccount:{}:lazaretto-"
NAMESPACE = "lazaretto-system"
"""Where the manifests install our accounts."""

ENFORCED: Mapping[str, str] = {
    "lazaretto-decisions": "e104a73d3873ba61",
    "lazaretto-decisions-kept": "edf79590686e3152",
    "lazaretto-fence-definitions": "480093637b3fbe86",
    "lazaretto-fence-evidence": "4d90bc6956fdeede",
    "lazaretto-fence-operator": "176f472af523aa1e",
    "lazaretto-fence-evidence-pods": "816448e1946f331a",
    "lazaretto-fence-pods": "877d10128d42231a",
    "lazaretto-fence-quarantine": "88a4dd3a3735f0e3",
    "lazaretto-fence-replicas": "001bd407ef3c7a2e",
    "lazaretto-fence-routes": "76e4b2fd13a5c389",
    "lazaretto-fence-services": "98839ad428976d4e",
    "lazaretto-fence-workloads": "45c19e66b5944c22",
    "lazaretto-incident-creators": "e49167baac30b2f6",
    "lazaretto-journal": "1512238ad92d5722",
}
"""Digest of each policy as it is shipped."""

_DEFAULTS: Mapping[str, Any] = {
    "matchPolicy": "Equivalent",
    "scope": "*",
    "objectSelector": {},
    "namespaceSelector": {},
}
_ENFORCING = (
    *("failurePolicy", "paramKind", "matchConstraints", "matchConditions", "variables", "validations"),
    "auditAnnotations",
)


def digest(spec: Spec, *, namespace: str = NAMESPACE) -> str:
    """Sixteen hexadecimal digits that differ for policies that enforce different things.

    `namespace` is that of our own accounts.
    """
    enforced = {key: _stated(spec[key]) for key in _ENFORCING if spec.get(key)}
    text = json.dumps(enforced, sort_keys=True, separators=(",", ":"))
    neutral = text.replace(ACCOUNT.format(namespace), ACCOUNT.format(""))
    return hashlib.sha256(neutral.encode()).hexdigest()[:16]


def shortcomings(policies: Mapping[str, Spec], bindings: Collection[Spec], *, namespace: str) -> Sequence[str]:
    """What is wrong with the policies, by name; nothing, if containment may rest on them.

    A policy without a binding that denies, or with one that narrows it, enforces nothing to rest on.
    """
    found = []
    for name, shipped in ENFORCED.items():
        if name not in policies:
            found.append(f"{name} is missing")
        elif digest(policies[name], namespace=namespace) != shipped:
            found.append(f"{name} was altered")
        elif not any(_binds(each, name, policies[name]) for each in bindings):
            found.append(f"{name} is not bound to deny everywhere")
    return found


def _binds(binding: Spec, name: str, policy: Spec) -> bool:
    reference = {"selector": {}, "parameterNotFoundAction": "Allow"} if policy.get("paramKind") else None
    return (
        binding.get("policyName") == name
        and "Deny" in (binding.get("validationActions") or ())
        and not _stated(binding.get("matchResources") or {})
        and binding.get("paramRef") == reference
    )


def _stated(value: Any) -> Any:
    """The value without what the API server fills in by itself."""
    if isinstance(value, Mapping):
        return {k: _stated(v) for k, v in value.items() if k not in _DEFAULTS or v != _DEFAULTS[k]}
    return [_stated(each) for each in value] if isinstance(value, list) else value
