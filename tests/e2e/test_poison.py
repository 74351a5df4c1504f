"""Stored objects that no schema of ours would let in: the operator starts with them, names them, and works on.

They get in while the kinds' schemas are loosened, as by a newer version that was rolled back, or by a restored backup.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from lazaretto.api import KINDS, AIIncident, Containment, ModelRevision, Resource
from tests.cluster.access import ClusterAccess
from tests.cluster.audit import AuditLog, AuditRecord
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.conftest import SYSTEM
from tests.e2e.ledger import Ledger
from tests.e2e.raw_api import RawApi, RefusedError
from tests.e2e.scene import OPERATOR, Scene, Stage, condition
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

_CRDS = "customresourcedefinitions"
POISON: Mapping[str, Mapping[str, Any]] = {
    "nothing": {},
    "no-spec": {"spec": None},
    "text": {"spec": "text"},
    "a-list": {"spec": [1, 2, 3]},
    "a-number": {"spec": 1e300},
    "strange-fields": {"spec": {"\u202e": {"": None}, "model": {"model": {"model": 5}}, "target": [MODEL], "mode": 7}},
    "deep": {"spec": json.loads('{"spec":' * 60 + "1" + "}" * 60)},
    "big": {"spec": {"model": MODEL, "summary": "x" * 900_000}},
    "bad-status": {"spec": {}, "status": {"conditions": "none", "timeline": {"a": 1}, "holds": [[]], "state": 3}},
    "bad-labels": {"metadata": {"annotations": {"lazaretto.dev/x": "\x1b[31m" * 1000}}, "spec": {"model": None}},
}

FOREIGN = ("Secret", "Node")
"""Kinds of objects that no model can be."""


@contextmanager
def _schemas_loosened(admin: RawApi) -> Iterator[None]:
    """While it lasts, anything is stored."""
    crds = [admin.get(_CRDS, name=f"{kind.facts.plural}.lazaretto.dev") for kind in KINDS]
    anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    for crd in crds:
        _change_versions(admin, crd, [_loosened(v, anything) for v in crd["spec"]["versions"]])
    try:
        yield
    finally:
        for crd in crds:
            _change_versions(admin, crd, crd["spec"]["versions"])


def _loosened(version: Mapping[str, Any], schema: Any) -> Any:
    """The version with another schema, of which lists cannot be narrowed by a field."""
    return {key: value for key, value in version.items() if key != "selectableFields"} | {"schema": schema}


def _change_versions(admin: RawApi, crd: Mapping[str, Any], versions: list[Any]) -> None:
    admin.patch(_CRDS, {"spec": {"versions": versions}}, name=crd["metadata"]["name"], namespace="")


def _store(api: RawApi, namespace: str, kind: type[Resource], name: str, poison: Mapping[str, Any]) -> None:
    """Stores poison, unless admission refuses what the schema would have refused."""
    metadata = {**poison.get("metadata", {}), "name": name}
    body = {"apiVersion": "lazaretto.dev/v1alpha1", "kind": kind.facts.kind, **poison, "metadata": metadata}

    def answered() -> bool:
        try:
            api.create(body, namespace=namespace)
        except RefusedError as error:
            # An API server takes a moment to serve a changed schema.
            if "ValidatingAdmissionPolicy" not in str(error):
                return False
        return True

    until(answered, what=f"{kind.facts.kind} {name} is stored or refused by admission")


@pytest.fixture(scope="module")
def poisoned(stage: Stage, cluster: ClusterAccess, operator: OperatorProcess) -> Iterator[dict[str, Scene]]:
    """Scenes beside whose objects there is poison; one has a journal that is poison itself, the others such models."""
    accounts: dict[type[Resource], RawApi] = {
        kind: RawApi(cluster.service_account_kubeconfig(SYSTEM, f"lazaretto-{name}"))
        for kind, name in ((AIIncident, "receiver"), (Containment, "operator"), (ModelRevision, "operator"))
    }
    scenes = stage.build_all(dict.fromkeys(("beside", "journal", "model", "far away", *FOREIGN), Shape()))
    operator.stop()
    with _schemas_loosened(stage.admin):
        for kind in KINDS:
            # Admission refuses whatever could undo a hold in a namespace with a journal that it cannot read.
            scene = scenes["journal" if kind is Containment else "beside"]
            for name, poison in POISON.items():
                _store(accounts.get(kind, stage.admin), scene.namespace, kind, name, poison)
        _store(accounts[Containment], scenes["journal"].namespace, Containment, MODEL, POISON["text"])
        scenes["model"].patch("protectedmodels", MODEL, {"spec": {"workloads": "all of them"}})
        for foreign in FOREIGN:
            named = {"kind": foreign, "name": BAD}
            scenes[foreign].patch("protectedmodels", MODEL, {"spec": {"workloads": [named], "routes": [named]}})
    operator.start()
    yield scenes
    for api in accounts.values():
        api.close()


def test_models_beside_poison_and_far_from_it_are_contained_and_released(poisoned: dict[str, Scene]) -> None:
    scenes = [poisoned["beside"], poisoned["far away"]]
    before = [scene.specs() for scene in scenes]
    for scene in scenes:
        scene.report()
    for scene in scenes:
        scene.contained()
        assert (scene.replicas(), scene.weights()) == (0, {GOOD: 100, BAD: 0})
    for scene in scenes:
        scene.release()
    assert [scene.specs() for scene in scenes] == before


def test_every_object_that_cannot_be_read_is_named_in_the_log(
    poisoned: dict[str, Scene], operator: OperatorProcess
) -> None:
    log = operator.log.read_text()
    assert "\x1b" not in log
    assert f"AIIncident {poisoned['beside'].namespace}/text cannot be read" in log
    assert f"Containment {poisoned['journal'].namespace}/a-list cannot be read" in log
    assert max(map(len, log.splitlines())) < 20_000


@pytest.mark.parametrize(
    ("what", "kind"),
    [("journal", "Containment"), *((what, "ProtectedModel") for what in ("model", *FOREIGN))],
)
def test_a_model_of_which_something_cannot_be_read_is_not_touched_and_says_so(
    poisoned: dict[str, Scene], audit: AuditLog, what: str, kind: str
) -> None:
    scene = poisoned[what]
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    scene.report()
    stalled = scene.await_state("Stalled")
    assert condition(stalled, "Stalled")["reason"] == "InvalidObject"
    assert f"{kind}/{MODEL} is not as its kind asks" in stalled["status"]["reason"]
    assert scene.specs() == before
    calls = ledger.calls(OPERATOR)
    assert not [call for call in calls if call.verb in ("create", "patch") and _touches(call)]
    assert not [call for call in calls if call.resource in ("secrets", "nodes")]


def _touches(call: AuditRecord) -> bool:
    return call.resource not in ("aiincidents", "events", "modelrevisions", "protectedmodels", "responsepolicies")
