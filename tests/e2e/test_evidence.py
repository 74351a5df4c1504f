"""What a containment destroys is kept on the real API server, shows what really ran, and outlives the incident."""

from __future__ import annotations

import hashlib
import json

import pytest

from lazaretto.domain.configuration import sealed
from tests.cluster.audit import AuditLog
from tests.cluster.waiting import until
from tests.e2e.ledger import Ledger, named
from tests.e2e.scene import OPERATOR, Scene, Stage, let_read_secret, opt_in, refused
from tests.e2e.shapes import BAD, MODEL, Shape, policy

pytestmark = pytest.mark.cluster


def test_the_pods_are_told_of_before_they_go_and_nobody_changes_it(scene: Scene, audit: AuditLog) -> None:
    ledger = Ledger(audit, scene.namespace)
    pods = {pod["metadata"]["uid"] for pod in scene.all("pods") if pod["metadata"]["name"].startswith(BAD)}
    route = scene.read("httproutes", MODEL)["spec"]
    scene.report()
    scene.contained()
    status = until(lambda: _told(scene), what="the incident knows of its snapshot")
    reference = status["evidence"]
    assert not reference["missing"]

    kept = scene.read("configmaps", reference["configMap"])
    manifest = kept["data"].pop("manifest.json")
    assert hashlib.sha256(manifest.encode()).hexdigest() == reference["manifest"]
    parts = json.loads(manifest)["parts"]
    assert {name: hashlib.sha256(text.encode()).hexdigest() for name, text in kept["data"].items()} == {
        name: part["sha256"] for name, part in parts.items()
    }
    assert pods
    assert {each["uid"] for each in json.loads(kept["data"]["images.json"])} == pods
    assert all(each["containers"] for each in json.loads(kept["data"]["images.json"]))
    assert {each["involvedObject"]["kind"] for each in json.loads(kept["data"]["events.json"])} & {"Pod", "Deployment"}
    (ahead,) = [each for each in json.loads(kept["data"]["traffic.json"]) if each["kind"] == "HTTPRoute"]
    assert ahead["spec"] == route
    (entry,) = [each for each in status["timeline"] if each["type"] == "Evidence"]
    assert entry["after"] == reference["manifest"]

    calls = [named(record) for record in ledger.calls(OPERATOR)]
    assert calls.index("list pods") < calls.index("patch deployments/scale") < calls.index("create configmaps")
    assert ledger.excess(OPERATOR) == set()

    name = reference["configMap"]
    said = refused(lambda: scene.admin.delete("configmaps", namespace=scene.namespace, name=name))
    assert "lazaretto-fence-evidence" in said
    released = scene.release()
    assert released["status"]["evidence"] == reference
    assert scene.read("configmaps", name)["data"].keys() == parts.keys() | {"manifest.json"}


def _told(scene: Scene) -> dict[str, object] | None:
    status: dict[str, object] = (scene.incident() or {}).get("status", {})
    return status if status.get("evidence") else None


def test_digests_of_configuration_are_kept_where_policy_and_rights_say_so(stage: Stage) -> None:
    asked = {"configuration": True, "secrets": True}
    scene = stage.build(Shape(policies={"p": policy("Automatic", evidence=asked)}))
    opt_in(scene, "lazaretto-configuration")
    let_read_secret(scene, "hub")
    scene.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prompts"}, "data": {"system": "x"}})
    for name in ("hub", "private"):
        meta = {"name": name}
        scene.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"token": "hunter2"}})
    volumes = [{"name": name, "secret": {"secretName": name}} for name in ("hub", "private")]
    volumes.append({"name": "prompts", "configMap": {"name": "prompts"}})
    scene.patch("deployments", BAD, {"spec": {"template": {"spec": {"volumes": volumes}}}})
    until(lambda: scene.read("deployments", BAD)["status"].get("updatedReplicas") == 3, what="it is rolled out")
    scene.report(target={"model": MODEL, "revision": BAD})
    status = until(lambda: _told(scene), what="the incident knows of its snapshot")
    kept = scene.read("configmaps", status["evidence"]["configMap"])["data"]
    found, secret, private = json.loads(kept["configuration.json"])
    assert secret == sealed(scene.read("secrets", "hub"), salt=bytes.fromhex(secret["scrypt"]["salt"]))
    assert "forbidden" in private["missing"], "each Secret is granted by its name"
    assert not any(word in text for text in kept.values() for word in ("hunter2", "aHVudGVyMg"))
    assert (found["name"], found["sha256"]) == ("prompts", {"system": hashlib.sha256(b"x").hexdigest()})
