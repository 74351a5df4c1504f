"""The definitions on a real API server: it takes them, and enforces every rule that they state."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lazaretto.api import API_VERSION, GROUP, KINDS, AIIncident, Containment, ProtectedModel, Resource
from lazaretto.api.containment import MOST_FIELDS, MOST_LET_GO, MOST_TARGETS
from lazaretto.engine.comparison import OPEN
from tests.cluster.access import ClusterAccess, KubectlError
from tests.cluster.crd_examples import ALERT, EXAMPLES, FIELD, INCIDENT, MODEL, TARGET, RuleExample, Spec, changed
from tests.unit.api.full_objects import full_object
from tests.unit.crdgen.kind_rules import rules_of

REPOSITORY = Path(__file__).parents[2]
SAMPLES = sorted((REPOSITORY / "manifests" / "samples").glob("*.yaml"))

# May do everything, whether or not the admission policies are installed; decides in her own name.
ALICE = ("--as=alice@example.com", "--as-group=system:masters", "--as-group=lazaretto:break-glass")

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.facts.kind)
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(bare_cluster: ClusterAccess) -> ClusterAccess:
    """A cluster that serves Lazaretto's kinds."""
    bare_cluster.apply_folder(REPOSITORY / "crds")
    return bare_cluster


def document(kind: type[Resource], *, spec: Spec, name: str = "") -> dict[str, Any]:
    metadata = {"name": name or f"example-{next(_numbers)}"}
    return {"apiVersion": API_VERSION, "kind": kind.facts.kind, "metadata": metadata, "spec": spec}


def write(verb: str, body: Mapping[str, Any], *flags: str, server: ClusterAccess, namespace: str) -> None:
    """Sends the body as it is; unknown fields are refused, not dropped."""
    arguments = (verb, "-f", "-", "-n", namespace, "--validate=strict", *flags, *ALICE)
    server.kubectl(*arguments, input=json.dumps(body))


def read(body: Mapping[str, Any], *, server: ClusterAccess, namespace: str) -> dict[str, Any]:
    resource = f"{body['kind'].lower()}.{GROUP}"
    return dict(server.get(resource, body["metadata"]["name"], "-n", namespace))


def test_every_rule_has_an_example() -> None:
    stated = {(kind.facts.kind, rule.message) for kind in KINDS for rule in rules_of(kind)}
    assert {(example.kind.facts.kind, example.message) for example in EXAMPLES} == stated


def test_a_message_tells_its_rule_from_the_others_of_the_kind() -> None:
    messages = Counter((kind.facts.kind, rule.message) for kind in KINDS for rule in rules_of(kind))
    assert [message for message, count in messages.items() if count > 1] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_shows_both_sides_of_its_rule(example: RuleExample) -> None:
    assert example.accepted
    assert example.refused


@pytest.mark.cluster
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_a_rule_lets_pass_and_stops(example: RuleExample, server: ClusterAccess, namespace: str) -> None:
    stored = document(example.kind, spec=example.spec)
    if example.on_update:
        write("create", stored, server=server, namespace=namespace)
    verb = "replace" if example.on_update else "create"

    def attempt(changes: Mapping[str, Any]) -> None:
        body = {**stored, "spec": changed(example.spec, changes=changes)}
        write(verb, body, "--dry-run=server", server=server, namespace=namespace)

    for changes in example.accepted:
        attempt(changes)
    for changes in example.refused:
        with pytest.raises(KubectlError) as refusal:
            attempt(changes)
        assert example.message in refusal.value.stderr, changes


@pytest.mark.cluster
@each_kind
def test_the_server_takes_the_definition(kind: type[Resource], server: ClusterAccess) -> None:
    conditions = server.get("crd", f"{kind.facts.plural}.{GROUP}")["status"]["conditions"]
    assert {condition["type"]: condition["status"] for condition in conditions} == {
        "NamesAccepted": "True",
        "Established": "True",
    }


@pytest.mark.cluster
@each_kind
def test_no_field_is_dropped(kind: type[Resource], server: ClusterAccess, namespace: str) -> None:
    body = full_object(kind)
    write("create", body, server=server, namespace=namespace)
    if kind.facts.status_subresource:
        write("replace", body, "--subresource=status", server=server, namespace=namespace)
    stored = read(body, server=server, namespace=namespace)
    assert stored["spec"] == body["spec"]
    assert stored.get("status") == body.get("status")
    parsed = kind.read(stored).dump()
    assert (parsed["spec"], parsed.get("status")) == (body["spec"], body.get("status"))


@pytest.mark.cluster
@pytest.mark.parametrize("part", ["spec", "status"])
def test_a_field_that_nobody_declared_is_refused(part: str, server: ClusterAccess, namespace: str) -> None:
    body = full_object(AIIncident)
    body[part]["invented"] = "x"
    with pytest.raises(KubectlError, match=f'unknown field "{part}.invented"'):
        write("create", body, "--dry-run=server", server=server, namespace=namespace)


@pytest.mark.cluster
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_applies(sample: Path, server: ClusterAccess, namespace: str) -> None:
    flags = ("--server-side", "--dry-run=server", "--validate=strict", "-n", namespace)
    server.kubectl("apply", "-f", str(sample), *flags, *ALICE)


def test_there_are_samples() -> None:
    assert len(SAMPLES) >= 9


@pytest.mark.cluster
def test_kubectl_explain_shows_the_text_of_a_field(server: ClusterAccess) -> None:
    told = " ".join(server.kubectl("explain", "aiincident.spec.alerts").split())
    assert "Alerts that belong to the incident. Entries are added and updated, never removed." in told
    assert "Alertmanager's fingerprint of the alert's labels." in told


@pytest.mark.cluster
def test_lists_that_rules_rely_on_are_present_without_being_sent(server: ClusterAccess, namespace: str) -> None:
    body = document(Containment, spec={"model": "chat"})
    write("create", body, server=server, namespace=namespace)
    spec = read(body, server=server, namespace=namespace)["spec"]
    assert spec == {
        "model": "chat",
        "holds": [],
        "targets": [],
        "restored": [],
        "cutOff": [],
        "copies": [],
        "quarantine": [],
    }


@pytest.mark.cluster
@each_kind
def test_columns_show_what_is_stored(kind: type[Resource], server: ClusterAccess, namespace: str) -> None:
    body = full_object(kind)
    write("create", body, server=server, namespace=namespace)
    if kind.facts.status_subresource:
        write("replace", body, "--subresource=status", server=server, namespace=namespace)
    short_name = kind.facts.short_names[0]
    head, row = server.kubectl("get", short_name, "-n", namespace, "-o", "wide").splitlines()
    assert head.split() == ["NAME", *(column.name.upper() for column in kind.facts.columns)]
    assert "<" not in row, "a column found nothing, or no date"


@pytest.mark.cluster
def test_one_word_lists_all_kinds(server: ClusterAccess) -> None:
    listed = server.kubectl("api-resources", "--categories=lazaretto", "-o", "name").split()
    assert sorted(listed) == sorted(f"{kind.facts.plural}.{GROUP}" for kind in KINDS)


@pytest.mark.cluster
@pytest.mark.parametrize("name", ["a" * 53, "chat.v2"])
def test_a_model_cannot_have_a_name_that_an_incident_could_not_state(
    name: str, server: ClusterAccess, namespace: str
) -> None:
    body = document(ProtectedModel, spec=MODEL, name=name)
    with pytest.raises(KubectlError, match=r"metadata\.name"):
        write("create", body, "--dry-run=server", server=server, namespace=namespace)


def largest_containment() -> Spec:
    fields = [{**FIELD, "path": f"{number:0320}"} for number in range(MOST_FIELDS)]
    let_go = [f"x{number:0319}" for number in range(MOST_LET_GO)]
    target = {**TARGET, "fields": fields, "restored": let_go}
    targets = [{**target, "name": f"chat-{number}", "uid": f"{number:064}"} for number in range(MOST_TARGETS)]
    return {"model": "chat", "targets": targets, "restored": [f"x{number:063}" for number in range(MOST_TARGETS)]}


def largest_incident() -> Spec:
    labels = {f"{number:063}": "v" * 256 for number in range(32)}
    alerts = [{**ALERT, "fingerprint": f"{number:064x}", "labels": labels} for number in range(64)]
    return {**INCIDENT, "alerts": alerts}


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("kind", "spec"),
    [(Containment, largest_containment()), (AIIncident, largest_incident())],
    ids=["Containment", "AIIncident"],
)
def test_rules_are_still_affordable_on_the_largest_object(
    kind: type[Resource], spec: Spec, server: ClusterAccess, namespace: str
) -> None:
    body = document(kind, spec=spec)
    write("create", body, server=server, namespace=namespace)
    write("replace", body, server=server, namespace=namespace)


@pytest.mark.cluster
def test_incidents_that_have_ended_can_be_left_out_of_a_list(server: ClusterAccess, namespace: str) -> None:
    bodies = [document(AIIncident, spec=INCIDENT) for _ in range(3)]
    for body, state in zip(bodies, ("Released", "Contained", ""), strict=True):
        write("create", body, server=server, namespace=namespace)
        status = json.dumps({"status": {"state": state}})
        name = body["metadata"]["name"]
        patch = ("patch", "aiincident", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", status)
        if state:
            server.kubectl(*patch, *ALICE)
    found = server.kubectl("get", "aiincidents", "-n", namespace, f"--field-selector={OPEN}", "-o", "name")
    assert found.split() == [f"aiincident.{GROUP}/{body['metadata']['name']}" for body in bodies[1:]]
