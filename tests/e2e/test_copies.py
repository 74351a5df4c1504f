"""A known-good revision that no workload runs any more comes back by a copy from its record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cluster.audit import AuditLog
from tests.cluster.waiting import until
from tests.e2e.ledger import Ledger, named
from tests.e2e.raw_api import Object
from tests.e2e.rollouts import SHAPE, attested, replaced, template
from tests.e2e.scene import OPERATOR, Scene, Stage, condition, refused
from tests.e2e.shapes import BAD, MODEL

pytestmark = pytest.mark.cluster


def test_a_collected_revision_comes_back_by_a_copy_that_the_release_removes(stage: Stage, audit: AuditLog) -> None:
    scene = stage.build(SHAPE)
    scene.patch("deployments", BAD, {"spec": {"revisionHistoryLimit": 0}})
    record = replaced(scene, template(1), template(2))
    record.chosen()
    assert record.status()["state"] == "Retired"
    until(lambda: len(scene.all("replicasets")) == 1, what="the good ReplicaSet is collected")
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    scene.report()
    incident = scene.await_state("Contained")
    assert condition(incident, "Contained")["status"] == "True"
    made = _made(scene, record.copy)
    (kept,) = scene.read("containments", MODEL)["spec"]["copies"]
    expected = {"name": record.copy, "revision": record.name, "identity": record.identity, "replicas": 3}
    assert kept == {**expected, "uid": made["metadata"]["uid"]}
    assert "copy" in refused(lambda: _write(scene, record.copy, "/spec/template/spec/serviceAccountName", "other"))
    until(lambda: scene.incident()["status"]["containment"].get("knownGood") == record.name, what="traffic moves")
    until(
        lambda: "lazaretto.dev/copy" in scene.read("services", BAD)["spec"]["selector"], what="the Service leads there"
    )
    assert scene.replicas() == 0
    scene.release()
    assert scene.specs() == before
    ledger.settled()
    calls = [named(r) for r in ledger.calls(OPERATOR, writes=True) if r.code < 300]
    made_and_removed = [c for c in calls if "deployments" in c and "scale" not in c]
    assert made_and_removed == ["create deployments (dry run)", "create deployments", "delete deployments"]
    # Traffic is back, and what serves it, before the copy goes.
    back = max(n for n, call in enumerate(calls) if call in ("patch services", "patch deployments/scale"))
    assert calls.index("delete deployments") > back
    assert calls.index("create deployments (dry run)") > calls.index("patch deployments/scale")


def test_what_people_write_into_other_objects_ends_up_in_no_copy(stage: Stage) -> None:
    scene = stage.build(replace(SHAPE, autoscaler=True))
    record = attested(scene, template(1), template(2))
    record.chosen()
    old = next(each for each in scene.all("replicasets") if not each["spec"]["replicas"])
    image = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil.example/x:1"}
    scene.patch("replicasets", old["metadata"]["name"], [image])
    notes = {"deployment.kubernetes.io/revision": "1", "lazaretto.dev/template": '{"spec":{"containers":[]}}'}
    for plural, name in (
        ("replicasets", old["metadata"]["name"]),
        ("deployments", BAD),
        ("modelrevisions", record.name),
    ):
        scene.patch(plural, name, {"metadata": {"annotations": notes}})
    # Without a status subresource of their own, people write a status in vain.
    scene.patch("modelrevisions", record.name, {"status": {"recorded": {"template": "{}"}}})
    scene.report()
    made = _made(scene, record.copy)["spec"]["template"]
    assert made["spec"]["containers"][0]["image"] == template(1)["spec"]["containers"][0]["image"]
    assert made["metadata"]["labels"] == {"app": MODEL, "lazaretto.dev/copy": record.copy}
    assert not made["metadata"].get("annotations")
    assert "evil" not in str(made)


def _made(scene: Scene, name: str) -> Object:
    made: Object = until(lambda: scene.read("deployments", name), what="the copy is made")
    until(
        lambda: scene.read("containments", MODEL)["spec"]["copies"][0].get("uid") == made["metadata"]["uid"],
        what="the journal knows which one it is",
    )
    return made


def _write(scene: Scene, name: str, path: str, value: str) -> None:
    scene.patch("deployments", name, [{"op": "add", "path": path, "value": value}])
