"""Fixtures that several modules of this folder share, and nothing else.

For the installation: an empty server, namespaces to ask about, the wait for policies. For the receiver: one that
runs, and a model to send alerts about.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator

import pytest

from lazaretto.api import GROUP
from tests.cluster.access import ClusterAccess
from tests.cluster.attacker import Attacker
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fence_stories import ATTEMPTS, Place
from tests.cluster.installation import (
    CLUSTER,
    ELSEWHERE,
    OPTED_IN,
    await_open,
    containment,
    decision,
    denied,
    dry_run,
    grant,
    incident,
    probe_decision,
)
from tests.cluster.pki import CertificateAuthority
from tests.cluster.process import free_ports
from tests.cluster.receiver import ReceiverProcess, ReceiverTls
from tests.cluster.receiver_stories import SYSTEM, TOKENS, add_model, receiver_as_itself
from tests.cluster.waiting import until
from tests.unit.install.sources import OPT_IN, POLICIES

KIND = f"incidentdecisions.{GROUP}"


@pytest.fixture(scope="module")
def bare_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that nothing was installed on."""
    with ControlPlane(tmp_path_factory.mktemp("bare"), fsync=False) as plane:
        yield plane


@pytest.fixture(scope="package")
def places(cluster: ClusterAccess) -> Iterator[dict[str, str]]:
    """An opted-in namespace, one that is not, and none at all."""
    suffix = uuid.uuid4().hex[:8]
    found = {OPTED_IN: f"test-in-{suffix}", ELSEWHERE: f"test-out-{suffix}", CLUSTER: ""}
    for where in (OPTED_IN, ELSEWHERE):
        cluster.kubectl("create", "namespace", found[where])
    # On a namespace that exists, as most will.
    opt_in = cluster.kubectl("kustomize", str(OPT_IN)).replace("my-models", found[OPTED_IN])
    cluster.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", input=opt_in)
    yield found
    cluster.kubectl("delete", "namespace", found[OPTED_IN], found[ELSEWHERE], "--wait=false")


@pytest.fixture(scope="package")
def active(cluster: ClusterAccess) -> None:
    """Waits until every policy was seen to refuse something: a fresh one lets everything pass for about a second."""
    place = f"test-policies-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", place)
    grant(cluster, place, "nobody", (GROUP, "aiincidents", "create"))
    probe = probe_decision(cluster, place)
    requests: dict[str, Callable[[], object]] = {
        "decisions": lambda: dry_run(cluster, decision(place, "forged", by="somebody")),
        "decisions-kept": lambda: cluster.kubectl("delete", KIND, probe, "-n", place, "--dry-run=server"),
        "incident-creators": lambda: dry_run(cluster, incident(place, "x"), as_user="nobody"),
        "journal": lambda: dry_run(cluster, containment(place, "x")),
    }
    assert set(requests) == {path.stem for path in POLICIES.glob("*.yaml")} - {"kustomization"}
    for policy, request in requests.items():
        until(functools.partial(denied, request, policy))
    cluster.kubectl("delete", "namespace", place, "--wait=false")


@pytest.fixture
def recovered(cluster: ClusterAccess) -> Iterator[None]:
    """For tests that take the API server away: ends once opted-in namespaces are open again."""
    yield
    await_open(cluster)


@pytest.fixture
def guarded(active: None, namespace: str) -> str:
    """A fresh namespace in which the policies hold."""
    return namespace


@pytest.fixture(scope="module")
def receiver(cluster: ClusterAccess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    """The receiver under its own account."""
    with receiver_as_itself(cluster, tmp_path_factory.mktemp("receiver")) as process:
        yield process


@pytest.fixture(scope="package")
def intake_address() -> str:
    """Where the besieged receiver shows its metrics."""
    return f"127.0.0.1:{free_ports(1)[0]}"


@pytest.fixture(scope="package")
def besieged(
    cluster: ClusterAccess, intake_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ReceiverProcess, Attacker]]:
    """A receiver as it is installed, with TLS and JSON lines for a log, and somebody who attacks it."""
    root = tmp_path_factory.mktemp("besieged")
    authority = CertificateAuthority(root / "ca")
    serving = authority.serving("receiver", dns_names=["receiver"], addresses=["127.0.0.1"])
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-receiver")
    tls = ReceiverTls(serving=serving, ca=authority.certificate)
    flags = ("--metrics-listen", intake_address)
    process = ReceiverProcess(
        root / "own", kubeconfig, namespace=SYSTEM, tokens=TOKENS, tls=tls, flags=flags, log_format="json"
    )
    with process:
        yield process, Attacker(process, ca=authority.certificate)


@pytest.fixture
def model(cluster: ClusterAccess, namespace: str) -> str:
    """The name of a ProtectedModel of the test's namespace."""
    return add_model(cluster, namespace, "chat")


@pytest.fixture(scope="package")
def fenced(control_plane: ControlPlane, cluster: ClusterAccess) -> ControlPlane:
    """The control plane, once each policy of the fence was seen to refuse something."""
    place = Place.build(cluster)
    for policy, attempt in ATTEMPTS.items():
        until(functools.partial(denied, functools.partial(attempt, place), policy))
    return control_plane
