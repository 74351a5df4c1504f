"""`lazaretto known-good`: a table for people, from what the operator saw last."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lazaretto.api.protectedmodel import ObservedWorkload, ProtectedModelStatus
from lazaretto.cli.known_good import table
from tests.unit.cli.conftest import Call
from tests.unit.domain.objects import model


def observed(name: str, **fields: Any) -> ObservedWorkload:
    return ObservedWorkload.model_validate({"kind": "Deployment", "name": name, "uid": name, **fields})


SEEN = ProtectedModelStatus(
    workloads=[
        observed(
            "v1", revision="chat-ab12", replicas=2, ready=2, digestConfidence="Pinned", takesOver="yes: attested by ci"
        ),
        observed("canary", takesOver="no: its revision was never recorded"),
        observed("odd", takesOver="no: \x1b[31mred\nline names no digest"),
    ],
    known_good="chat-ab12",
    checked_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
)


def test_each_workload_is_told_with_its_reason_on_a_line_of_its_own() -> None:
    assert table(model().model_copy(update={"status": SEEN})).splitlines() == [
        "WORKLOAD           REVISION   READY  DIGESTS  TAKES OVER",
        "Deployment/v1      chat-ab12  2/2    Pinned   yes: attested by ci",
        "Deployment/canary  -          0/0    -        no: its revision was never recorded",
        "Deployment/odd     -          0/0    -        no: ?[31mred?line names no digest",
        "known-good: chat-ab12, as of 2026-01-02T03:04:05Z",
    ]


def test_a_model_that_nobody_has_looked_at_yet_says_so() -> None:
    assert table(model()).splitlines()[-1] == "known-good: none, not looked at yet"


def test_without_an_api_server_it_is_one_line_that_says_what_to_pass(
    lazaretto: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    outcome = lazaretto("known-good", "chat", "-n", "shop")
    assert (outcome.status, outcome.out) == (2, "")
    assert "--kubeconfig" in outcome.err
