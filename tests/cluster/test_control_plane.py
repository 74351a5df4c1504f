"""Proves that the test control plane behaves as a real cluster does, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.access import ClusterAccess, KubectlError
from tests.cluster.control_plane import ControlPlane
from tests.cluster.process import start_time
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster

_REPOSITORY = Path(__file__).parents[2]


def deployment(name: str, *, replicas: int) -> dict[str, Any]:
    """Returns a Deployment of pods that KWOK pretends to run."""
    labels = {"app": name}
    container = {
        "name": "model",
        "image": "registry.invalid/model:1",
        "resources": {"requests": {"cpu": "1"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


@pytest.fixture
def account(control_plane: ControlPlane, namespace: str) -> str:
    """A fresh ServiceAccount without any rights."""
    control_plane.kubectl("create", "serviceaccount", "visitor", "-n", namespace)
    return "visitor"


def test_server_is_healthy(control_plane: ControlPlane) -> None:
    assert control_plane.healthy("/healthz")
    assert control_plane.healthy("/readyz")
    assert json.loads(control_plane.kubectl("get", "--raw", "/version"))["minor"] == "37"


def test_gateway_kinds_are_served(control_plane: ControlPlane) -> None:
    assert "httproutes.gateway.networking.k8s.io" in control_plane.kubectl("get", "crd", "-o", "name")


def test_fresh_account_may_do_nothing_until_it_is_granted(
    control_plane: ControlPlane, namespace: str, account: str
) -> None:
    user = f"system:serviceaccount:{namespace}:{account}"
    with pytest.raises(KubectlError, match="Forbidden"):
        control_plane.kubectl("get", "configmaps", "-n", namespace, as_user=user)
    control_plane.kubectl("create", "role", "reader", "-n", namespace, "--verb=get,list", "--resource=configmaps")
    subject = f"--serviceaccount={namespace}:{account}"
    control_plane.kubectl("create", "rolebinding", "reader", "-n", namespace, "--role=reader", subject)
    control_plane.kubectl("get", "configmaps", "-n", namespace, as_user=user)


def test_account_token_works_and_its_write_is_audited(
    control_plane: ControlPlane, namespace: str, account: str
) -> None:
    control_plane.kubectl(
        "create",
        "rolebinding",
        "editor",
        "-n",
        namespace,
        "--clusterrole=edit",
        f"--serviceaccount={namespace}:{account}",
    )
    kubeconfig = control_plane.service_account_kubeconfig(namespace, account)
    visitor = f"system:serviceaccount:{namespace}:{account}"
    mark = control_plane.audit.mark()
    document = json.dumps(deployment("audited", replicas=0))
    control_plane.kubectl("create", "-n", namespace, "-f", "-", f"--kubeconfig={kubeconfig}", input=document)

    record = control_plane.audit.wait_for(mark, matches=lambda each: each.user == visitor and each.verb == "create")

    assert (record.resource, record.namespace, record.name, record.code) == (
        "deployments",
        namespace,
        "audited",
        201,
    )
    assert record.request_object["spec"]["replicas"] == 0
    assert record.response_object["metadata"]["uid"]
    assert list(control_plane.audit.since(mark, users=["nobody"])) == []


def test_user_certificate_carries_name_and_groups(control_plane: ControlPlane) -> None:
    kubeconfig = control_plane.user_kubeconfig("ada@example.org", groups=["responders"])
    answer = control_plane.kubectl("auth", "whoami", "-o", "json", f"--kubeconfig={kubeconfig}")
    user = json.loads(answer)["status"]["userInfo"]
    assert user["username"] == "ada@example.org"
    assert "responders" in user["groups"]


def test_deployment_becomes_available_and_scales_to_zero(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(deployment("model", replicas=3), namespace=namespace)
    control_plane.kubectl("wait", "--for=condition=Available", "deployment/model", "-n", namespace, "--timeout=90s")
    pods = control_plane.get("pods", "-n", namespace)["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Running"] * 3

    control_plane.kubectl("scale", "deployment/model", "--replicas=0", "-n", namespace)
    until(lambda: control_plane.get("pods", "-n", namespace)["items"] == [], what="pods are gone")


def test_autoscaler_raises_replicas_to_its_minimum(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(deployment("model", replicas=1), namespace=namespace)
    control_plane.kubectl("autoscale", "deployment/model", "--min=2", "--max=4", "--cpu=80%", "-n", namespace)

    def replicas() -> int:
        return int(control_plane.get("deployment/model", "-n", namespace)["spec"]["replicas"])

    until(lambda: replicas() == 2, what="two replicas")


def test_admission_policies_are_enforced(control_plane: ControlPlane, namespace: str) -> None:
    name = f"{namespace}-no-secrets"
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["secrets"],
                    }
                ],
            },
            "validations": [{"expression": "false", "message": "no secrets here"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    control_plane.apply(policy, binding)

    def denied() -> bool:
        try:
            control_plane.kubectl("create", "secret", "generic", "s", "-n", namespace, "--dry-run=server")
        except KubectlError as error:
            return "no secrets here" in error.stderr
        return False

    try:
        until(denied, what="the policy denies")
    finally:
        control_plane.kubectl("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", name)


@pytest.mark.usefixtures("recovered")
def test_killed_server_comes_back_with_its_data(control_plane: ControlPlane, namespace: str) -> None:
    if not control_plane.pids:
        pytest.skip("another process runs this control plane")
    control_plane.kubectl("create", "configmap", "kept", "--from-literal=key=value", "-n", namespace)
    before = control_plane.pids["kube-apiserver"]

    control_plane.restart_apiserver()

    assert control_plane.pids["kube-apiserver"] != before
    assert control_plane.get("configmap/kept", "-n", namespace)["data"] == {"key": "value"}
    control_plane.apply(deployment("later", replicas=1), namespace=namespace)
    control_plane.kubectl("wait", "--for=condition=Available", "deployment/later", "-n", namespace, "--timeout=90s")


def test_killed_owner_leaves_no_process(tmp_path: Path) -> None:
    root = tmp_path / "plane"
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.cluster.control_plane import ControlPlane\n"
        "with ControlPlane(Path(sys.argv[1]), fsync=False) as plane:\n"
        "    print(*plane.pids.values(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(root)], cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == 5
        assert all(start_time(pid) for pid in pids)
        os.kill(owner.pid, signal.SIGKILL)
    until(lambda: not any(start_time(pid) for pid in pids), what="no child is left")


def test_own_kinds_and_manifests_are_installed(cluster: ClusterAccess) -> None:
    kinds = cluster.kubectl("api-resources", "--api-group=lazaretto.dev", "-o", "name").split()
    assert "containments.lazaretto.dev" in kinds
    assert cluster.get("validatingadmissionpolicies", "-l", "app.kubernetes.io/name=lazaretto")["items"]
