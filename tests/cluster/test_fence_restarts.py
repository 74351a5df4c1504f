"""The fence when the API server comes back, when its kinds are lost, and when a namespace is deleted."""

from __future__ import annotations

import functools
import json
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lazaretto.api import GROUP
from tests.cluster.access import KubectlError
from tests.cluster.binaries import gateway_crds
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fence_stories import ATTEMPTS, BAD_LABELS, DRY, Place, pod
from tests.cluster.installation import BREAK_GLASS, await_open, denied, fails
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.scene import staged
from tests.e2e.shapes import BAD
from tests.faults.story import kept_running
from tests.unit.install.sources import FENCE, NAMESPACE, REPOSITORY

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

CONTAINMENTS = f"containments.{GROUP}"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that may be taken away, with the fence."""
    with ControlPlane(tmp_path_factory.mktemp("restarts"), fsync=False) as plane:
        plane.apply_definitions(*gateway_crds())
        plane.ensure_nodes(1)
        for folder in ("crds", "manifests/base"):
            plane.apply_folder(REPOSITORY / folder)
        yield plane


@pytest.fixture(autouse=True)
def opened(own: ControlPlane) -> None:
    """The test before may have restarted the API server."""
    await_open(own)


@pytest.fixture
def place(own: ControlPlane) -> Place:
    """A contained model that the fence was seen to hold."""
    place = Place.build(own)
    for policy, attempt in ATTEMPTS.items():
        until(functools.partial(denied, functools.partial(attempt, place), policy), what=policy)
    return place


@pytest.fixture
def elsewhere(own: ControlPlane) -> str:
    """A namespace that is not opted in, in which pods can be created."""
    name = f"elsewhere-{uuid.uuid4().hex[:8]}"
    own.kubectl("create", "namespace", name)
    own.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=90s")
    return name


def test_an_api_server_that_comes_back_never_lets_anything_through(own: ControlPlane, place: Place) -> None:
    """It is asked without a pause from before it listens until long after it has read all holds."""
    answers: list[str] = []
    enough = threading.Event()

    def hammer() -> None:
        while not enough.is_set():
            try:
                place.scale(1, DRY)
            except KubectlError as error:
                answers.append("refused" if "is contained by incident" in error.stderr else error.stderr)
            else:
                answers.append("passed")

    hammering = threading.Thread(target=hammer)
    own.stop_apiserver()
    hammering.start()
    try:
        own.start_apiserver()
        until(lambda: answers[-10:].count("refused") == 10, what="the fence stands again")
    finally:
        enough.set()
        hammering.join()
    assert "passed" not in answers


def test_an_incident_that_falls_into_a_restart_is_contained_after_it(own: ControlPlane, tmp_path: Path) -> None:
    """A server that started is closed to the operator too, until it has found the parameters' kind."""
    account = own.service_account_kubeconfig(NAMESPACE, "lazaretto-operator")
    with OperatorProcess(tmp_path / "operator", account) as operator, kept_running(operator), staged(own) as stage:
        scene = stage.build()
        originals = scene.specs()
        own.restart_apiserver()
        begun = time.monotonic()
        until(lambda: not fails(scene.report), what="the incident is stored")
        scene.contained()
        print(f"contained {time.monotonic() - begun:.1f} s after the API server was ready again")
        scene.release()
        assert scene.specs() == originals


def test_lost_kinds_close_opted_in_namespaces_and_no_others(own: ControlPlane, place: Place, elsewhere: str) -> None:
    own.kubectl("delete", "crd", CONTAINMENTS, "--as=alice", f"--as-group={BREAK_GLASS}", "--as-group=system:masters")
    own.restart_apiserver()
    stray = {**pod({"app": "other"}), "metadata": {"name": "stray", "labels": {"app": "other"}}}
    own.kubectl("create", "-f", "-", "-n", elsewhere, input=json.dumps(stray))
    with pytest.raises(KubectlError, match="failed to find resource referenced by paramKind"):
        place.create(pod({"app": "other"}), DRY)
    own.apply_folder(REPOSITORY / "crds")
    until(lambda: not fails(lambda: place.create(pod({"app": "other"}), DRY)), what="opted-in namespaces open again")
    until(lambda: not fails(lambda: place.contain()), what="a containment can be stored again")
    until(lambda: denied(lambda: place.create(pod(BAD_LABELS), DRY), "fence-pods"), what="the fence stands again")


def test_policies_that_are_removed_first_leave_nothing_closed(own: ControlPlane, place: Place) -> None:
    """The order of uninstalling that the fence's own text asks for."""
    own.kubectl("delete", "-k", str(FENCE))
    try:
        until(lambda: not fails(lambda: place.scale(1, DRY)), what="the fence is gone")
        own.kubectl("delete", "crd", CONTAINMENTS)
        own.restart_apiserver()
        place.create(pod(BAD_LABELS), DRY)
        place.scale(1, name=BAD)
    finally:
        own.apply_folder(REPOSITORY / "crds")
        own.apply_folder(FENCE)


def test_a_namespace_with_a_contained_model_can_be_deleted(own: ControlPlane, place: Place) -> None:
    own.kubectl("delete", "namespace", place.name, "--timeout=90s")
