"""NetworkPolicies that keep compromised pods to themselves, and how far they can be trusted to. Pure.

A NetworkPolicy allows; what is selected by one and allowed by none is denied. So ours select the pods and allow
nothing, and a policy of somebody else that selects the same pods and allows something makes ours void. Whether the
network enforces any of them, no API tells.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lazaretto.api import reasons
from lazaretto.api.containment import EvidencePod, Hold
from lazaretto.api.meta import LABEL_MODEL, LABEL_QUARANTINE
from lazaretto.domain.demands import standing
from lazaretto.domain.evidence import Finding, Problem
from lazaretto.domain.scene import Labels

Object = Mapping[str, Any]

KIND = "NetworkPolicy"
OURS = {"app.kubernetes.io/managed-by": "lazaretto"}
ROLE = "bind the ClusterRole lazaretto-isolation to the operator's account in this namespace"


@dataclass(frozen=True, slots=True)
class Quarantine:
    """One NetworkPolicy of ours: its name, and the labels of the pods that it cuts off."""

    name: str
    labels: Labels
    kind: str = KIND

    @property
    def spec(self) -> dict[str, Any]:
        """Denies everything in both directions."""
        return {"podSelector": {"matchLabels": dict(self.labels)}, "policyTypes": ["Ingress", "Egress"]}

    def body(self, *, model: str, namespace: str) -> dict[str, Any]:
        """The whole object."""
        labels = {**OURS, LABEL_MODEL: model, LABEL_QUARANTINE: model}
        metadata = {"name": self.name, "namespace": namespace, "labels": labels}
        return {"apiVersion": "networking.k8s.io/v1", "kind": KIND, "metadata": metadata, "spec": self.spec}

    def is_as_made(self, policy: Object) -> bool:
        """Whether nobody has altered it."""
        spec = policy.get("spec") or {}
        stated = {"podSelector": spec.get("podSelector"), "policyTypes": sorted(spec.get("policyTypes") or ())[::-1]}
        return stated == self.spec and not spec.get("ingress") and not spec.get("egress")


def quarantines(holds: Sequence[Hold], *, model: str, evidence: bool = False) -> list[Quarantine]:
    """What the standing holds ask for, one for each set of labels; `evidence`: other pods that were kept are left."""
    found: dict[str, Quarantine] = {}
    for hold in standing(holds):
        for workload in hold.compromised if hold.isolate else ():
            if workload.selector:
                name = f"lazaretto-{model}-{_digest(workload.selector)}"
                found[name] = Quarantine(name, workload.selector)
        evidence = evidence or hold.keep_pods > 0
    if evidence:
        name = f"lazaretto-{model}-evidence"
        found[name] = Quarantine(name, {LABEL_QUARANTINE: model})
    return [found[name] for name in sorted(found)]


def not_told_apart(holds: Sequence[Hold]) -> list[Problem]:
    """Workloads whose pods carry no labels that the known-good's do not carry as well."""
    refs = sorted({w.ref for h in standing(holds) if h.isolate or h.keep_pods for w in h.compromised if not w.selector})
    text = "pods of {} are not isolated or kept: no label tells them from those of the known-good revision"
    return [Problem(reasons.NOT_TOLD_APART, text.format(", ".join(refs)))] if refs else []


def is_ours(policy: Object, *, model: str) -> bool:
    """Whether the operator made it for this model; nobody else may label one so."""
    labels = _labels(policy)
    return labels.get(LABEL_QUARANTINE) == model and OURS.items() <= labels.items()


def selects(selector: Object, labels: Labels) -> bool:
    """Whether a label selector selects what carries these labels."""
    exact: Labels = selector.get("matchLabels") or {}
    return exact.items() <= labels.items() and all(
        _fits(each, labels) for each in selector.get("matchExpressions") or ()
    )


def allowing(policies: Iterable[Object], *, labels: Sequence[Labels]) -> list[str]:
    """Names of policies that allow traffic of pods with any of these sets of labels."""
    found = []
    for policy in policies:
        spec = policy.get("spec") or {}
        opens = bool(spec.get("ingress") or spec.get("egress"))
        if opens and any(selects(spec.get("podSelector") or {}, each) for each in labels):
            found.append(str(policy["metadata"]["name"]))
    return sorted(found)


def labels_at_stake(holds: Sequence[Hold], *, model: str) -> list[Labels]:
    """Labels of the pods that are to be cut off."""
    found: list[Labels] = [w.pod_labels for h in standing(holds) if h.isolate for w in h.compromised if w.selector]
    return found + [{LABEL_QUARANTINE: model}] * any(h.keep_pods for h in standing(holds))


def finding(
    wanted: Sequence[Quarantine], *, made: Collection[str], problems: Sequence[Problem], allowed_by: Sequence[str]
) -> Finding:
    """How far the pods are isolated; never `True`."""
    missing = [each.name for each in wanted if each.name not in made]
    if problems:
        return Finding("False", problems[0].reason, "; ".join(problem.message for problem in problems))
    if missing:
        return Finding("False", reasons.NOT_ISOLATED, f"not there: {KIND} {', '.join(missing)}")
    names = ", ".join(each.name for each in wanted)
    if allowed_by:
        text = f"{KIND} {', '.join(allowed_by)} allows traffic of pods that {names} cuts off: policies add up"
        return Finding("False", reasons.ALSO_ALLOWED, text)
    text = f"{KIND} {names} denies all traffic; no API tells whether the network enforces it"
    return Finding("Unknown", reasons.ENFORCEMENT_UNKNOWN, text)


def kept_text(holds: Sequence[Hold], *, there: Collection[str]) -> str:
    """What became of the pods that were to be kept, for people; empty if none were."""
    asked = [hold for hold in standing(holds) if hold.keep_pods]
    pods = [pod for hold in asked for pod in hold.evidence_pods]
    parts = [
        ("kept as evidence: ", [p for p in pods if p.uid in there]),
        ("not kept, or gone by now: ", [p for p in pods if p.uid not in there]),
    ]
    told = [f"{text}{_pods(some)}" for text, some in parts if some]
    return "; ".join(told) or ("no pod was ready to be kept as evidence" if asked else "")


def _pods(pods: Iterable[EvidencePod]) -> str:
    return ", ".join(f"Pod/{pod.name}" for pod in pods)


def _fits(expression: Object, labels: Labels) -> bool:
    key, values = str(expression.get("key")), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def _digest(labels: Labels) -> str:
    return hashlib.sha256(json.dumps(dict(labels), sort_keys=True).encode()).hexdigest()[:10]


def _labels(obj: Object) -> Labels:
    found: Labels = (obj.get("metadata") or {}).get("labels") or {}
    return found
