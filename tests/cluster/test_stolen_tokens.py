"""What somebody can do who holds the token of one of our accounts: no more than the account's work."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.access import ClusterAccess, KubectlError
from tests.cluster.installation import ELSEWHERE, OPTED_IN, RECEIVER, containment, create, decision, incident
from tests.e2e.raw_api import RawApi, RefusedError
from tests.unit.install.sources import NAMESPACE

pytestmark = pytest.mark.cluster


def test_a_stolen_receiver_token_cannot_approve_or_forge(cluster: ClusterAccess, guarded: str, tmp_path: Path) -> None:
    receiver = ClusterAccess(cluster.service_account_kubeconfig(NAMESPACE, "lazaretto-receiver"), folder=tmp_path)
    create(receiver, incident(guarded, "m-1"))
    for obj in (decision(guarded, "d", by=RECEIVER), containment(guarded, "m")):
        with pytest.raises(KubectlError, match="cannot create resource"):
            create(receiver, obj)
    with pytest.raises(KubectlError, match="cannot delete resource"):
        receiver.kubectl("delete", "aiincident", "m-1", "-n", guarded)


def test_a_stolen_operator_token_cannot_run_a_pod_or_start_a_model_elsewhere(
    cluster: ClusterAccess, places: dict[str, str], tmp_path: Path
) -> None:
    operator = ClusterAccess(cluster.service_account_kubeconfig(NAMESPACE, "lazaretto-operator"), folder=tmp_path)
    for where in (OPTED_IN, ELSEWHERE):
        namespace = places[where]
        cluster.kubectl("create", "deployment", "model", "--image=model", "--replicas=0", "-n", namespace)
        with pytest.raises(KubectlError, match=r"cannot (get|patch) resource"):
            operator.kubectl("set", "image", "deployment/model", "model=evil", "-n", namespace)
        with pytest.raises(KubectlError, match="cannot create resource"):
            operator.kubectl("run", "evil", "--image=evil", "-n", namespace)
    # Past kubectl, which reads before it patches: the account may not even read a scale.
    stolen = RawApi(operator.kubeconfig)
    up = {"spec": {"replicas": 1}}
    stolen.patch("deployments", up, namespace=places[OPTED_IN], name="model", subresource="scale")
    with pytest.raises(RefusedError, match="cannot patch resource"):
        stolen.patch("deployments", up, namespace=places[ELSEWHERE], name="model", subresource="scale")
    stolen.close()
