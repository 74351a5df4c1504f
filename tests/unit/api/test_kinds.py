"""The kinds as Python objects: what is read from the API server is what is written back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from lazaretto.api import KINDS, AIIncident, Containment, IncidentDecision, ProtectedModel, Resource
from lazaretto.api.aiincident import AlertEntry, IncidentSource
from lazaretto.api.incidentdecision import RBAC_VERBS, Verb
from lazaretto.api.meta import rfc3339
from lazaretto.api.references import WorkloadSelector
from tests.unit.api.full_objects import full_object

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.facts.kind)


@each_kind
def test_an_object_with_every_field_is_written_back_as_it_was_read(kind: type[Resource]) -> None:
    document = full_object(kind)
    written = kind.read(document).dump()
    assert written["spec"] == document["spec"]
    assert written.get("status") == document.get("status")


@each_kind
def test_an_object_equals_itself_after_a_round_trip(kind: type[Resource]) -> None:
    once = kind.read(full_object(kind))
    assert kind.read(once.dump()) == once


@each_kind
def test_an_object_cannot_be_changed_in_place(kind: type[Resource]) -> None:
    resource = kind.read(full_object(kind))
    with pytest.raises(ValidationError, match="frozen"):
        resource.metadata = resource.metadata  # type: ignore[misc]  # the point of the test
    with pytest.raises(ValidationError, match="frozen"):
        resource.spec.anything = 1  # type: ignore[attr-defined]  # every kind has a spec


@each_kind
def test_fields_of_a_newer_version_are_ignored(kind: type[Resource]) -> None:
    document = full_object(kind)
    expected = kind.read(document)
    document["spec"]["inventedLater"] = {"anything": 1}
    assert kind.read(document) == expected


@each_kind
def test_an_object_without_a_spec_is_refused(kind: type[Resource]) -> None:
    document = full_object(kind)
    del document["spec"]
    with pytest.raises(ValidationError, match="spec"):
        kind.read(document)


def test_kinds_do_not_share_a_name() -> None:
    names = [name for kind in KINDS for name in (kind.facts.plural, kind.facts.singular, *kind.facts.short_names)]
    assert len(names) == len(set(names))


def test_a_field_may_be_named_in_python_style_and_is_written_in_camel_case() -> None:
    entry = AlertEntry(fingerprint="ab", name="Leak", starts_at=NOON, received_at=NOON, last_starts_at=NOON)
    assert entry.dump() == {
        "fingerprint": "ab",
        "name": "Leak",
        "labels": {},
        "summary": "",
        "startsAt": "2026-01-15T12:00:00.000000Z",
        "lastStartsAt": "2026-01-15T12:00:00.000000Z",
        "firings": 1,
        "receivedAt": "2026-01-15T12:00:00.000000Z",
    }


def test_a_uid_is_written_with_three_capitals() -> None:
    decision = IncidentDecision.read(full_object(IncidentDecision))
    assert decision.spec.incident_uid == decision.dump()["spec"]["incidentUID"]
    hold = full_object(Containment)["spec"]["holds"][0]
    hold["incidentUid"] = hold.pop("incidentUID")
    document = full_object(Containment)
    document["spec"]["holds"] = [hold]
    with pytest.raises(ValidationError, match="incidentUID"):
        Containment.read(document)


def test_an_absent_field_is_left_out_and_never_null() -> None:
    document: dict[str, Any] = {"spec": {"source": {"type": "Manual"}}}
    written = AIIncident.read(document).dump()
    assert "target" not in written["spec"]
    assert "severity" not in written["status"]
    assert None not in written["spec"].values()


def test_metadata_is_read_with_its_camel_case_names() -> None:
    metadata = {
        "name": "support-chat",
        "namespace": "demo",
        "uid": "u-1",
        "resourceVersion": "42",
        "generation": 3,
        "labels": {"exposure": "public"},
        "creationTimestamp": "2026-01-15T12:00:00Z",
        "managedFields": [{"manager": "kubectl"}],
    }
    read = ProtectedModel.read({**full_object(ProtectedModel), "metadata": metadata}).metadata
    assert (read.name, read.namespace, read.uid, read.resource_version, read.generation) == (
        "support-chat",
        "demo",
        "u-1",
        "42",
        3,
    )
    assert read.labels == {"exposure": "public"}
    assert read.creation_timestamp == NOON
    assert read.deletion_timestamp is None


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (NOON, "2026-01-15T12:00:00.000000Z"),
        (NOON + timedelta(microseconds=6), "2026-01-15T12:00:00.000006Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
        (datetime(2026, 1, 15, 14, tzinfo=timezone(timedelta(hours=2))), "2026-01-15T12:00:00.000000Z"),
    ],
)
def test_a_moment_is_written_in_utc_with_microseconds(moment: datetime, written: str) -> None:
    assert rfc3339(moment) == written


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (AlertEntry, {"fingerprint": "ab", "name": "Leak", "startsAt": NOON, "receivedAt": NOON, "firings": 0}),
        (AlertEntry, {"fingerprint": "not hex", "name": "Leak", "startsAt": NOON, "receivedAt": NOON}),
        (IncidentSource, {"type": "Rumour"}),
        (IncidentSource, {"type": "Alert", "sender": "x" * 257}),
        (WorkloadSelector, {"kind": "Pod", "name": "a"}),
        (WorkloadSelector, {"kind": "Deployment", "name": "Not-A-Name"}),
    ],
)
def test_what_the_schema_refuses_cannot_be_built_either(model: type[Any], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(values)


def test_every_verb_of_a_decision_needs_a_permission() -> None:
    assert set(RBAC_VERBS) == set(get_args(Verb))
