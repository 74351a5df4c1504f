"""Describes the five processes of a control plane, ready to be started.

Programs that are missing are built here, and certificates and kubeconfigs are made; nothing is started.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.cluster import components
from tests.cluster.binaries import CONTROL_PLANE, binaries, kwok_stages
from tests.cluster.components import Layout, Ports
from tests.cluster.pki import CertificateAuthority
from tests.cluster.process import ChildProcess

_API_SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_MEMORY_MIB = {"kube-apiserver": 2048}
_OTHER_MEMORY_MIB = 768


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may differ from one control plane to another; `ControlPlane` says what each one means."""

    fsync: bool = True
    hpa_sync_seconds: float = 1.0
    admission_plugins: tuple[str, ...] = ("NodeRestriction",)
    apiserver_flags: Mapping[str, str] = field(default_factory=dict)
    etcd_flags: Mapping[str, str] = field(default_factory=dict)


def describe(
    layout: Layout,
    *,
    ports: Ports,
    authority: CertificateAuthority,
    options: Options,
    kubeconfig: Callable[..., Path],
) -> dict[str, ChildProcess]:
    """Returns the processes by program; `kubeconfig(user, groups=…)` makes their identities."""
    programs = binaries(CONTROL_PLANE)
    flags = {
        **_servers(layout, ports=ports, authority=authority, options=options),
        "kube-controller-manager": components.controller_manager_flags(
            ports=ports,
            kubeconfig=kubeconfig("system:kube-controller-manager"),
            ca=authority.pair,
            signing_key=authority.signing_key("service-account"),
            hpa_sync_seconds=options.hpa_sync_seconds,
        ),
        "kube-scheduler": components.scheduler_flags(ports=ports, kubeconfig=kubeconfig("system:kube-scheduler")),
        "kwok": components.kwok_flags(
            kubeconfig=kubeconfig("lazaretto-test-kwok", groups=["system:masters"]), stages=kwok_stages()
        ),
    }
    return {
        name: ChildProcess(
            name,
            argv=[str(programs[name]), *arguments],
            log=layout.logs / f"{name}.log",
            home=layout.root,
            memory_mib=_MEMORY_MIB.get(name, _OTHER_MEMORY_MIB),
        )
        for name, arguments in flags.items()
    }


def another_apiserver(
    layout: Layout, *, ports: Ports, authority: CertificateAuthority, options: Options, port: int
) -> ChildProcess:
    """Returns one more kube-apiserver on the same etcd and with the same audit log, on a port of its own."""
    flags = {**options.apiserver_flags, "secure-port": str(port)}
    servers = _servers(layout, ports=ports, authority=authority, options=replace(options, apiserver_flags=flags))
    return ChildProcess(
        "another-kube-apiserver",
        argv=[str(binaries(CONTROL_PLANE)["kube-apiserver"]), *servers["kube-apiserver"]],
        log=layout.logs / "another-kube-apiserver.log",
        home=layout.root,
        memory_mib=_MEMORY_MIB["kube-apiserver"],
    )


def _servers(
    layout: Layout, *, ports: Ports, authority: CertificateAuthority, options: Options
) -> dict[str, list[str]]:
    etcd = authority.serving("etcd", dns_names=["localhost"], addresses=["127.0.0.1"])
    serving = authority.serving(
        "kube-apiserver",
        dns_names=_API_SERVER_NAMES,
        addresses=["127.0.0.1", components.API_SERVICE_ADDRESS],
    )
    return {
        "etcd": components.etcd_flags(
            layout, ports=ports, pair=etcd, ca=authority.certificate, fsync=options.fsync, extra=options.etcd_flags
        ),
        "kube-apiserver": components.apiserver_flags(
            layout,
            ports=ports,
            pair=serving,
            etcd_client=etcd,
            ca=authority.certificate,
            signing_key=authority.signing_key("service-account"),
            admission_plugins=options.admission_plugins,
            extra=options.apiserver_flags,
        ),
    }
