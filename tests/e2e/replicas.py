"""Several operators on one API server, each with the service account of the operator and a name of its own."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.cluster.expected_calls import OWN_LEASE
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.conftest import SYSTEM
from tests.e2e.raw_api import RawApi

LEASE_SECONDS = 6


class Replicas:
    """Operators by name, and the Lease that they share; none of them runs at first."""

    def __init__(self, root: Path, kubeconfig: Path, admin: RawApi) -> None:
        """Each writes into a folder of its own below `root`, under the account of `kubeconfig`."""
        self._root = root
        self._kubeconfig = kubeconfig
        self._admin = admin
        self._running: dict[str, OperatorProcess] = {}
        self._temporary: list[str] = []
        self.lease = "lazaretto-operator"

    def start(
        self,
        name: str,
        *,
        lease: str = "",
        kubeconfig: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> OperatorProcess:
        """Starts one that goes by this name, and waits until it is ready."""
        flags = ["--identity", name, "--lease", lease or self.lease, "--lease-seconds", str(LEASE_SECONDS)]
        process = OperatorProcess(
            self._root / name, kubeconfig or self._kubeconfig, flags=flags, environment=environment
        )
        self._running[name] = process
        process.start()
        return process

    def holder(self, lease: str = "") -> str:
        """Who leads, by the Lease."""
        found = self._admin.get("leases", namespace=SYSTEM, name=lease or self.lease)
        return str((found.get("spec") or {}).get("holderIdentity", ""))

    def _another_lease(self) -> str:
        """A second Lease, which the operator's account may hold as well."""
        name, group = f"{OWN_LEASE}{uuid.uuid4().hex[:8]}", "rbac.authorization.k8s.io"
        place = {"metadata": {"name": name, "namespace": SYSTEM}}
        self._admin.create({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **place}, namespace=SYSTEM)
        verbs = ["get", "watch", "patch"]
        rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [name], "verbs": verbs}
        self._admin.create({"apiVersion": f"{group}/v1", "kind": "Role", **place, "rules": [rule]}, namespace=SYSTEM)
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            **place,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "lazaretto-operator", "namespace": SYSTEM}],
        }
        self._admin.create(binding, namespace=SYSTEM)
        self._temporary.append(name)
        return name

    def led_by(self, name: str, *, lease: str = "") -> None:
        """Waits until this one leads."""
        until(lambda: self.holder(lease) == name, what=f"{name} leads")

    def split(self) -> None:
        """Starts two that both lead, each by a Lease of its own."""
        another = self._another_lease()
        self.start("first")
        self.start("second", lease=another)
        self.led_by("first")
        self.led_by("second", lease=another)

    def __enter__(self) -> Self:
        """None of them runs yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends all of them, and removes what was made for them."""
        for process in self._running.values():
            process.stop()
        self._running.clear()
        for name in self._temporary:
            for plural in ("rolebindings", "roles", "leases"):
                self._admin.delete(plural, namespace=SYSTEM, name=name)
