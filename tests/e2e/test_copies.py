"""A known-good revision that no workload runs any more comes back by a copy from its record."""

from __future__ import annotations

import pytest

from tests.cluster.audit import AuditLog
from tests.cluster.waiting import until
from tests.e2e.ledger import Ledger, named
from tests.e2e.rollouts import SHAPE, replaced, template
from tests.e2e.scene import OPERATOR, Stage, condition
from tests.e2e.shapes import BAD, MODEL

pytestmark = pytest.mark.cluster


def test_a_collected_revision_comes_back_by_a_copy_that_the_release_removes(stage: Stage, audit: AuditLog) -> None:
    scene = stage.build(SHAPE)
    scene.patch("deployments", BAD, {"spec": {"revisionHistoryLimit": 0}})
    record = replaced(scene, template(1), template(2))
    record.retired()
    until(lambda: len(scene.all("replicasets")) == 1, what="the good ReplicaSet is collected")
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    scene.report()
    made = until(lambda: scene.read("deployments", record.copy), what="the copy is made")
    assert made["spec"]["replicas"] == 0
    incident = scene.await_state("Contained")
    assert condition(incident, "Contained")["status"] == "True"
    (kept,) = scene.read("containments", MODEL)["spec"]["copies"]
    assert kept == {
        "name": record.copy,
        "revision": record.name,
        "identity": record.identity,
        "uid": made["metadata"]["uid"],
    }
    scene.scale(record.copy, 2)
    until(lambda: scene.incident()["status"]["containment"].get("knownGood") == record.name, what="traffic moves")
    until(
        lambda: scene.read("services", BAD)["spec"]["selector"].get("lazaretto.dev/copy"),
        what="the Service leads to it",
    )
    assert scene.replicas() == 0
    scene.release()
    assert scene.specs() == before
    ledger.settled()
    calls = [named(r) for r in ledger.calls(OPERATOR, writes=True) if r.resource == "deployments" and r.code < 300]
    assert [c for c in calls if "scale" not in c] == [
        "create deployments (dry run)",
        "create deployments",
        "delete deployments",
    ]
