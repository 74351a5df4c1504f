"""A whole Kubernetes control plane of one's own, on 127.0.0.1, in one folder.

etcd, kube-apiserver, kube-controller-manager and kube-scheduler are the real ones; KWOK plays the kubelets, so
pods become ready within about a second and run nothing. RBAC, ServiceAccount tokens, admission policies and
the audit log are on. The processes die with the Python process that started them, however that ends.

A caller may rely on this: when `start` returns, the API answers and the controllers run; when it raises,
nothing is left running. Everything that is written lies beneath `root`; removing that folder is the caller's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cluster import components
from tests.cluster.access import ClusterAccess, answers
from tests.cluster.audit import AuditLog
from tests.cluster.children import Options, another_apiserver, describe
from tests.cluster.components import Layout, Ports
from tests.cluster.marker import Marker
from tests.cluster.pki import CertificateAuthority, KeyPair
from tests.cluster.process import ChildProcess, ProcessFailedError, free_ports

_START_SECONDS = 90.0
_CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "kwok")
_NODE_CAPACITY = {"cpu": "64", "memory": "512Gi", "pods": "500"}


class ControlPlane(ClusterAccess):
    """One control plane; see the module's text for what it promises."""

    def __init__(
        self,
        root: Path,
        *,
        fsync: bool = True,
        hpa_sync_seconds: float = 1.0,
        admission_plugins: Sequence[str] = ("NodeRestriction",),
        apiserver_flags: Mapping[str, str] | None = None,
        etcd_flags: Mapping[str, str] | None = None,
    ) -> None:
        """Describes a control plane beneath `root`; `start` starts it.

        Args:
            root: Folder of its own; made when absent. Data of an earlier run there is taken up again.
            fsync: Whether etcd waits for the disk, as it does in production. Off is faster.
            hpa_sync_seconds: How often the autoscaler's controller looks.
            admission_plugins: In addition to the server's own defaults.
            apiserver_flags: More flags of kube-apiserver, by name without dashes; they win over ours.
            etcd_flags: More flags of etcd, the same way.
        """
        self.layout = Layout(root.absolute())
        super().__init__(self.layout.admin_kubeconfig, folder=self.layout.kubeconfigs)
        self._options = Options(
            fsync=fsync,
            hpa_sync_seconds=hpa_sync_seconds,
            admission_plugins=tuple(admission_plugins),
            apiserver_flags=dict(apiserver_flags or {}),
            etcd_flags=dict(etcd_flags or {}),
        )
        self._ports: Ports | None = None
        self._children: dict[str, ChildProcess] = {}

    @classmethod
    def attach(cls, root: Path) -> ControlPlane:
        """Returns a way into a control plane that another process of ours runs beneath `root`."""
        marker = Marker.running(root)
        if marker is None:
            raise ProcessFailedError(f"no control plane of ours runs in {root}: start one, or name another folder")
        plane = cls(root)
        plane._ports = marker.ports
        return plane

    @property
    def url(self) -> str:
        """The API server's base URL."""
        return f"https://127.0.0.1:{self._known_ports.apiserver}"

    @property
    def ca_file(self) -> Path:
        """PEM file of the cluster's certificate authority."""
        return self._authority.certificate

    @property
    def etcd_url(self) -> str:
        """Where etcd answers, to clients that show `etcd_client`."""
        return f"https://127.0.0.1:{self._known_ports.etcd}"

    @property
    def etcd_client(self) -> KeyPair:
        """The certificate by which the API server is known to etcd."""
        return self._authority.serving("etcd", dns_names=["localhost"], addresses=["127.0.0.1"])

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, one JSON object a line."""
        return self.layout.audit_log

    @property
    def audit(self) -> AuditLog:
        """The same log as typed records."""
        return AuditLog(self.layout.audit_log)

    @property
    def logs(self) -> Path:
        """Folder with one log file a program."""
        return self.layout.logs

    @property
    def pids(self) -> dict[str, int]:
        """The pids of the processes that run, by program."""
        return {name: child.pid for name, child in self._children.items() if child.running}

    def start(self) -> None:
        """Starts everything and waits until it is ready; builds the programs first where they are missing."""
        running = Marker.running(self.layout.root)
        if running is not None:
            raise ProcessFailedError(f"{self.layout.root} is in use by process {running.owner.pid}: stop that first")
        self._prepare()
        try:
            self._start_children()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends all processes; safe to repeat, and does nothing to a control plane that another process runs."""
        for child in reversed(self._children.values()):
            child.stop()
        if self._children:
            self._children.clear()
            self.layout.marker.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Starts the control plane."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the control plane."""
        self.stop()

    def wait_ready(self, *, seconds: float = _START_SECONDS) -> None:
        """Waits until the API server and the controllers say that they are ready."""
        ports = self._known_ports
        self._await("kube-apiserver", url=f"{self.url}/readyz", seconds=seconds, ca_file=self.ca_file)
        for name, port in (
            ("kube-controller-manager", ports.controller_manager),
            ("kube-scheduler", ports.scheduler),
        ):
            self._await(name, url=f"https://127.0.0.1:{port}/healthz", seconds=seconds)

    def stop_apiserver(self, *, graceful: bool = False) -> None:
        """Takes the API server away, by SIGKILL unless `graceful`."""
        child = self._child("kube-apiserver")
        if graceful:
            child.stop()
        else:
            child.kill()

    def start_apiserver(self) -> None:
        """Brings the API server back on the same port and waits until everything is ready."""
        self._child("kube-apiserver").start()
        self.wait_ready()
        self._write_marker()

    def restart_apiserver(self, *, graceful: bool = False) -> None:
        """Takes the API server away and brings it back; see `stop_apiserver`."""
        self.stop_apiserver(graceful=graceful)
        self.start_apiserver()

    def another_apiserver(self, port: int) -> ChildProcess:
        """Describes one more API server beside the first, on this port of 127.0.0.1; the caller starts and stops it."""
        return another_apiserver(
            self.layout, ports=self._known_ports, authority=self._authority, options=self._options, port=port
        )

    def user_kubeconfig(self, name: str, *, groups: Sequence[str] = ()) -> Path:
        """Returns a kubeconfig with a client certificate for the user `name` in `groups`."""
        pair = self._authority.client(name, groups=groups)
        path = self.layout.kubeconfigs / f"user-{pair.certificate.stem}.kubeconfig"
        return self.write_kubeconfig(path, user=name, credentials=_certificate(pair))

    def add_nodes(self, count: int, **capacity: str | int) -> list[str]:
        """Adds fake nodes, waits until pods may be scheduled there, and returns their names.

        Args:
            count: How many.
            **capacity: Resources in place of the defaults; `**{"nvidia.com/gpu": 8}` for extended ones.
        """
        first = len(self.get("nodes")["items"])
        names = [f"node-{number}" for number in range(first, first + count)]
        resources = {**_NODE_CAPACITY, **{name: str(amount) for name, amount in capacity.items()}}
        items = [components.fake_node(name, capacity=resources) for name in names]
        # Not `apply`: server-side apply would own the status that KWOK writes.
        self.kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        deadline = time.monotonic() + _START_SECONDS
        while not set(names) <= self._schedulable_nodes():
            if time.monotonic() > deadline:
                raise ProcessFailedError(f"{', '.join(names)}: not ready after {_START_SECONDS:g} s; see {self.logs}")
            time.sleep(0.1)
        return names

    def ensure_nodes(self, count: int, **capacity: str | int) -> None:
        """Adds as many fake nodes as are missing up to `count`; see `add_nodes`."""
        missing = count - len(self.get("nodes")["items"])
        if missing > 0:
            self.add_nodes(missing, **capacity)

    def _schedulable_nodes(self) -> set[str]:
        return {node["metadata"]["name"] for node in self.get("nodes")["items"] if _schedulable(node)}

    def _prepare(self) -> None:
        for folder in (self.layout.root, self.layout.logs, self.layout.etcd_data, self.layout.kubeconfigs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        earlier = Marker.read(self.layout.root)
        names = Ports.__dataclass_fields__
        self._ports = earlier.ports if earlier else Ports(**dict(zip(names, free_ports(len(names)), strict=True)))
        components.write_json(self.layout.audit_policy, document=components.audit_policy())
        admin = self._authority.client("lazaretto-test-admin", groups=["system:masters"])
        self.write_kubeconfig(self.kubeconfig, user="admin", credentials=_certificate(admin))
        self._children = describe(
            self.layout,
            ports=self._ports,
            authority=self._authority,
            options=self._options,
            kubeconfig=self.user_kubeconfig,
        )

    def _start_children(self) -> None:
        health = self._known_ports.etcd_health
        self._child("etcd").start()
        self._await("etcd", url=f"http://127.0.0.1:{health}/readyz", seconds=_START_SECONDS)
        self._child("kube-apiserver").start()
        self._await("kube-apiserver", url=f"{self.url}/readyz", seconds=_START_SECONDS, ca_file=self.ca_file)
        for name in _CONTROLLERS:
            self._child(name).start()
        self._write_marker()
        self.wait_ready()
        # Pods are refused until the controller manager has made the namespace's ServiceAccount.
        self.kubectl("wait", "--for=create", "serviceaccount/default", "-n", "default", "--timeout=90s")

    def _await(self, name: str, *, url: str, seconds: float, ca_file: Path | None = None) -> None:
        child = self._children.get(name)
        if child is not None:
            child.wait_until(lambda: answers(url, ca_file=ca_file), seconds=seconds)
            return
        deadline = time.monotonic() + seconds
        while not answers(url, ca_file=ca_file):
            if time.monotonic() > deadline:
                raise ProcessFailedError(f"{name} of {self.layout.root} did not answer {url} in {seconds:g} s")
            time.sleep(0.1)

    def _child(self, name: str) -> ChildProcess:
        if name not in self._children:
            raise ProcessFailedError(f"{name} of {self.layout.root} is not run by this process")
        return self._children[name]

    @property
    def _known_ports(self) -> Ports:
        if self._ports is None:
            raise ProcessFailedError(f"the control plane in {self.layout.root} was not started")
        return self._ports

    @property
    def _authority(self) -> CertificateAuthority:
        return CertificateAuthority(self.layout.pki)

    def _write_marker(self) -> None:
        Marker.write(self.layout.root, pids=self.pids, ports=self._known_ports, url=self.url)


def _certificate(pair: KeyPair) -> dict[str, str]:
    return {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}


def _schedulable(node: Mapping[str, Any]) -> bool:
    conditions = {each["type"]: each["status"] for each in node.get("status", {}).get("conditions", [])}
    return bool(conditions.get("Ready") == "True" and not node["spec"].get("taints"))
