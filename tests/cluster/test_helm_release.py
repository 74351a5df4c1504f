"""The charts on a real API server that has nothing of Lazaretto yet."""

from __future__ import annotations

import subprocess

import pytest

from lazaretto.api import GROUP, KINDS
from lazaretto.domain.admission import ENFORCED
from tests.cluster.binaries import binary, gateway_crds
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fence_stories import DRY, Place
from tests.cluster.installation import denied, refused
from tests.cluster.waiting import until
from tests.e2e.shapes import MODEL
from tests.unit.install.sources import CHART, CRD_CHART, NAMESPACE

pytestmark = pytest.mark.cluster

ADMISSION, OURS = "validatingadmissionpolicies", "app.kubernetes.io/name=lazaretto"


def test_helm_installs_upgrades_and_removes_but_never_the_definitions(bare_server: ControlPlane) -> None:
    crds = {f"{kind.facts.plural}.{GROUP}" for kind in KINDS}
    helm(bare_server, "install", "lazaretto-crds", str(CRD_CHART), "--wait")
    helm(bare_server, "install", "lazaretto", str(CHART), "--create-namespace")
    bare_server.kubectl("create", "namespace", "team-a")
    helm(bare_server, "upgrade", "lazaretto", str(CHART), "--set-json", 'protectedNamespaces=["team-a"]')
    binding = bare_server.get("rolebinding", "lazaretto-actor", "-n", "team-a")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "lazaretto-operator", "namespace": NAMESPACE}]
    installed = bare_server.get(ADMISSION, "-l", OURS)["items"]
    assert {each["metadata"]["name"] for each in installed} == set(ENFORCED)
    bare_server.apply_definitions(*gateway_crds())
    place = Place.build(bare_server)
    until(lambda: denied(lambda: place.scale(1, DRY), "fence-replicas"))
    helm(bare_server, "uninstall", "lazaretto")
    with refused("fence-replicas", f"is contained by incident {MODEL}-1"):
        place.scale(1)
    with refused("journal"):
        bare_server.kubectl("delete", "containment", MODEL, "-n", place.name)
    helm(bare_server, "install", "lazaretto", str(CHART))
    helm(bare_server, "uninstall", "lazaretto")
    bare_server.kubectl("delete", f"{ADMISSION},{ADMISSION.replace('policies', 'policybindings')}", "-l", OURS)
    helm(bare_server, "uninstall", "lazaretto-crds")
    assert crds <= {each["metadata"]["name"] for each in bare_server.get("crds")["items"]}
    assert not bare_server.get("clusterroles", "-l", OURS)["items"]


def helm(plane: ControlPlane, *arguments: str) -> None:
    command = [str(binary("helm")), *arguments, "--namespace", NAMESPACE, "--kubeconfig", str(plane.kubeconfig)]
    # The chart of definitions has no namespace of its own to wait for.
    command += ["--create-namespace"] if arguments[0] == "install" and "--create-namespace" not in arguments else []
    home = str(plane.layout.root)
    environment = {"HOME": home, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
