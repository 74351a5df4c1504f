"""For every CEL rule of every kind: what it lets through and what it stops.

A rule that refuses nothing reads exactly like one that works. `test_crds.py` runs all
examples against a real API server, and fails when a rule has none.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lazaretto.api import (
    AIIncident,
    Containment,
    IncidentDecision,
    ModelRevision,
    ProtectedModel,
    Resource,
    ResponsePolicy,
)

Spec = dict[str, Any]
Changes = Mapping[str, Any]
"""New values by dotted path, list items by number; `ABSENT` removes."""

ABSENT = object()
NOTHING: Changes = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleExample:
    """One rule, named by its message, with changes to `spec` that it allows and others that it refuses."""

    kind: type[Resource]
    message: str
    spec: Spec
    accepted: tuple[Changes, ...]
    refused: tuple[Changes, ...]
    on_update: bool = True
    """True: `spec` is stored first, and the changes are updates. False: the changed spec is created."""

    @property
    def name(self) -> str:
        """The example in one line, for test reports."""
        return f"{self.kind.facts.kind}: {self.message}"


def changed(spec: Spec, *, changes: Changes) -> Spec:
    """A copy of `spec` with the changes made."""
    result = copy.deepcopy(spec)
    for path, value in changes.items():
        *parents, last = (int(step) if step.isdigit() else step for step in path.split("."))
        node: Any = result
        for step in parents:
            node = node[step]
        if value is ABSENT:
            del node[last]
        elif isinstance(node, list) and last == len(node):
            node.append(value)
        else:
            node[last] = value
    return result


NOON = "2026-01-15T12:00:00Z"
LATER = "2026-01-15T12:00:01Z"

ALERT = {"fingerprint": "a1", "name": "Leak", "startsAt": NOON, "receivedAt": NOON, "firings": 2}
OTHER_ALERT = {**ALERT, "fingerprint": "b2"}
INCIDENT: Spec = {
    "source": {"type": "Alert", "sender": "main"},
    "target": {"model": "chat"},
    "category": "DataLeakage",
    "alerts": [ALERT],
    "alertsTruncated": True,
}
UNTARGETED: Spec = {"source": {"type": "Manual"}}

TARGET = {"group": "apps", "kind": "Deployment", "name": "chat-v2", "uid": "u2"}
FIELD = {"path": "spec.replicas", "base": "3", "held": "0"}
WORKLOAD = {"kind": "Deployment", "name": "chat-v2", "uid": "u2"}
TERMS = {"approvals": 2, "requesterMayApprove": False, "approvalsExpire": "1h30m"}
REACH = {
    **{"asked": "Auto", "phase": "Raising", "identity": "a" * 64, "replicas": 3, "needed": 3},
    **{"since": NOON, "until": LATER, "cutAt": NOON},
}
HOLD = {"incident": "chat-1", "incidentUID": "u7", "compromised": [WORKLOAD], "since": NOON, **TERMS}
CONTAINMENT: Spec = {
    "model": "chat",
    "holds": [HOLD],
    "targets": [{**TARGET, "fields": [FIELD, {"path": "spec.paused", "held": "true"}]}],
}
RESTORED: Spec = {
    "model": "chat",
    "targets": [{**TARGET, "fields": [FIELD]}, {**TARGET, "name": "chat-v3", "uid": "u3", "fields": [FIELD]}],
    "restored": ["u2"],
}
REACHING: Spec = {"model": "chat", "holds": [{**HOLD, "reach": REACH}]}
ROLLBACK: Spec = {
    "workload": {"kind": "Deployment", "name": "chat", "uid": "u1"},
    "revision": "chat-good",
    "identity": "a" * 64,
    "doneAt": NOON,
}
ROLLING_BACK: Spec = {"model": "chat", "holds": [{**HOLD, "rollback": ROLLBACK}]}
LET_GO: Spec = {
    "model": "chat",
    "targets": [{**TARGET, "fields": [FIELD, {"path": "spec.paused"}], "restored": ["spec.paused"]}],
}

REVISION: Spec = {"model": "chat", "identity": "a" * 64, "attestation": {"by": "ci"}}
DECISION: Spec = {
    "incidentName": "chat-1",
    "incidentUID": "u7",
    "verb": "Note",
    "decidedBy": "alice@example.com",
    "reason": "Seen.",
}
MODEL: Spec = {"workloads": [{"kind": "Deployment", "name": "chat"}]}
POLICY: Spec = {"mode": "Automatic", "actions": {}}

INCIDENT_EXAMPLES = (
    RuleExample(
        kind=AIIncident,
        message="the target can be neither added nor removed later",
        spec=INCIDENT,
        accepted=(NOTHING, {"summary": "Worse."}),
        refused=({"target": ABSENT}, {"target": None}),
    ),
    RuleExample(
        kind=AIIncident,
        message="the target can be neither added nor removed later",
        spec=UNTARGETED,
        accepted=({"summary": "Worse."},),
        refused=({"target": {"model": "chat"}},),
    ),
    RuleExample(
        kind=AIIncident,
        message="the target never changes",
        spec=INCIDENT,
        accepted=({"impact": {"compliance": 4}},),
        refused=({"target.model": "other"}, {"target.revision": "chat-v2"}),
    ),
    RuleExample(
        kind=AIIncident,
        message="the category never changes; a correction is an IncidentDecision",
        spec=INCIDENT,
        accepted=({"severityHint": "SEV1"},),
        refused=({"category": "ModelTheft"}, {"category": ABSENT}),
    ),
    RuleExample(
        kind=AIIncident,
        message="alerts are never removed",
        spec=INCIDENT,
        accepted=({"alerts.1": OTHER_ALERT}, {"alerts": [OTHER_ALERT, ALERT]}),
        refused=({"alerts": []}, {"alerts": ABSENT}, {"alerts": None}, {"alerts.0.fingerprint": "c3"}),
    ),
    RuleExample(
        kind=AIIncident,
        message="the source never changes",
        spec=INCIDENT,
        accepted=({"drill": True},),
        refused=({"source.type": "Manual"}, {"source.sender": ABSENT}),
    ),
    RuleExample(
        kind=AIIncident,
        message="alertsTruncated stays true",
        spec=INCIDENT,
        accepted=(NOTHING,),
        refused=({"alertsTruncated": False}, {"alertsTruncated": ABSENT}),
    ),
    RuleExample(
        kind=AIIncident,
        message="an alert's name, startsAt and receivedAt never change",
        spec=INCIDENT,
        accepted=({"alerts.0.resolvedAt": LATER}, {"alerts.0.lastStartsAt": LATER}, {"alerts.0.labels": {"a": "b"}}),
        refused=({"alerts.0.name": "Other"}, {"alerts.0.startsAt": LATER}, {"alerts.0.receivedAt": LATER}),
    ),
    RuleExample(
        kind=AIIncident,
        message="firings only grows",
        spec=INCIDENT,
        accepted=({"alerts.0.firings": 3},),
        refused=({"alerts.0.firings": 1}, {"alerts.0.firings": ABSENT}),
    ),
)

CONTAINMENT_EXAMPLES = (
    RuleExample(
        kind=Containment,
        message="the model never changes",
        spec=CONTAINMENT,
        accepted=({"restored": ["u2"]},),
        refused=({"model": "other"},),
    ),
    RuleExample(
        kind=Containment,
        message="a journalled object is removed only after its restore was verified (its uid is in restored)",
        spec=CONTAINMENT,
        accepted=({"targets.1": {**TARGET, "uid": "u3", "fields": [FIELD]}},),
        refused=(
            {"targets": []},
            {"targets": ABSENT},
            {"targets": None},
            {"targets.0.uid": "u3"},
            # Declared and removed in one write: nobody saw the restore.
            {"targets": [], "restored": ["u2"]},
        ),
    ),
    RuleExample(
        kind=Containment,
        message="a journalled object is removed only after its restore was verified (its uid is in restored)",
        spec=RESTORED,
        accepted=({"targets.0": ABSENT}, {"targets.0": ABSENT, "restored": []}),
        refused=({"targets.1": ABSENT}, {"targets": []}),
    ),
    RuleExample(
        kind=Containment,
        message="a journalled object's group, kind and name never change",
        spec=CONTAINMENT,
        accepted=({"targets.0.fields.0.held": "1"},),
        refused=(
            {"targets.0.group": "batch"},
            {"targets.0.group": ABSENT},
            {"targets.0.kind": "Job"},
            {"targets.0.name": "chat-v1"},
        ),
    ),
    RuleExample(
        kind=Containment,
        message="a journalled field is removed only after its restore was verified (its path is in restored)",
        spec=CONTAINMENT,
        accepted=({"targets.0.fields.2": {"path": "spec.other"}}, {"targets.0.restored": ["spec.paused"]}),
        refused=(
            {"targets.0.fields": [FIELD]},
            {"targets.0.fields.0.path": "spec.other"},
            # Declared and removed in one write: nobody saw the restore.
            {"targets.0.fields": [FIELD], "targets.0.restored": ["spec.paused"]},
        ),
    ),
    RuleExample(
        kind=Containment,
        message="a journalled field is removed only after its restore was verified (its path is in restored)",
        spec=LET_GO,
        accepted=({"targets.0.fields": [FIELD], "targets.0.restored": []}, {"targets.0.fields": [FIELD]}),
        refused=({"targets.0.fields.0": ABSENT},),
    ),
    RuleExample(
        kind=Containment,
        message="the approvals that a release needs only grow",
        spec=CONTAINMENT,
        accepted=({"holds.0.approvals": 3}, {"holds.0.releasing": True}, {"holds": []}),
        refused=({"holds.0.approvals": 1}, {"holds.0.approvals": ABSENT}),
    ),
    RuleExample(
        kind=Containment,
        message="who asked for the containment never gets to approve its release later",
        spec=CONTAINMENT,
        accepted=({"holds.0.releasing": True}, {"holds": []}),
        refused=({"holds.0.requesterMayApprove": True}, {"holds.0.requesterMayApprove": ABSENT}),
    ),
    RuleExample(
        kind=Containment,
        message="the time for which an approval counts only gets shorter",
        spec=CONTAINMENT,
        accepted=({"holds.0.approvalsExpire": "90m"}, {"holds.0.approvalsExpire": "5400s"}, {"holds": []}),
        refused=({"holds.0.approvalsExpire": "91m"}, {"holds.0.approvalsExpire": ABSENT}),
    ),
    RuleExample(
        kind=Containment,
        message="what was cut is never un-cut: cutAt is set once",
        spec=REACHING,
        accepted=({"holds.0.reach.phase": "Serving"}, {"holds": []}),
        refused=({"holds.0.reach.cutAt": ABSENT}, {"holds.0.reach.cutAt": LATER}),
    ),
    RuleExample(
        kind=Containment,
        message="what is known of a cut is not forgotten while the hold stands",
        spec=REACHING,
        accepted=({"holds.0.releasing": True}, {"holds": []}),
        refused=({"holds.0.reach": ABSENT},),
    ),
    RuleExample(
        kind=Containment,
        message="the identity that was found good never changes",
        spec=REACHING,
        accepted=({"holds.0.reach.lost": "its template was changed"},),
        refused=({"holds.0.reach.identity": "b" * 64},),
    ),
    RuleExample(
        kind=Containment,
        message="what is rolled back, and to what, never changes",
        spec=ROLLING_BACK,
        accepted=({"holds.0.compromised.0.rolledBack": True}, {"holds": []}),
        refused=(
            {"holds.0.rollback.identity": "b" * 64},
            {"holds.0.rollback.revision": "chat-other"},
            {"holds.0.rollback.workload.uid": "u2"},
        ),
    ),
    RuleExample(
        kind=Containment,
        message="a template is rolled back once, and that is not forgotten",
        spec=ROLLING_BACK,
        accepted=({"holds.0.releasing": True},),
        refused=({"holds.0.rollback.doneAt": ABSENT},),
    ),
    RuleExample(
        kind=Containment,
        message="a rollback is not forgotten while the hold stands",
        spec=ROLLING_BACK,
        accepted=({"holds.0.releasing": True}, {"holds": []}),
        refused=({"holds.0.rollback": ABSENT},),
    ),
    RuleExample(
        kind=Containment,
        message="a base never changes: it is what release restores",
        spec=CONTAINMENT,
        accepted=({"targets.0.fields.0.held": ABSENT}, {"targets.0.fields.1.held": "false"}),
        refused=(
            {"targets.0.fields.0.base": "0"},
            {"targets.0.fields.0.base": ABSENT},
            {"targets.0.fields.0.base": None},
            {"targets.0.fields.1.base": "false"},
        ),
    ),
)

OTHER_EXAMPLES = (
    RuleExample(
        kind=IncidentDecision,
        message="a decision never changes; create another one",
        spec=DECISION,
        accepted=(NOTHING,),
        refused=({"verb": "Close"}, {"reason": "Seen!"}, {"incidentUID": "u8"}, {"decidedBy": "bob@example.com"}),
    ),
    RuleExample(
        kind=IncidentDecision,
        message="ResetLimits needs a backlog, Contain or Leave, and no other decision has one",
        spec=DECISION,
        on_update=False,
        accepted=(NOTHING, {"verb": "ResetLimits", "backlog": "Leave"}),
        refused=({"verb": "ResetLimits"}, {"backlog": "Contain"}),
    ),
    RuleExample(
        kind=ModelRevision,
        message="model and identity never change",
        spec=REVISION,
        accepted=({"images": ["chat@sha256:1"]},),
        refused=({"model": "other"}, {"identity": "b" * 64}),
    ),
    RuleExample(
        kind=ModelRevision,
        message="an attestation is given once; revoke a revision by an incident that names it",
        spec=REVISION,
        accepted=(NOTHING,),
        refused=({"attestation": ABSENT}, {"attestation.by": "mallory"}, {"attestation.evidence": "trust me"}),
    ),
    RuleExample(
        kind=ProtectedModel,
        message="an exempt model must say why in exemptReason",
        spec=MODEL,
        on_update=False,
        accepted=({"exempt": True, "exemptReason": "Triage."}, {"exempt": False}, NOTHING),
        refused=({"exempt": True},),
    ),
    RuleExample(
        kind=ProtectedModel,
        message="trafficQuery must name $workload: one revision's traffic would count for all",
        spec=MODEL,
        on_update=False,
        accepted=(NOTHING, {"trafficQuery": 'rate(requests_total{deployment="$workload"}[5m])'}),
        refused=({"trafficQuery": "rate(requests_total[5m])"},),
    ),
    RuleExample(
        kind=ProtectedModel,
        message="name the workload or select it by matchLabels, not both",
        spec=MODEL,
        on_update=False,
        accepted=(NOTHING, {"workloads.0.name": ABSENT, "workloads.0.matchLabels": {"app": "chat"}}),
        refused=({"workloads.0.name": ABSENT}, {"workloads.0.matchLabels": {"app": "chat"}}),
    ),
    RuleExample(
        kind=ProtectedModel,
        message="matchLabels must not be empty: it would select every workload of the namespace",
        spec={"workloads": [{"kind": "Deployment", "matchLabels": {"app": "chat"}}]},
        on_update=False,
        accepted=(NOTHING,),
        refused=({"workloads.0.matchLabels": {}},),
    ),
    RuleExample(
        kind=ProtectedModel,
        message="matchLabels must not be empty: every alert of the namespace would match",
        spec={**MODEL, "alerts": {"matchLabels": {"service": "chat"}}},
        on_update=False,
        accepted=(NOTHING,),
        refused=({"alerts.matchLabels": {}},),
    ),
    RuleExample(
        kind=ResponsePolicy,
        message="at least one of shiftTraffic and scaleToZero must stay true; use mode Observe to do nothing",
        spec=POLICY,
        on_update=False,
        accepted=(NOTHING, {"actions": ABSENT}, {"actions.scaleToZero": False}, {"actions.shiftTraffic": False}),
        refused=({"actions": {"shiftTraffic": False, "scaleToZero": False}},),
    ),
    RuleExample(
        kind=ResponsePolicy,
        message="approvalsExpire must be at least 5m: people have to come together within it",
        spec=POLICY,
        on_update=False,
        accepted=({"release": {}}, {"release": {"approvalsExpire": "5m"}}, {"release": {"approvalsExpire": "99999h"}}),
        refused=({"release": {"approvalsExpire": "0h"}}, {"release": {"approvalsExpire": "4m59s"}}),
    ),
)

EXAMPLES = (*INCIDENT_EXAMPLES, *CONTAINMENT_EXAMPLES, *OTHER_EXAMPLES)
