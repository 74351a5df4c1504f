"""What no role of an account speaks of is found in an audit log, if a process of ours has asked for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lazaretto.api import GROUP
from tests.cluster.audit import AuditLog
from tests.cluster.expected_calls import ACCOUNTS, EVERYWHERE, HERE, OPTED_IN, beyond_the_shipped_rights, expected_of
from tests.unit.install.sources import NAMESPACE

OWN = f"/apis/{GROUP}/v1alpha1"


def record(verb: str, path: str, *, account: str = "operator", agent: str = "lazaretto", **more: Any) -> str:
    """One line of the log, with what an API server makes of such a path."""
    parts = path.partition("?")[0].strip("/").split("/")
    rest = parts[3 if parts[0] == "apis" else 2 :]
    namespace, rest = (rest[1], rest[2:]) if rest[:1] == ["namespaces"] and len(rest) > 2 else ("", rest)
    resource, name, subresource = (*rest, "", "", "")[:3]
    moment = "2026-01-01T00:00:00.000000Z"
    event = {
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": f"system:serviceaccount:{NAMESPACE}:lazaretto-{account}"},
        "objectRef": {"resource": resource, "subresource": subresource, "namespace": namespace, "name": name},
        "requestURI": path,
        "userAgent": agent,
        "stageTimestamp": moment,
        "requestReceivedTimestamp": moment,
    }
    return json.dumps({**event, **more}) + "\n"


def found_in(path: Path, *lines: str) -> dict[str, int]:
    log = path / "audit.log"
    log.write_text("".join(lines))
    return dict(beyond_the_shipped_rights(AuditLog(log)))


def test_it_is_found_and_what_others_ask_is_not(tmp_path: Path) -> None:
    lines = [
        record("create", "/api/v1/namespaces/shop/pods"),
        record("list", "/api/v1/namespaces/shop/secrets", agent="kopf/1.40"),
        record("list", "/api/v1/namespaces/shop/secrets", agent="kopf/1.40"),
        record("get", f"{OWN}/namespaces/shop/containments/m", impersonatedUser={"username": "root"}),
        record("create", "/api/v1/namespaces/shop/pods", agent="kubectl/v1.37"),
        record("create", "/api/v1/namespaces/shop/pods", user={"username": "alice"}),
    ]
    assert found_in(tmp_path, *lines) == {
        "lazaretto-operator: create pods in shop as itself": 1,
        "lazaretto-operator: list secrets in shop as itself": 2,
        f"lazaretto-operator: get containments.{GROUP} in shop as root": 1,
    }


WORK = {
    "operator": [
        ("patch", "/apis/apps/v1/namespaces/shop/deployments/m/scale?fieldManager=lazaretto"),
        ("list", "/apis/apps/v1/namespaces/kube-system/deployments"),
        ("watch", f"{OWN}/aiincidents?watch=1"),
        ("create", "/api/v1/namespaces/shop/events"),
        ("create", "/apis/authentication.k8s.io/v1/selfsubjectreviews"),
        ("get", f"/api/v1/namespaces/{NAMESPACE}/configmaps/lazaretto-switch"),
        ("patch", f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/lazaretto-operator"),
        ("get", "/api/v1/namespaces/shop/secrets/hub"),
        ("get", "/apis"),
    ],
    "receiver": [
        ("create", f"{OWN}/namespaces/shop/aiincidents"),
        ("watch", f"{OWN}/protectedmodels?watch=1"),
        ("get", "/version"),
    ],
}
BEYOND = {
    "operator": [
        # What people may, and the same pool once let through.
        ("create", f"{OWN}/namespaces/shop/incidentdecisions"),
        ("patch", f"{OWN}/namespaces/shop/responsepolicies/p"),
        ("create", f"{OWN}/namespaces/shop/aiincidents"),
        # The right words in another group.
        ("patch", "/apis/example.com/v1/namespaces/shop/deployments/m/scale"),
        ("create", "/apis/events.k8s.io/v1/namespaces/shop/events"),
        ("patch", "/apis/apps/v1/namespaces/shop/statefulsets/m/scale"),
        # The right ones of another scope.
        ("list", "/api/v1/pods"),
        ("watch", "/apis/apps/v1/deployments?watch=1"),
        ("patch", "/apis/apps/v1/namespaces/kube-system/deployments/dns/scale"),
        ("create", f"/api/v1/namespaces/{NAMESPACE}/configmaps"),
        ("watch", f"/api/v1/namespaces/{NAMESPACE}/configmaps"),
        ("get", "/apis/coordination.k8s.io/v1/namespaces/shop/leases/lazaretto-operator"),
        ("patch", f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/another"),
        ("list", "/api/v1/secrets"),
        # The right ones of another subresource.
        ("update", f"{OWN}/namespaces/shop/aiincidents/m-1/status"),
        ("create", "/api/v1/namespaces/shop/pods/p/exec"),
        ("create", "/logs"),
    ],
    "receiver": [
        ("list", "/api/v1/namespaces/shop/pods"),
        ("get", "/api/v1/namespaces/shop/secrets/hub"),
        ("patch", "/apis/apps/v1/namespaces/shop/deployments/m/scale"),
        ("patch", f"{OWN}/namespaces/shop/aiincidents/m-1/status"),
        ("create", f"{OWN}/namespaces/shop/containments"),
        ("create", "/api/v1/namespaces/shop/events"),
        ("create", "/apis/authentication.k8s.io/v1/selfsubjectreviews"),
        ("get", f"/api/v1/namespaces/{NAMESPACE}/configmaps/lazaretto-switch"),
    ],
}


@pytest.mark.parametrize("account", WORK)
def test_its_own_work_is_expected_of_each(account: str, tmp_path: Path) -> None:
    assert found_in(tmp_path, *(record(verb, path, account=account) for verb, path in WORK[account])) == {}


@pytest.mark.parametrize(
    ("account", "verb", "path"),
    [(account, verb, path) for account, asked in BEYOND.items() for verb, path in asked],
    ids=lambda each: str(each).partition("?")[0],
)
def test_what_goes_beyond_is_found_of_each(account: str, verb: str, path: str, tmp_path: Path) -> None:
    assert sum(found_in(tmp_path, record(verb, path, account=account)).values()) == 1


def test_what_is_expected_of_an_account_comes_from_its_own_roles_alone() -> None:
    operator, receiver = (expected_of(account) for account in ACCOUNTS)
    assert {(each.resource, each.verb, each.where) for each in receiver} == {
        *(("protectedmodels", verb, EVERYWHERE) for verb in ("list", "watch")),
        *(("aiincidents", verb, EVERYWHERE) for verb in ("get", "list", "watch", "create", "patch")),
    }
    assert {each.group for each in receiver} == {GROUP}
    assert {(each.resource, *each.names) for each in operator if each.where == HERE} == {
        ("configmaps", "lazaretto-switch"),
        ("leases", "lazaretto-operator"),
    }
    # Nothing that is not ours is written but where a namespace opted in, Events apart.
    wide = {each for each in operator if each.where == EVERYWHERE and each.verb not in ("get", "list", "watch")}
    assert {each.resource for each in wide if each.group != GROUP} == {
        "events",
        "selfsubjectreviews",
        "selfsubjectaccessreviews",
    }
    assert {each.where for each in operator if each.resource in ("deployments/scale", "pods", "services")} == {OPTED_IN}
