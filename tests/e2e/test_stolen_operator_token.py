"""The operator's own token in other hands while the operator runs: a model that it raises is held again, and told."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.audit import AuditLog
from tests.cluster.waiting import until
from tests.e2e.conftest import SYSTEM
from tests.e2e.raw_api import RawApi
from tests.e2e.scene import OPERATOR, Scene
from tests.e2e.shapes import BAD, MODEL

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

UP = {"spec": {"replicas": 2}}
MANAGERS = ("thief", "lazaretto-scale")
"""What the thief calls itself; the last as the operator does when it scales."""


@pytest.fixture
def stolen(cluster: ClusterAccess) -> Iterator[RawApi]:
    """The API with the token and nothing else."""
    api = RawApi(cluster.service_account_kubeconfig(SYSTEM, "lazaretto-operator"))
    yield api
    api.close()


def test_a_model_that_it_raises_is_put_back_and_told_whatever_it_calls_itself(
    scene: Scene, stolen: RawApi, audit: AuditLog
) -> None:
    scene.report()
    scene.contained()
    for number, manager in enumerate(MANAGERS, start=1):
        mark = audit.mark()
        stolen.patch("deployments", UP, namespace=scene.namespace, name=BAD, subresource="scale", manager=manager)
        until(lambda: scene.replicas() == 0, what="the model is put back")
        # In the audit log both have the same name, and not the same client.
        writes = [
            each.user_agent
            for each in audit.since(mark, users=[OPERATOR], verbs=["patch"], namespace=scene.namespace)
            if (each.resource, each.subresource, each.dry_run) == ("deployments", "scale", False)
        ]
        assert set(writes) == {"", "lazaretto"}
        until(functools.partial(_told, scene, at_least=number), what="the incident tells of it")
    scene.await_state("Contained")
    assert scene.read("containments", MODEL)["spec"]["holds"][0]["releasing"] is False


def _told(scene: Scene, *, at_least: int) -> bool:
    """Whether the incident tells so often that somebody else moved the model."""
    timeline = scene.incident()["status"].get("timeline", [])
    told = [each for each in timeline if (each["type"], each["object"]) == ("Interference", f"Deployment/{BAD}")]
    return len(told) >= at_least
