"""Somebody who holds the token of one of our accounts, and what they try with it: every attempt is one real request.

Paths and bodies speak of a place as the drill of stolen tokens furnishes it: `{here}` has opted in with every role
that is shipped and holds a contained model, `{elsewhere}` has not. Nothing is a rehearsal, and what is asked for is
there, so that one right too many would show as a success.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lazaretto.api import API_VERSION
from tests.cluster.installation import BREAK_GLASS
from tests.e2e.shapes import BAD, GOOD, MODEL
from tests.unit.install.sources import NAMESPACE

Json = Any
INCIDENT, REVISION, POLICY, DECISION = f"{MODEL}-1", f"{MODEL}-v2", "strict", "probe"
_CORE, _HERE, _ELSEWHERE = "/api/v1", "/api/v1/namespaces/{here}", "/api/v1/namespaces/{elsewhere}"
_OURS = f"/apis/{API_VERSION}/namespaces/{{here}}"
_APPS = "/apis/apps/v1/namespaces/{here}"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{here}"
_OWN_PLACE = f"{_CORE}/namespaces/{NAMESPACE}"
UP: Json = {"spec": {"replicas": 1}}
_ADMIN = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}
_ME = [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]
_ALL = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
_TEMPLATE = {"spec": {"template": {"spec": {"containers": [{"name": "model", "image": "evil"}]}}}}
_POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "evil"}, "spec": {"containers": [{"name": "c"}]}}
_FORGED = {"by": "ci", "evidence": "none"}


@dataclass(frozen=True)
class Attempt:
    """One request. A PATCH is a merge patch, of a list a JSON patch."""

    method: str
    path: str
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)


def named(kind: str, name: str, spec: Json) -> Json:
    """An object of ours."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _binding(kind: str) -> Json:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "evil"},
        "roleRef": _ADMIN,
        "subjects": _ME,
    }


def _as(user: str, *groups: str) -> Mapping[str, str]:
    return {"Impersonate-User": user, **({"Impersonate-Group": groups[0]} if groups else {})}


def approval(by: str, uid: str = "uid-1") -> Json:
    """A decision to release the contained model."""
    spec = {"incidentName": INCIDENT, "incidentUID": uid, "verb": "ApproveRelease", "decidedBy": by, "reason": "none"}
    return named("IncidentDecision", "forged", spec)


def of_either(account: str) -> dict[str, Attempt]:
    """What nobody can do with either token, for lack of rights."""
    own = f"system:serviceaccount:{NAMESPACE}:{account}"
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "evil"}, "rules": [_ALL]}
    widened = [{"op": "add", "path": "/rules/-", "value": _ALL}]
    return {
        "read a Secret": Attempt("GET", f"{_HERE}/secrets/hub"),
        "list the Secrets of a namespace": Attempt("GET", f"{_HERE}/secrets"),
        "list all Secrets": Attempt("GET", f"{_CORE}/secrets"),
        "read the senders' tokens": Attempt("GET", f"{_OWN_PLACE}/secrets/lazaretto-receiver-tokens"),
        "ask for another account's token": Attempt("POST", f"{_HERE}/serviceaccounts/default/token", {}),
        "bind cluster-admin": Attempt("POST", f"{_RBAC}/clusterrolebindings", _binding("ClusterRoleBinding")),
        "bind it in a namespace": Attempt("POST", f"{_RBAC}/namespaces/{{here}}/rolebindings", _binding("RoleBinding")),
        "make a Role of everything": Attempt("POST", f"{_RBAC}/namespaces/{{here}}/roles", role),
        "widen its own role": Attempt("PATCH", f"{_RBAC}/clusterroles/{account}", widened),
        "create a pod": Attempt("POST", f"{_HERE}/pods", _POD),
        "run a command in a pod": Attempt("POST", f"{_HERE}/pods/{{pod}}/exec?command=sh&stdout=true"),
        "attach to a pod": Attempt("POST", f"{_HERE}/pods/{{pod}}/attach?stdout=true"),
        "add a container to a pod": Attempt("PATCH", f"{_HERE}/pods/{{pod}}/ephemeralcontainers", UP),
        "talk through a pod": Attempt("GET", f"{_HERE}/pods/{{pod}}/proxy/"),
        "talk through a node": Attempt("GET", f"{_CORE}/nodes/node-0/proxy/pods"),
        "impersonate an administrator": Attempt("GET", f"{_HERE}/pods?limit=1", headers=_as("ada", "system:masters")),
        "impersonate for an emergency": Attempt("GET", f"{_HERE}/services", headers=_as("ada", BREAK_GLASS)),
        "impersonate an account": Attempt(
            "GET", f"{_HERE}/endpoints", headers=_as("system:serviceaccount:kube-system:namespace-controller")
        ),
        "approve a release": Attempt("POST", f"{_OURS}/incidentdecisions", approval(own)),
        "approve it as a person": Attempt("POST", f"{_OURS}/incidentdecisions?a=b", approval("alice")),
        "change a decision": Attempt("PATCH", f"{_OURS}/incidentdecisions/{DECISION}", {"spec": {"verb": "Close"}}),
        "delete a decision": Attempt("DELETE", f"{_OURS}/incidentdecisions/{DECISION}"),
        "edit a policy": Attempt("PATCH", f"{_OURS}/responsepolicies/{POLICY}", {"spec": {"mode": "Observe"}}),
        "delete a policy": Attempt("DELETE", f"{_OURS}/responsepolicies/{POLICY}"),
        "edit a model": Attempt("PATCH", f"{_OURS}/protectedmodels/{MODEL}", {"spec": {"policy": "none"}}),
        "write an attested revision": Attempt("PATCH", f"{_OURS}/modelrevisions/{REVISION}", {"spec": {"images": []}}),
        "attest a revision": Attempt("PATCH", f"{_OURS}/modelrevisions/bare", {"spec": {"attestation": _FORGED}}),
        "delete an incident": Attempt("DELETE", f"{_OURS}/aiincidents/{INCIDENT}"),
        "delete the fence": Attempt("DELETE", f"{_ADMISSION}/validatingadmissionpolicies/lazaretto-fence-replicas"),
        "unbind the fence": Attempt("DELETE", f"{_ADMISSION}/validatingadmissionpolicybindings/lazaretto-fence-pods"),
        "delete a kind": Attempt("DELETE", f"{_CRDS}/containments.lazaretto.dev"),
        "loosen a kind": Attempt("PATCH", f"{_CRDS}/containments.lazaretto.dev", {"spec": {"scope": "Cluster"}}),
        "take a namespace out": Attempt("PATCH", _HERE, {"metadata": {"labels": {"lazaretto.dev/protected": None}}}),
        "turn the switch": Attempt("PATCH", f"{_OWN_PLACE}/configmaps/lazaretto-switch", {"data": {"mode": "Observe"}}),
        "write a whole scale": Attempt("PUT", f"{_APPS}/deployments/{BAD}/scale", {}),
        "raise a ReplicaSet": Attempt("PATCH", f"{_APPS}/replicasets/any/scale", UP),
        "raise a model elsewhere": Attempt("PATCH", "/apis/apps/v1/namespaces/{elsewhere}/deployments/model/scale", UP),
        "move traffic elsewhere": Attempt("PATCH", f"{_ELSEWHERE}/services/model", {"spec": {"selector": {}}}),
        "read pods elsewhere": Attempt("GET", f"{_ELSEWHERE}/pods"),
    }


OF_THE_RECEIVER = {
    "raise a contained model": Attempt("PATCH", f"{_APPS}/deployments/{BAD}/scale", UP),
    "change a contained model": Attempt("PATCH", f"{_APPS}/deployments/{BAD}", UP),
    "move traffic": Attempt("PATCH", f"{_ROUTES}/httproutes/{MODEL}", {"spec": {"rules": []}}),
    "read pods": Attempt("GET", f"{_HERE}/pods"),
    "read workloads": Attempt("GET", f"{_APPS}/deployments"),
    "delete a pod": Attempt("DELETE", f"{_HERE}/pods/{{pod}}"),
    "forge a journal": Attempt("POST", f"{_OURS}/containments", named("Containment", "other", {"model": "other"})),
    "change the journal": Attempt("PATCH", f"{_OURS}/containments/{MODEL}", {"spec": {"holds": []}}),
    "delete the journal": Attempt("DELETE", f"{_OURS}/containments/{MODEL}"),
    "close an incident": Attempt("PATCH", f"{_OURS}/aiincidents/{INCIDENT}/status", {"status": {"state": "Closed"}}),
    "record a revision": Attempt("POST", f"{_OURS}/modelrevisions", named("ModelRevision", "new", {"model": MODEL})),
    "delete a revision": Attempt("DELETE", f"{_OURS}/modelrevisions/bare"),
    "forge an Event": Attempt("POST", f"{_HERE}/events", {}),
}
"""What nobody can do with the receiver's token beside."""

OF_THE_OPERATOR = {
    "create an incident": Attempt(
        "POST", f"{_OURS}/aiincidents", named("AIIncident", "other-1", {"source": {"type": "Manual"}})
    ),
    "change an incident": Attempt("PATCH", f"{_OURS}/aiincidents/{INCIDENT}", {"spec": {"summary": "none"}}),
    "read all pods": Attempt("GET", f"{_CORE}/pods"),
    "read a pod": Attempt("GET", f"{_HERE}/pods/{{pod}}"),
    "evict a pod": Attempt("POST", f"{_HERE}/pods/{{pod}}/eviction", {}),
    "take another Lease": Attempt(
        "PATCH", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler", {"spec": {}}
    ),
    "write another ConfigMap": Attempt("PATCH", f"{_HERE}/configmaps/kube-root-ca.crt", {"data": {}}),
}
"""What nobody can do with the operator's token beside, for lack of rights."""

NARROWED = {
    "raise a contained model by its Deployment": Attempt("PATCH", f"{_APPS}/deployments/{BAD}", UP),
    "change what serves": Attempt("PATCH", f"{_APPS}/deployments/{GOOD}", _TEMPLATE),
    "run something new": Attempt(
        "POST",
        f"{_APPS}/deployments",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "evil"},
            "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}},
            },
        },
    ),
    "delete a workload": Attempt("DELETE", f"{_APPS}/deployments/{GOOD}"),
    "change a pod's image": Attempt(
        "PATCH", f"{_HERE}/pods/{{pod}}", [{"op": "replace", "path": "/spec/containers/0/image", "value": "evil"}]
    ),
}
"""What the roles that are taken in by hand would let the operator do, and admission refuses."""


class Thief:
    """Sends attempts with one token and nothing else; `places` fills their paths."""

    def __init__(self, kubeconfig: Path, places: Mapping[str, str]) -> None:
        """Reads whom to be and where to go from a kubeconfig of our test control plane."""
        document = json.loads(kubeconfig.read_text())
        cluster = document["clusters"][0]["cluster"]
        address = urlsplit(cluster["server"])
        tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._connection = HTTPSConnection(address.hostname or "", address.port, timeout=30.0, context=tls)
        self._token = document["users"][0]["user"]["token"]
        self._places = dict(places)

    def path(self, attempt: Attempt) -> str:
        """The attempt's path and query as the API server sees them."""
        return attempt.path.format_map(self._places)

    def send(self, attempt: Attempt) -> tuple[int, str]:
        """Makes the attempt; returns the answer's status and text."""
        kind = "application/json"
        if attempt.method == "PATCH":
            kind = f"application/{'json' if isinstance(attempt.body, list) else 'merge'}-patch+json"
        body = None if attempt.body is None else json.dumps(attempt.body)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind, **attempt.headers}
        self._connection.request(attempt.method, self.path(attempt), body=body, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()
