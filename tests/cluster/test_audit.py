"""Tests the reader of the audit log on lines as a server writes them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from tests.cluster.audit import AuditLog


def line(*, verb: str = "create", user: str = "ada", stage: str = "ResponseComplete", name: str = "") -> str:
    """Returns one line of the log."""
    event = {
        "verb": verb,
        "stage": stage,
        "user": {"username": user},
        "requestURI": "/apis/apps/v1/namespaces/prod/deployments",
        "userAgent": "curl",
        "objectRef": {"resource": "deployments", "namespace": "prod", **({"name": name} if name else {})},
        "responseStatus": {"code": 201},
        "requestObject": {"spec": {"replicas": 0}},
        "responseObject": {"metadata": {"name": "made-up-by-the-server"}},
        "requestReceivedTimestamp": "2026-11-24T04:00:00.000001Z",
        "stageTimestamp": "2026-11-24T04:00:00.250001Z",
    }
    return json.dumps(event) + "\n"


def test_record_carries_the_request(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(line())
    (record,) = AuditLog(path).since(AuditLog(tmp_path / "absent").mark())
    assert (record.verb, record.user, record.resource, record.code) == ("create", "ada", "deployments", 201)
    assert record.name == "made-up-by-the-server"
    assert record.at - record.received == dt.timedelta(milliseconds=250)


def test_only_what_follows_the_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(line(name="one"))
    mark = AuditLog(path).mark()
    with path.open("a") as file:
        file.write(line(name="two"))
    assert [record.name for record in AuditLog(path).since(mark)] == ["two"]


def test_a_mark_in_the_middle_of_a_line_counts_from_the_next(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    one = line(name="one")
    path.write_text(one[:20])
    mark = AuditLog(path).mark()
    assert list(AuditLog(path).since(mark)) == []
    path.write_text(one + line(name="two"))
    assert [record.name for record in AuditLog(path).since(mark)] == ["two"]


def test_incomplete_line_and_other_stages_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(line(name="one") + line(stage="ResponseStarted") + line(name="half")[:-20])
    assert [record.name for record in AuditLog(path).since(AuditLog(tmp_path / "absent").mark())] == ["one"]


def test_filters(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path)
    start = log.mark()
    path.write_text(line(name="a") + line(name="b", user="bob") + line(name="c", verb="patch"))
    assert [record.name for record in log.since(start, users=["ada"])] == ["a", "c"]
    assert [record.name for record in log.since(start, verbs=["create"])] == ["a", "b"]
    assert list(log.since(start, namespace="")) == []


def test_broken_line_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path)
    start = log.mark()
    path.write_text("{\n")
    with pytest.raises(ValueError, match="Expecting"):
        list(log.since(start))


def test_waiting_in_vain_ends(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log")
    with pytest.raises(TimeoutError, match=r"after 0\.1 s"):
        log.wait_for(log.mark(), matches=lambda record: True, seconds=0.1)
