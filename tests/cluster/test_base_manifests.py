"""manifests/base on a real API server: it is accepted to the letter, and its pods come up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.cluster.access import ClusterAccess, KubectlError
from tests.cluster.control_plane import ControlPlane
from tests.cluster.installation import dry_run
from tests.unit.install.sources import BASE, NAMESPACE

pytestmark = pytest.mark.cluster


def test_the_base_is_accepted_to_the_letter_and_changes_nothing_when_repeated(cluster: ClusterAccess) -> None:
    flags = ("--server-side", "--validate=strict", "--force-conflicts", "--field-manager=lazaretto-tests")
    before = versions(cluster)
    cluster.kubectl("apply", *flags, "-k", str(BASE))
    assert versions(cluster) == before


def versions(cluster: ClusterAccess) -> dict[str, str]:
    """Generation of each object whose spec counts, resourceVersion of the rest."""
    rendered = yaml.safe_load_all(cluster.kubectl("kustomize", str(BASE)))
    names = [f"{each['kind']}.{group(each)}/{each['metadata']['name']}" for each in rendered]
    objects = cluster.get(*names, "-n", NAMESPACE)["items"]
    assert len(objects) == len(names)
    return {
        f"{each['kind']}/{each['metadata']['name']}": str(
            each["metadata"].get("generation") or each["metadata"]["resourceVersion"]
        )
        for each in objects
        if each["kind"] not in ("Namespace", "Lease")  # an operator may renew one meanwhile
    }


def group(obj: Mapping[str, Any]) -> str:
    head, slash, version = obj["apiVersion"].partition("/")
    return f"{version}.{head}" if slash else f"{head}."


def test_our_pods_run_where_only_restricted_pods_may(cluster: ClusterAccess) -> None:
    for deployment in cluster.get("deployments", "-n", NAMESPACE)["items"]:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "probe", "namespace": NAMESPACE},
            "spec": deployment["spec"]["template"]["spec"],
        }
        dry_run(cluster, pod)
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        with pytest.raises(KubectlError, match="violates PodSecurity"):
            dry_run(cluster, pod)


def test_everything_becomes_available(cluster: ClusterAccess, control_plane: ControlPlane) -> None:
    """The scheduler finds the priority class and room; kubelets are played here, so programs are not run."""
    for name in ("lazaretto-operator", "lazaretto-receiver"):
        cluster.kubectl("rollout", "status", f"deployment/{name}", "-n", NAMESPACE, "--timeout=90s")
