"""kill -9 of the operator while it makes a copy or removes it: there is one copy, and after the release none."""

from __future__ import annotations

import pytest

from tests.cluster.audit import AuditLog
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.ledger import Ledger, named
from tests.e2e.moments import Moment, killed_at
from tests.e2e.rollouts import SHAPE, Built, Record, all_attested
from tests.e2e.scene import OPERATOR, Scene, Stage
from tests.e2e.shapes import MODEL
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.cluster

MAKING = {
    "journalled, not made": Moment("POST", ("/deployments",)),
    "made, unanswered": Moment("POST", ("/deployments",), answered=True),
}
REMOVING = ("not removed", "removed, unanswered")


@pytest.fixture(scope="module")
def built(stage: Stage) -> Built:
    """A scene for each moment, in which what was good is run by nothing any more."""
    return all_attested(stage, (*MAKING, *REMOVING), SHAPE)


@pytest.mark.parametrize("name", MAKING)
def test_killed_while_it_makes_the_copy(
    name: str, built: Built, proxied: tuple[OperatorProcess, Proxy], audit: AuditLog
) -> None:
    (scene, record), (operator, proxy) = built[name], proxied
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    operator.start()
    killed_at(MAKING[name], operator, proxy, scene.report)
    operator.start()
    _serves(scene, record)
    scene.release()
    assert scene.specs() == before
    ledger.settled()
    calls = [named(r) for r in ledger.calls(OPERATOR, writes=True) if r.code < 300]
    assert (calls.count("create deployments"), calls.count("delete deployments")) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", REMOVING)
def test_killed_while_it_removes_the_copy(name: str, built: Built, proxied: tuple[OperatorProcess, Proxy]) -> None:
    (scene, record), (operator, proxy) = built[name], proxied
    before = scene.specs()
    operator.start()
    scene.report()
    _serves(scene, record)
    moment = Moment("DELETE", (f"/deployments/{record.copy}",), answered=name != "not removed")
    killed_at(moment, operator, proxy, lambda: [scene.decide(user, "ApproveRelease") for user in ("alice", "bob")])
    operator.start()
    scene.await_state("Released")
    until(lambda: scene.read("containments", MODEL) is None, what="the journal is gone")
    assert scene.specs() == before


def _serves(scene: Scene, record: Record) -> None:
    """The one copy is known to the journal, and traffic has gone to it."""
    scene.contained()
    until(lambda: scene.incident()["status"]["containment"].get("knownGood") == record.name, what="traffic moves")
    (kept,) = scene.read("containments", MODEL)["spec"]["copies"]
    copies = [d for d in scene.all("deployments") if "lazaretto.dev/copy" in d["metadata"].get("labels", {})]
    assert [d["metadata"]["uid"] for d in copies] == [kept["uid"]]
