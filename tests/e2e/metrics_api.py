"""A metrics adapter: the API `external.metrics.k8s.io`, which the real autoscaler asks, with numbers that a test sets.

It is registered with the real aggregation layer, through a Service that is a name for this machine. While it is
registered and not served, the API server's discovery is incomplete: leave it by its `with`.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

from tests.cluster.background import BackgroundServer
from tests.cluster.control_plane import ControlPlane
from tests.cluster.pki import CertificateAuthority
from tests.cluster.waiting import until

METRIC = "requests-waiting"
_VERSION = "external.metrics.k8s.io/v1beta1"
_API = "v1beta1.external.metrics.k8s.io"
_SERVICE = {"namespace": "kube-system", "name": "metrics-of-the-tests"}


class MetricsApi(BackgroundServer):
    """See the module's text. `values` are by namespace, 0 where none is set."""

    def __init__(self, plane: ControlPlane) -> None:
        self.values: dict[str, int] = {}
        self._plane = plane
        handler = type("Handler", (_Answers,), {"values": self.values})
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        pair = CertificateAuthority(plane.layout.pki).serving("metrics", dns_names=["localhost"], addresses=[])
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pair.certificate, pair.key)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Self:
        super().__enter__()
        name = {"type": "ExternalName", "externalName": "localhost"}
        group, version = _VERSION.split("/")
        registration = {
            "service": {**_SERVICE, "port": self.port},
            "group": group,
            "version": version,
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        }
        self._plane.apply({"apiVersion": "v1", "kind": "Service", "metadata": dict(_SERVICE), "spec": name})
        api = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": _API}}
        self._plane.apply({**api, "spec": registration})
        self._plane.kubectl("wait", "--for=condition=Available", f"apiservice/{_API}", "--timeout=90s")
        until(self._served, what="the metrics are served by the API server")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._plane.kubectl("delete", "apiservice", _API)
        self._plane.kubectl("delete", "service", _SERVICE["name"], "-n", _SERVICE["namespace"])
        super().__exit__(kind, error, trace)

    def _served(self) -> bool:
        return METRIC in self._plane.kubectl("get", "--raw", f"/apis/{_VERSION}/namespaces/default/{METRIC}")


def on_metric(replicas: int) -> Mapping[str, Any]:
    """An autoscaler's spec that follows the metric, down to zero and at once, and begins with so many as a minimum."""
    target = {"type": "AverageValue", "averageValue": "1"}
    return {
        "minReplicas": replicas,
        "metrics": [{"type": "External", "external": {"metric": {"name": METRIC}, "target": target}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
    }


class _Answers(BaseHTTPRequestHandler):
    values: ClassVar[dict[str, int]]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.split("?")[0].strip("/").split("/")
        if "namespaces" in path:
            namespace = path[path.index("namespaces") + 1]
            value = {"metricName": METRIC, "metricLabels": {}, "value": str(self.values.get(namespace, 0))}
            value["timestamp"] = "2026-01-02T12:00:00Z"
            document: dict[str, Any] = {"kind": "ExternalMetricValueList", "apiVersion": _VERSION, "items": [value]}
        else:
            resource = {"name": METRIC, "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]}
            document = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": _VERSION}
            document["resources"] = [{**resource, "singularName": ""}]
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""
