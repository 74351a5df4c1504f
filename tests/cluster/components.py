"""The command lines of the control plane's programs, and the files that they read.

Nothing runs here. `Layout` names every file of a control plane beneath its root; the functions return what
`control_plane.py` starts. All servers listen on 127.0.0.1 only and speak TLS, but for etcd's health port.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.pki import KeyPair

SERVICE_ADDRESSES = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
ISSUER = "https://kubernetes.default.svc.cluster.local"
FAKE_NODE = "kwok.x-k8s.io/node"

_WRITES = ["create", "update", "patch", "delete", "deletecollection"]
_RECORDED_IN_FULL = ["lazaretto.dev", "apps", "autoscaling", "gateway.networking.k8s.io"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one control plane lies."""

    root: Path

    @property
    def marker(self) -> Path:
        """Says that our code made this folder, who runs it and where it listens."""
        return self.root / "lazaretto-control-plane.json"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        """One log file a program."""
        return self.root / "logs"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log."""
        return self.root / "audit" / "audit.log"

    @property
    def audit_policy(self) -> Path:
        """What the audit log records."""
        return self.root / "audit" / "policy.json"

    @property
    def etcd_data(self) -> Path:
        """The data folder of etcd."""
        return self.root / "etcd"

    @property
    def kubeconfigs(self) -> Path:
        """Kubeconfigs and kubectl's own cache."""
        return self.root / "kubeconfigs"

    @property
    def admin_kubeconfig(self) -> Path:
        """Kubeconfig of the cluster's administrator."""
        return self.root / "admin.kubeconfig"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """TCP ports on 127.0.0.1, the same for the life of a control plane."""

    etcd: int
    etcd_peer: int
    etcd_health: int
    apiserver: int
    controller_manager: int
    scheduler: int


def audit_policy() -> dict[str, Any]:
    """Returns the audit policy: bodies for writes of what the tests assert on, metadata for the rest."""
    full = [{"group": group} for group in _RECORDED_IN_FULL]
    services = {"group": "", "resources": ["services", "services/*"]}
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "RequestResponse", "verbs": _WRITES, "resources": [*full, services]},
            {"level": "Metadata"},
        ],
    }


def etcd_flags(
    layout: Layout, *, ports: Ports, pair: KeyPair, ca: Path, fsync: bool, extra: Mapping[str, str]
) -> list[str]:
    """Returns etcd's arguments; `extra` overrides."""
    client, peer = f"https://127.0.0.1:{ports.etcd}", f"https://127.0.0.1:{ports.etcd_peer}"
    flags: dict[str, object] = {
        "name": "default",
        "data-dir": layout.etcd_data,
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "listen-metrics-urls": f"http://127.0.0.1:{ports.etcd_health}",
        "log-level": "warn",
    }
    for prefix in ("", "peer-"):
        flags |= {f"{prefix}cert-file": pair.certificate, f"{prefix}key-file": pair.key}
        flags |= {f"{prefix}trusted-ca-file": ca, f"{prefix}client-cert-auth": True}
    if not fsync:
        flags["unsafe-no-fsync"] = True
    return _rendered({**flags, **extra})


def apiserver_flags(
    layout: Layout,
    *,
    ports: Ports,
    pair: KeyPair,
    etcd_client: KeyPair,
    ca: Path,
    signing_key: KeyPair,
    admission_plugins: Sequence[str],
    extra: Mapping[str, str],
) -> list[str]:
    """Returns kube-apiserver's arguments; `extra` overrides."""
    return _rendered(
        {
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": ports.apiserver,
            "tls-cert-file": pair.certificate,
            "tls-private-key-file": pair.key,
            "client-ca-file": ca,
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": ",".join(admission_plugins),
            "etcd-servers": f"https://127.0.0.1:{ports.etcd}",
            "etcd-cafile": ca,
            "etcd-certfile": etcd_client.certificate,
            "etcd-keyfile": etcd_client.key,
            "service-cluster-ip-range": SERVICE_ADDRESSES,
            "service-account-issuer": ISSUER,
            "service-account-key-file": signing_key.certificate,
            "service-account-signing-key-file": signing_key.key,
            "audit-policy-file": layout.audit_policy,
            "audit-log-path": layout.audit_log,
            "audit-log-mode": "blocking",
            # In MB, so never: a rotated file would make positions in it wrong. 0 would mean the default of 100 MB.
            "audit-log-maxsize": 1_000_000,
            # 127.0.0.1 is no address that pods could reach, so none is published.
            "endpoint-reconciler-type": "none",
            "allow-privileged": "true",
            "profiling": "false",
            **extra,
        }
    )


def controller_manager_flags(
    *, ports: Ports, kubeconfig: Path, ca: KeyPair, signing_key: KeyPair, hpa_sync_seconds: float
) -> list[str]:
    """Returns kube-controller-manager's arguments."""
    return _rendered(
        {
            **_controller(kubeconfig, port=ports.controller_manager),
            "root-ca-file": ca.certificate,
            "service-account-private-key-file": signing_key.key,
            "use-service-account-credentials": "true",
            "cluster-signing-cert-file": ca.certificate,
            "cluster-signing-key-file": ca.key,
            "horizontal-pod-autoscaler-sync-period": f"{hpa_sync_seconds:g}s",
        }
    )


def scheduler_flags(*, ports: Ports, kubeconfig: Path) -> list[str]:
    """Returns kube-scheduler's arguments."""
    return _rendered(_controller(kubeconfig, port=ports.scheduler))


def kwok_flags(*, kubeconfig: Path, stages: Sequence[Path]) -> list[str]:
    """Returns KWOK's arguments: it plays the kubelet of nodes that carry the annotation, and no others."""
    flags = _rendered(
        {
            "kubeconfig": kubeconfig,
            "manage-all-nodes": "false",
            "manage-nodes-with-annotation-selector": f"{FAKE_NODE}=fake",
            # Renews the nodes' leases; without it the node controller calls them dead after 40 s.
            "node-lease-duration-seconds": 40,
            "node-ip": "127.0.0.1",
        }
    )
    return flags + [f"--config={stage}" for stage in stages]


def fake_node(name: str, *, capacity: Mapping[str, str]) -> dict[str, Any]:
    """Returns a Node object that KWOK keeps ready."""
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "type": "kwok"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {FAKE_NODE: "fake"}},
        "status": {"capacity": dict(capacity), "allocatable": dict(capacity)},
    }


def write_json(path: Path, *, document: Mapping[str, Any]) -> None:
    """Writes `document` to `path` so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(document, indent=1))
    fresh.replace(path)


def _controller(kubeconfig: Path, *, port: int) -> dict[str, object]:
    return {
        "bind-address": "127.0.0.1",
        "secure-port": port,
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        # One instance: waiting for the lease of a killed predecessor would only cost time.
        "leader-elect": "false",
        "kube-api-qps": 200,
        "kube-api-burst": 400,
        "profiling": "false",
    }


def _rendered(flags: Mapping[str, object]) -> list[str]:
    return [f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in flags.items()]
