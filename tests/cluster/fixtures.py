"""pytest fixtures: one control plane for the whole session, one namespace for each test.

Which cluster the tests use:

- `LAZARETTO_TEST_ROOT` names the folder of a running control plane (`python -m tests.cluster up`): that one.
- `KUBECONFIG` is the admin kubeconfig of such a control plane: that one as well.
- `KUBECONFIG` is anything else: refused, unless `LAZARETTO_TEST_CONTEXT` names the context to use. Tests that
  need a control plane of their own are then skipped.
- Neither: a new control plane, gone after the session. `LAZARETTO_TEST_FSYNC=0` makes it quicker.

Nothing is started before the first test that asks for it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.binaries import CONTROL_PLANE, MONITORING, binaries, gateway_crds, kwok_stages
from tests.cluster.control_plane import ControlPlane
from tests.cluster.expected_calls import beyond_the_shipped_rights
from tests.cluster.marker import Marker
from tests.cluster.shown_secrets import shown_in_logs

_REPOSITORY = Path(__file__).parents[2]
_NODES = 3
_CLUSTERS = {"bare_cluster", "bare_server", "control_plane"}
"""Fixtures that start something."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Builds missing programs before the first test, in plain sight and outside of any test's time limit."""
    if session.config.option.collectonly:
        return
    own = not os.environ.get("LAZARETTO_TEST_CONTEXT")
    cluster = any(_CLUSTERS & set(item.fixturenames) for item in _functions(session))
    monitoring = any(item.get_closest_marker("monitoring") for item in session.items)
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        binaries([*(CONTROL_PLANE if cluster and own else ()), *(MONITORING if monitoring else ())])
        if cluster:
            gateway_crds()
            kwok_stages()


def _functions(session: pytest.Session) -> list[pytest.Function]:
    return [item for item in session.items if isinstance(item, pytest.Function)]


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that our code started, with nodes and the Gateway API's kinds."""
    if os.environ.get("LAZARETTO_TEST_CONTEXT"):
        pytest.skip("needs a control plane of its own; LAZARETTO_TEST_CONTEXT names a foreign cluster")
    root = _running_root()
    if root is not None:
        plane = ControlPlane.attach(root)
        _furnish(plane)
        yield plane
        return
    fsync = os.environ.get("LAZARETTO_TEST_FSYNC", "1") != "0"
    with ControlPlane(tmp_path_factory.mktemp("control-plane"), fsync=fsync) as plane:
        _furnish(plane)
        yield plane
        assert beyond_the_shipped_rights(plane.audit) == {}, "our processes asked for what no role grants"
        assert shown_in_logs(tmp_path_factory.getbasetemp()) == {}, "our processes wrote secrets into their logs"


@pytest.fixture(scope="session")
def bare_cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ClusterAccess:
    """Any cluster that the tests may write to, with the Gateway API's kinds but nothing of Lazaretto."""
    context = os.environ.get("LAZARETTO_TEST_CONTEXT")
    if context:
        access = _foreign(context, folder=tmp_path_factory.mktemp("foreign-cluster"))
        access.apply_definitions(*gateway_crds())
        return access
    plane: ControlPlane = request.getfixturevalue("control_plane")
    return plane


@pytest.fixture(scope="session")
def cluster(bare_cluster: ClusterAccess) -> ClusterAccess:
    """The same cluster with Lazaretto's own kinds and its base manifests."""
    for folder in (_REPOSITORY / "crds", _REPOSITORY / "manifests" / "base"):
        bare_cluster.apply_folder(folder)
    return bare_cluster


@pytest.fixture
def namespace(bare_cluster: ClusterAccess) -> Iterator[str]:
    """The name of a fresh namespace in which pods can be created, deleted afterwards without waiting."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    bare_cluster.kubectl("create", "namespace", name)
    # Pods are refused until the namespace has its ServiceAccount.
    bare_cluster.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=90s")
    yield name
    bare_cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def _furnish(plane: ControlPlane) -> None:
    plane.apply_definitions(*gateway_crds())
    plane.ensure_nodes(_NODES, **{"nvidia.com/gpu": 8})


def _running_root() -> Path | None:
    """Returns the root of the running control plane that the environment names, None for a new one."""
    named = os.environ.get("LAZARETTO_TEST_ROOT")
    if named:
        return Path(named)
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        return None
    root = Path(kubeconfig).absolute().parent
    if Marker.read(root) is None:
        pytest.fail(
            f"KUBECONFIG={kubeconfig} is no cluster that these tests made: unset KUBECONFIG, "
            "or name its context in LAZARETTO_TEST_CONTEXT to have the tests write to it",
            pytrace=False,
        )
    return root


def _foreign(context: str, *, folder: Path) -> ClusterAccess:
    kubeconfig = Path(os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
    if not kubeconfig.is_file():
        pytest.fail(f"LAZARETTO_TEST_CONTEXT={context} needs KUBECONFIG: {kubeconfig} is no file", pytrace=False)
    return ClusterAccess(kubeconfig, folder=folder, context=context)
