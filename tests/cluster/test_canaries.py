"""Secrets that are marked: none of them is ever seen where people and programs read, or sent where it is not meant for.

The operator runs with the variables of a proxy set, and asks a Prometheus that is somebody else's and sends it on to
the proxy.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from tests.cluster.attacker import Attacker
from tests.cluster.background import BackgroundServer
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operator import OperatorProcess
from tests.cluster.process import free_ports
from tests.cluster.receiver import ReceiverProcess
from tests.cluster.receiver_stories import TOKENS, firing_alert, webhook_payload
from tests.cluster.waiting import until
from tests.e2e.scene import Scene, opt_in, staged
from tests.e2e.shapes import BAD, MODEL, Shape, policy
from tests.unit.install.sources import NAMESPACE

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

CANARY = "canary7Q2vX9"
QUERY = 'sum(requests{namespace="$namespace",deployment="$workload"})'
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
ASKED = {"configuration": True, "secrets": True, "logLines": 20}
SHAPE = Shape(model={"trafficQuery": QUERY}, policies={"p": policy("Automatic", evidence=ASKED)})


class Eavesdropper(BackgroundServer):
    """Somebody else's server: takes down what it hears, and sends everybody on to `onward`."""

    def __init__(self, *, onward: str = "") -> None:
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"ears": self})))
        self.onward = onward
        self.heard: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    ears: ClassVar[Eavesdropper]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.ears.heard.append(f"{self.requestline}\n{self.headers}\n{body.decode(errors='replace')}")
        self.send_response(302 if self.ears.onward else 403)
        self.send_header("Location", self.ears.onward)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_CONNECT = do_GET  # noqa: N815  # the base class looks for these names

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def proxy() -> Iterator[Eavesdropper]:
    with Eavesdropper() as ears:
        yield ears


@pytest.fixture(scope="module")
def prometheus(proxy: Eavesdropper) -> Iterator[Eavesdropper]:
    with Eavesdropper(onward=f"http://127.0.0.1:{proxy.port}/stolen") as ears:
        yield ears


@pytest.fixture(scope="module")
def metrics_address() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


@pytest.fixture(scope="module")
def operator(
    fenced: ControlPlane,
    proxy: Eavesdropper,
    prometheus: Eavesdropper,
    metrics_address: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OperatorProcess]:
    account = fenced.service_account_kubeconfig(NAMESPACE, "lazaretto-operator")
    flags = ("--metrics-listen", metrics_address, "--prometheus-url", f"http://127.0.0.1:{prometheus.port}")
    environment = dict.fromkeys(PROXIES, f"http://127.0.0.1:{proxy.port}") | {"HF_TOKEN": f"{CANARY}-of-the-process"}
    root = tmp_path_factory.mktemp("operator")
    with OperatorProcess(root, account, flags=flags, level="debug", environment=environment) as process:
        yield process


@pytest.fixture(scope="module")
def scene(fenced: ControlPlane, operator: OperatorProcess) -> Iterator[Scene]:
    with staged(fenced) as stage:
        scene = stage.build(SHAPE)
        opt_in(scene, "lazaretto-configuration")
        _place_canaries(scene)
        yield scene


def _place_canaries(scene: Scene) -> None:
    """In a Secret, a ConfigMap, and everywhere in a pod template where people put secrets."""
    meta = {"name": "hub"}
    scene.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"token": f"{CANARY}-secret"}})
    scene.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"password": f"{CANARY}-map"}})
    container = scene.read("deployments", BAD)["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [
        {"name": "HF_TOKEN", "value": f"{CANARY}-variable"},
        {"name": "STORE", "value": f"https://user:{CANARY}-userinfo@models/"},
        {"name": "FROM", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}},
    ]
    container["args"] = [*container.get("args", []), "--api-key", f"{CANARY}-flag", f"--hub-token={CANARY}-joined"]
    volumes = [{"name": "s", "secret": {"secretName": "hub"}}, {"name": "c", "configMap": {"name": "hub"}}]
    change = {"metadata": {"annotations": {"vendor/credentials": f"{CANARY}-annotation"}}}
    spec = {"template": {**change, "spec": {"containers": [container], "volumes": volumes}}}
    scene.patch("deployments", BAD, {"spec": spec})
    until(lambda: scene.read("deployments", BAD)["status"].get("updatedReplicas") == 3, what="it is rolled out")
    scene.look_again()


def test_no_secret_is_read_anywhere_after_an_incident(
    scene: Scene,
    operator: OperatorProcess,
    besieged: tuple[ReceiverProcess, Attacker],
    metrics_address: str,
    intake_address: str,
) -> None:
    receiver, _ = besieged
    assert receiver.post(webhook_payload(), token=f"{CANARY}-wrong-token")[0] == 401
    assert receiver.post(webhook_payload(firing_alert(scene.namespace, "Leak", ai_model=MODEL)))[0] == 200
    scene.await_state("Contained")
    until(lambda: scene.incident()["status"].get("evidence"), what="evidence is kept")
    kinds = ("aiincidents", "containments", "modelrevisions", "events", "protectedmodels", "responsepolicies")
    stored = [each for plural in kinds for each in scene.all(plural)]
    kept = [each["data"] for each in scene.all("configmaps") if each["metadata"]["name"] != "hub"]
    assert any("configuration.json" in data for data in kept)
    assert any(each["kind"] == "Containment" for each in stored)
    secrets = [CANARY, *TOKENS.values()]
    seen = {
        "objects": json.dumps(stored),
        "evidence": json.dumps(kept),
        "the operator's log": operator.log.read_text(),
        "the receiver's log": receiver.log.read_text(),
        "metrics": _read(f"http://{metrics_address}/metrics") + _read(f"http://{intake_address}/metrics"),
    }
    assert not [(place, secret) for place, text in seen.items() for secret in secrets if secret in text]


def test_no_token_is_shown_to_anybody_but_the_api_server(
    scene: Scene, prometheus: Eavesdropper, proxy: Eavesdropper
) -> None:
    """Prometheus is asked; it gets no token, and neither a redirect nor the environment leads anywhere else."""
    asked = until(lambda: list(prometheus.heard), what="Prometheus is asked")
    assert any(scene.namespace in each for each in asked)
    assert not [each for each in asked if "authorization" in each.lower() or "eyJ" in each]
    assert proxy.heard == []


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
    return text
