"""An API that its server registered and does not serve: discovery is incomplete, and that concerns nobody but it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.access import KubectlError
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.scene import Scene

pytestmark = pytest.mark.cluster

NAME = "v1beta1.nobody.example.com"
REGISTRATION: dict[str, Any] = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": NAME},
    "spec": {
        "group": "nobody.example.com",
        "version": "v1beta1",
        "service": {"namespace": "kube-system", "name": "nobody", "port": 443},
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    },
}


@pytest.fixture
def incomplete(control_plane: ControlPlane, scene: Scene) -> Iterator[None]:
    """Discovery is incomplete. The scene is made before, by tools that would mind."""
    control_plane.apply(REGISTRATION)
    try:
        until(lambda: _refused(control_plane), what="the API is asked for in vain")
        yield
    finally:
        control_plane.kubectl("delete", "apiservice", NAME)


@pytest.mark.usefixtures("incomplete")
def test_an_operator_that_starts_meanwhile_contains_and_releases(scene: Scene, operator: OperatorProcess) -> None:
    operator.stop()
    operator.start()
    before = scene.specs()
    scene.report()
    scene.contained()
    scene.release()
    assert scene.specs() == before


def _refused(plane: ControlPlane) -> bool:
    try:
        plane.kubectl("get", "--raw", "/apis/nobody.example.com/v1beta1")
    except KubectlError as error:
        return "unable to handle the request" in str(error)
    return False
