"""What somebody can do who holds the token of one of our accounts and nothing else: no more than the account's work.

The operator's account has every role that is shipped. Each attempt is really made, against what is really there; the
API server's audit log is the witness that it was refused, and by whom.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster import thief
from tests.cluster.audit import AuditRecord, Mark
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fence_stories import Place
from tests.cluster.installation import administrator, create, decision, incident, resource
from tests.cluster.thief import DECISION, INCIDENT, POLICY, REVISION, UP, Attempt, Thief, named
from tests.cluster.waiting import until
from tests.e2e.raw_api import RawApi
from tests.e2e.shapes import BAD, MODEL
from tests.unit.install.sources import NAMESPACE, OPT_IN

pytestmark = pytest.mark.cluster

OPERATOR, RECEIVER = "lazaretto-operator", "lazaretto-receiver"
VERBS = {"GET": ("get", "list"), "POST": ("create",), "PATCH": ("patch",), "PUT": ("update",), "DELETE": ("delete",)}
_KEPT = ("deployments", "aiincidents", "containments", "incidentdecisions", "modelrevisions", "responsepolicies")


@dataclass(frozen=True)
class Robbery:
    """A place worth robbing, and one thief for each account."""

    plane: ControlPlane
    admin: RawApi
    here: str
    thieves: Mapping[str, Thief]

    def stored(self) -> dict[str, Any]:
        """What is there, as far as anybody asks for it."""
        return {
            f"{plural}/{each['metadata']['name']}": each["spec"]
            for plural in _KEPT
            for each in self.admin.get(plural, namespace=self.here)
        }

    def sent(self, account: str, attempt: Attempt) -> AuditRecord:
        """Makes an attempt; returns it as the API server's audit log has it."""
        mark = self.plane.audit.mark()
        self.thieves[account].send(attempt)
        return self.seen(account, attempt, mark)

    def seen(self, account: str, attempt: Attempt, mark: Mark) -> AuditRecord:
        asked = (f"system:serviceaccount:{NAMESPACE}:{account}", self.thieves[account].path(attempt))
        verbs = VERBS[attempt.method]
        return self.plane.audit.wait_for(
            mark, matches=lambda record: (record.user, record.uri) == asked and record.verb in verbs
        )


@pytest.fixture(scope="module")
def robbery(fenced: ControlPlane) -> Iterator[Robbery]:
    """A contained model in a namespace with all roles that are shipped, and another that never opted in."""
    place = Place.build(fenced)
    here, elsewhere = place.name, f"{place.name}-else"
    for name in ("copies", "gitops", "rollback"):
        fenced.apply((OPT_IN / f"{name}.yaml").read_text().replace("my-models", here))
    bind = ("create", "rolebinding", "configuration", "--clusterrole=lazaretto-configuration", "-n", here)
    fenced.kubectl(*bind, f"--serviceaccount={NAMESPACE}:{OPERATOR}")
    fenced.kubectl("create", "secret", "generic", "hub", "--from-literal=token=abc", "-n", here)
    attested = {"by": "ci", "evidence": "https://ci.example/1"}
    protected = {"workloads": [{"kind": "Deployment", "name": BAD}]}
    for body in (
        resource("ProtectedModel", MODEL, here, **protected),
        resource("ResponsePolicy", POLICY, here, mode="Automatic"),
        resource("ModelRevision", REVISION, here, model=MODEL, identity="1" * 64, attestation=attested),
        resource("ModelRevision", "bare", here, model=MODEL, identity="2" * 64),
        incident(here, INCIDENT),
        decision(here, DECISION, by=administrator(fenced), incident=INCIDENT),
    ):
        create(fenced, body)
    fenced.kubectl("create", "namespace", elsewhere)
    fenced.kubectl("create", "deployment", "model", "--image=model", "--replicas=0", "-n", elsewhere)
    admin = RawApi(fenced.kubeconfig)
    pods = until(lambda: admin.get("pods", namespace=here), what="the good revision's pods")
    places = {"here": here, "elsewhere": elsewhere, "pod": pods[0]["metadata"]["name"]}
    accounts = {name: fenced.service_account_kubeconfig(NAMESPACE, name) for name in (OPERATOR, RECEIVER)}
    thieves = {name: Thief(kubeconfig, places) for name, kubeconfig in accounts.items()}
    yield Robbery(fenced, admin, here, thieves)
    admin.close()
    for one in thieves.values():
        one.close()
    fenced.kubectl("delete", "namespace", elsewhere, "--wait=false")


@pytest.mark.parametrize(
    ("account", "attempts"),
    [
        (OPERATOR, thief.of_either(OPERATOR) | thief.OF_THE_OPERATOR),
        (RECEIVER, thief.of_either(RECEIVER) | thief.OF_THE_RECEIVER),
    ],
    ids=["operator", "receiver"],
)
def test_what_is_not_an_account_s_work_is_refused_to_its_token(
    robbery: Robbery, account: str, attempts: Mapping[str, Attempt]
) -> None:
    """Each is denied for lack of rights, and stands so in the audit log; nothing of what is there has changed."""
    assert len({(each.method, each.path) for each in attempts.values()}) == len(attempts)
    before, mark = robbery.stored(), robbery.plane.audit.mark()
    answers = {what: robbery.thieves[account].send(attempt) for what, attempt in attempts.items()}
    assert {what: status for what, (status, _) in answers.items()} == dict.fromkeys(attempts, 403)
    told = {what: robbery.seen(account, attempt, mark) for what, attempt in attempts.items()}
    assert {what: (each.code, _granted(each)) for what, each in told.items()} == dict.fromkeys(attempts, (403, False))
    assert robbery.stored() == before


def _granted(record: AuditRecord) -> bool:
    """Whether the authorizer would have let a request through."""
    return record.annotations.get("authorization.k8s.io/decision") == "allow"


@pytest.mark.parametrize("what", thief.NARROWED)
def test_what_roles_taken_in_by_hand_would_let_the_operator_do_is_refused_by_admission(
    robbery: Robbery, what: str
) -> None:
    before = robbery.stored()
    status, answer = robbery.thieves[OPERATOR].send(thief.NARROWED[what])
    assert status == 403
    assert "ValidatingAdmissionPolicy 'lazaretto-fence-operator'" in answer
    assert robbery.stored() == before


def test_a_stolen_receiver_token_can_report_an_incident_and_add_to_it(robbery: Robbery) -> None:
    """That is its work, as docs/reference/security-tests.md says. An incident says for ever what it is about."""
    path = f"/apis/lazaretto.dev/v1alpha1/namespaces/{robbery.here}/aiincidents"
    target = {"model": MODEL}
    reported = named("AIIncident", f"{MODEL}-9", {"source": {"type": "Alert", "sender": "x"}, "target": target})
    assert robbery.sent(RECEIVER, Attempt("POST", path, reported)).code == 201
    one = f"{path}/{MODEL}-9"
    assert robbery.sent(RECEIVER, Attempt("PATCH", one, {"spec": {"summary": "it leaks"}})).code == 200
    for change in ({"target": {"model": "other"}}, {"target": None}, {"source": {"sender": "y"}}):
        assert robbery.sent(RECEIVER, Attempt("PATCH", one, {"spec": change})).code == 422
    assert robbery.admin.get("aiincidents", namespace=robbery.here, name=f"{MODEL}-9")["spec"]["target"] == target


def test_a_stolen_operator_token_can_undo_what_the_operator_may_where_it_may(robbery: Robbery) -> None:
    """The same page says it: to release is the operator's work, so its token raises what is held, and ends journals."""
    scale = f"/apis/apps/v1/namespaces/{robbery.here}/deployments/{BAD}/scale"
    ours = f"/apis/lazaretto.dev/v1alpha1/namespaces/{robbery.here}"
    forged = named("ModelRevision", "forged", {"model": MODEL, "identity": "3" * 64, "attestation": {"by": "ci"}})
    for code, attempt in (
        (200, Attempt("PATCH", scale, UP)),
        (200, Attempt("PATCH", scale, {"spec": {"replicas": 0}})),
        (201, Attempt("POST", f"{ours}/modelrevisions", forged)),
        (200, Attempt("DELETE", f"{ours}/modelrevisions/forged")),
        (200, Attempt("PATCH", f"{ours}/aiincidents/{INCIDENT}/status", {"status": {"state": "Closed"}})),
        (200, Attempt("DELETE", f"{ours}/containments/{MODEL}")),
    ):
        assert robbery.sent(OPERATOR, attempt).code == code, attempt
