"""Attempts to have a model released without the people who must approve it, on a real API server.

Whoever tries them may do everything in the namespace that RBAC can grant there. What the operator makes of decisions
that were stored is in `tests/e2e/test_release_attacks.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lazaretto.api import KINDS, Containment, Resource
from lazaretto.crdgen.render import render
from tests.cluster.access import ClusterAccess, KubectlError
from tests.cluster.crd_examples import CONTAINMENT, FIELD, TARGET, changed
from tests.cluster.installation import create, decision, grant, incident, refused, resource
from tests.e2e.raw_api import RawApi, RefusedError
from tests.unit.api.full_objects import full_object
from tests.unit.install.sources import NAMESPACE

pytestmark = pytest.mark.cluster

OWNER = "owner"
"""Holds every verb on everything in the namespace."""
HOSTILE = ("other/m", "../m", "other:m", "m#x", "m?x", "m%2fm", "m\n", "\uff4d", "m m", "")
_NAMED = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?"


@pytest.fixture
def owned(cluster: ClusterAccess, guarded: str) -> str:
    """A namespace in which the policies hold, and its owner."""
    grant(cluster, guarded, OWNER, ("*", "*", "*"))
    return guarded


def patch(cluster: ClusterAccess, namespace: str, kind: str, name: str, body: object, *flags: str) -> None:
    """What the owner changes; a list is a JSON patch."""
    type_ = "json" if isinstance(body, list) else "merge"
    cluster.kubectl(
        *("patch", kind, name, "-n", namespace, f"--type={type_}", "-p", json.dumps(body), *flags), as_user=OWNER
    )


@pytest.mark.parametrize(
    "change",
    [
        {"holds.0.releasing": True},
        {"holds": []},
        {"holds.0.approvals": 3},
        {"holds.0.compromised.0.uid": "u9"},
        {"holds.0.since": "2020-01-01T00:00:00Z"},
        {"targets.0.fields.0.held": "3"},
        {"targets.1": {**TARGET, "uid": "u3", "fields": [FIELD]}},
        {"restored": ["u2"]},
        {"cutOff": ["chat"]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_owner_of_a_namespace_changes_no_hold_and_no_plan(
    cluster: ClusterAccess, owned: str, tmp_path: Path, change: Mapping[str, Any]
) -> None:
    """All of these are changes that the schema allows, because the operator makes them."""
    operator = ClusterAccess(cluster.service_account_kubeconfig(NAMESPACE, "lazaretto-operator"), folder=tmp_path)
    create(operator, resource("Containment", "chat", owned, **CONTAINMENT))
    body = {"spec": changed(CONTAINMENT, changes=change)}
    with refused("journal", "only the operator writes containments;"):
        patch(cluster, owned, "containment", "chat", body)
    accepted = Containment.read({"spec": body["spec"]})
    stored = Containment.read(cluster.get("containment", "chat", "-n", owned))
    assert stored.spec == Containment.read({"spec": CONTAINMENT}).spec != accepted.spec


def test_the_owner_of_a_namespace_ends_no_incident_by_its_status(cluster: ClusterAccess, owned: str) -> None:
    create(cluster, incident(owned, "m-1"))
    ended = {"status": {"times": {"releasedAt": "2026-01-01T00:00:00Z", "closedAt": "2026-01-01T00:00:00Z"}}}
    with refused("journal", "only the operator writes aiincidents/status"):
        patch(cluster, owned, "aiincident", "m-1", ended, "--subresource=status")
    # Past the subresource a status is not refused and changes nothing.
    patch(cluster, owned, "aiincident", "m-1", ended)
    assert "status" not in cluster.get("aiincident", "m-1", "-n", owned)


def test_a_decision_says_for_ever_what_it_said(cluster: ClusterAccess, owned: str) -> None:
    create(cluster, decision(owned, "mine", by=OWNER), as_user=OWNER)
    stored = cluster.get("incidentdecision", "mine", "-n", owned)
    for field, value in {
        "verb": "ApproveRelease",
        "decidedBy": "alice",
        "incidentName": "m-2",
        "incidentUID": "uid-2",
        "reason": "another",
    }.items():
        with pytest.raises(KubectlError, match="a decision never changes"):
            patch(cluster, owned, "incidentdecision", "mine", {"spec": {field: value}})
    with pytest.raises(KubectlError, match=r"a decision never changes|Required value|spec"):
        patch(cluster, owned, "incidentdecision", "mine", [{"op": "remove", "path": "/spec"}])
    for kind in ("delete", "delete --all"):
        verb, *flags = kind.split()
        with refused("decisions-kept"):
            cluster.kubectl(verb, "incidentdecision", *(flags or ["mine"]), "-n", owned, as_user=OWNER)
    assert cluster.get("incidentdecision", "mine", "-n", owned) == stored


def test_nobody_dates_a_decision(cluster: ClusterAccess, owned: str) -> None:
    """Neither back before it expires, nor on, so that it never does."""
    before = datetime.now(UTC).replace(microsecond=0)
    for name, stamp in {"old": "2020-01-01T00:00:00Z", "eternal": "2199-01-01T00:00:00Z"}.items():
        body = decision(owned, name, by=OWNER, verb="ApproveRelease")
        body["metadata"] |= {"creationTimestamp": stamp, "uid": "uid-1"}
        stored = create(cluster, body, as_user=OWNER)
        made = datetime.fromisoformat(stored["metadata"]["creationTimestamp"])
        assert before <= made <= datetime.now(UTC) + timedelta(seconds=1)
        change = [{"op": "replace", "path": "/metadata/creationTimestamp", "value": stamp}]
        with suppress(KubectlError):  # refused or without effect, as the server likes
            patch(cluster, owned, "incidentdecision", name, change)
        kept = cluster.get("incidentdecision", name, "-n", owned)["metadata"]
        assert datetime.fromisoformat(kept["creationTimestamp"]) == made


def references(kind: type[Resource]) -> Iterator[str]:
    """Dotted paths of all fields of a kind's spec that hold an object's name; `0` stands for each item of a list."""
    schema = render(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    yield from _names_in(schema, ())


def _names_in(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    if str(schema.get("pattern", "")).startswith(_NAMED):
        yield ".".join(path)
    for name, each in schema.get("properties", {}).items():
        yield from _names_in(each, (*path, name))
    if "items" in schema:
        yield from _names_in(schema["items"], (*path, "0"))


FIELDS = [(kind, path) for kind in KINDS for path in references(kind)]
_BETWEEN_OBJECTS = {
    "AIIncident": {"target.model", "target.revision"},
    "Containment": {"model", "holds.0.incident", "holds.0.compromised.0.name", "holds.0.knownGood.workload.name"},
    "IncidentDecision": {"incidentName"},
    "ModelRevision": {"model"},
    "ProtectedModel": {"workloads.0.name", "routes.0.name", "knownGood", "fallback.name"},
    "ResponsePolicy": {"match.models.0"},
}


def test_the_fields_that_name_objects_are_found() -> None:
    for kind in KINDS:
        assert set(references(kind)) >= _BETWEEN_OBJECTS[kind.facts.kind]


@pytest.mark.parametrize(("kind", "path"), FIELDS, ids=[f"{kind.facts.kind}.{path}" for kind, path in FIELDS])
def test_no_reference_leaves_its_namespace(
    kind: type[Resource], path: str, cluster: ClusterAccess, namespace: str
) -> None:
    server = RawApi(cluster.kubeconfig)
    body = full_object(kind)
    for value in HOSTILE:
        spec = changed(body["spec"], changes={path: value})
        with pytest.raises(RefusedError) as refusal:
            server.create({**body, "spec": spec}, namespace=namespace)
        assert refusal.value.code == 422
        place = path.replace(".0", "[0]").partition("[")[0]
        assert f"spec.{place}" in str(refusal.value), value
    server.close()


def test_no_kind_has_a_field_for_a_namespace() -> None:
    def names(schema: Mapping[str, Any]) -> Iterator[str]:
        for name, each in schema.get("properties", {}).items():
            yield name
            yield from names(each)
        if "items" in schema:
            yield from names(schema["items"])

    for kind in KINDS:
        schema = render(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        assert not [name for name in names(schema) if "namespace" in name.lower()]
