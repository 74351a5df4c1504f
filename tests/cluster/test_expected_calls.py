"""What no role speaks of is found in an audit log, if a process of ours has asked for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cluster.audit import AuditLog
from tests.cluster.expected_calls import beyond_the_shipped_rights

OPERATOR = "system:serviceaccount:lazaretto-system:lazaretto-operator"


def record(verb: str, resource: str, *, user: str = OPERATOR, agent: str = "lazaretto", **more: Any) -> str:
    moment = "2026-01-01T00:00:00.000000Z"
    name, _, subresource = resource.partition("/")
    event = {
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": user},
        "objectRef": {"resource": name, "subresource": subresource},
        "userAgent": agent,
        "stageTimestamp": moment,
        "requestReceivedTimestamp": moment,
    }
    return json.dumps({**event, **more}) + "\n"


def test_it_is_found_and_what_others_ask_is_not(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    lines = [
        record("patch", "deployments/scale"),
        record("create", "selfsubjectreviews"),
        record("get", "", agent="kopf/1.40"),
        record("create", "pods"),
        record("list", "secrets", agent="kopf/1.40"),
        record("list", "secrets", agent="kopf/1.40"),
        record("get", "containments", impersonatedUser={"username": "root"}),
        record("create", "pods", agent="kubectl/v1.37"),
        record("create", "pods", user="alice"),
    ]
    log.write_text("".join(lines))
    assert beyond_the_shipped_rights(AuditLog(log)) == {
        "lazaretto-operator: create pods as itself": 1,
        "lazaretto-operator: list secrets as itself": 2,
        "lazaretto-operator: get containments as root": 1,
    }
