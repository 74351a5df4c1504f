"""KEDA's operator on 127.0.0.1, the real program, as an administrator of one control plane.

Without its metrics adapter the HPAs that it makes have no figures to go by; what KEDA does itself, it does.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cluster.binaries import binary
from tests.cluster.pki import CertificateAuthority
from tests.cluster.process import free_ports
from tests.cluster.service_process import ServiceProcess

_NAMESPACES = ("WATCH_NAMESPACE", "POD_NAMESPACE", "KEDA_CLUSTER_OBJECT_NAMESPACE")


class KedaOperator(ServiceProcess):
    """One KEDA; its kinds must be there when it starts."""

    _START_SECONDS = 60.0

    def __init__(self, root: Path, kubeconfig: Path, *, namespace: str) -> None:
        """Describes it; it looks at `namespace` alone."""
        probe, metrics, service = free_ports(3)
        certificates = root / "certificates"
        super().__init__(
            root,
            name="keda-operator",
            argv=[
                str(binary("keda-operator")),
                f"--kubeconfig={kubeconfig}",
                f"--health-probe-bind-address=127.0.0.1:{probe}",
                f"--metrics-bind-address=127.0.0.1:{metrics}",
                f"--metrics-service-bind-address=127.0.0.1:{service}",
                f"--cert-dir={certificates}",
            ],
            ready_url=f"http://127.0.0.1:{probe}/readyz",
            environment=dict.fromkeys(_NAMESPACES, namespace),
        )
        self._certify(certificates)

    def _certify(self, folder: Path) -> None:
        """The certificate that its metrics service asks for, though nobody connects."""
        authority = CertificateAuthority(self.root / "pki")
        pair = authority.serving("keda", dns_names=["localhost"], addresses=["127.0.0.1"])
        folder.mkdir(mode=0o700, exist_ok=True)
        for source, name in ((pair.certificate, "tls.crt"), (pair.key, "tls.key"), (authority.certificate, "ca.crt")):
            shutil.copyfile(source, folder / name)
