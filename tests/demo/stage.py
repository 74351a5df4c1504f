"""Puts up everything that the demo needs, and takes it down again.

One folder holds all that is written. `Stage` is entered in parts, so that the audience sees what is being done:
`raise_control_plane`, `raise_monitoring`, `raise_lazaretto`. `close` ends whatever was started, in the reverse
order, and removes the folder; it is safe at any moment, also when nothing was started. All processes die with
this one, however it ends.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.access import answers
from tests.cluster.binaries import gateway_crds
from tests.cluster.control_plane import ControlPlane
from tests.cluster.monitoring import Alertmanager, Prometheus
from tests.cluster.operator import OperatorProcess
from tests.cluster.pki import CertificateAuthority
from tests.cluster.process import ChildProcess, free_ports
from tests.cluster.receiver import ReceiverProcess, ReceiverTls
from tests.demo.gateway import Gateway, ModelClient
from tests.e2e.raw_api import RawApi, RefusedError
from tests.e2e.watcher import WATCHED, Watcher

REPOSITORY = Path(__file__).parents[2]
MANIFESTS = REPOSITORY / "manifests"
NAMESPACE = "support"
MODEL = "support-llm"
REVISIONS = (f"{MODEL}-v1", f"{MODEL}-v2")
SYSTEM = "lazaretto-system"
SENDER = "alertmanager"
_NODES = 3
_START_SECONDS = 30.0
_PAUSE_SECONDS = 0.2


class Stage:
    """See the module's text. Attributes exist once the part that makes them was raised."""

    plane: ControlPlane
    witness: Watcher
    prometheus: Prometheus
    alertmanager: Alertmanager
    receiver: ReceiverProcess

    def __init__(self, root: Path) -> None:
        """Writes beneath `root` only."""
        self.root = root
        self.logs: dict[str, Path] = {}
        self.models: dict[str, ModelClient] = {}
        self._token = secrets.token_urlsafe(32)
        self._authority = CertificateAuthority(root / "receiver-authority")
        self._stack = ExitStack()

    def close(self) -> None:
        """Ends everything and removes the folder; safe to repeat."""
        self._stack.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def raise_control_plane(self) -> None:
        """A control plane with nodes and the Gateway API's kinds."""
        plane = ControlPlane(self.root / "control-plane")
        self._stack.enter_context(plane)
        self.plane = plane
        plane.apply_definitions(*gateway_crds())
        plane.ensure_nodes(_NODES, **{"nvidia.com/gpu": 8})

    def watch(self) -> None:
        """A witness of the demo's namespace, and load that follows its route; our kinds must be served."""
        api = RawApi(self.plane.user_kubeconfig("witness", groups=["system:masters"]))
        self._stack.callback(api.close)
        self.witness = self._open_watches(api)
        self._stack.callback(self.witness.stop)
        gateway = Gateway(api, namespace=NAMESPACE, route=MODEL, backends=self.models)
        gateway.start()
        self._stack.callback(gateway.stop)

    def raise_models(self) -> None:
        """A model server a revision."""
        program = Path(__file__).with_name("model_server.py")
        for name, port in zip(REVISIONS, free_ports(len(REVISIONS)), strict=True):
            log = self.logs[name] = self.root / "models" / f"{name}.log"
            argv = [sys.executable, str(program), str(port), name]
            child = ChildProcess(name, argv=argv, log=log, home=self.root)
            self._stack.callback(child.stop)
            child.start()
            self.models[name] = ModelClient(port)
            url = f"http://{self.models[name].address}/counts"
            child.wait_until(partial(answers, url), seconds=_START_SECONDS)

    def raise_lazaretto(self) -> None:
        """The operator and the receiver under their own accounts, the receiver with TLS and a token."""
        account = self.plane.service_account_kubeconfig
        operator = OperatorProcess(self.root / "operator", account(SYSTEM, "lazaretto-operator"))
        self.logs["operator"] = operator.log
        self._stack.enter_context(operator)
        serving = self._authority.serving("receiver", dns_names=["localhost"], addresses=["127.0.0.1"])
        self.receiver = ReceiverProcess(
            self.root / "receiver",
            account(SYSTEM, "lazaretto-receiver"),
            namespace=SYSTEM,
            tokens={SENDER: self._token},
            tls=ReceiverTls(serving=serving, ca=self._authority.certificate),
        )
        self.logs["receiver"] = self.receiver.log
        self._stack.enter_context(self.receiver)

    def raise_monitoring(self) -> None:
        """Prometheus with the shipped rules, Alertmanager with the shipped settings; the receiver must be there."""
        config = self._alertmanager_config()
        self.alertmanager = Alertmanager(self.root / "alertmanager", config=yaml.safe_dump(config))
        self.logs["alertmanager"] = self.alertmanager.log
        self._stack.enter_context(self.alertmanager)
        self.prometheus = Prometheus(self.root / "prometheus", config=yaml.safe_dump(self._prometheus_config()))
        self.logs["prometheus"] = self.prometheus.log
        self._stack.enter_context(self.prometheus)

    def _open_watches(self, api: RawApi) -> Watcher:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            witness = Watcher(api, NAMESPACE, plurals=(*WATCHED, "protectedmodels"))
            try:
                witness.start()
            except RefusedError as error:
                witness.stop()
                # A kind that was just defined is served a moment before it can be watched.
                if error.code != HTTPStatus.TOO_MANY_REQUESTS or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)
            else:
                return witness

    def tails(self, *, lines: int) -> list[tuple[str, list[str]]]:
        """The last lines of every log, by program; those that wrote nothing are left out."""
        texts = {name: path.read_text(errors="replace") for name, path in self.logs.items() if path.exists()}
        return [(name, text.splitlines()[-lines:]) for name, text in texts.items() if text.strip()]

    def _prometheus_config(self) -> dict[str, Any]:
        """The demo's settings with the addresses of this run."""
        config: dict[str, Any] = yaml.safe_load((MANIFESTS / "demo" / "prometheus.yaml").read_text())
        config["rule_files"] = [str(MANIFESTS / "alerting" / "prometheus-rules.yaml")]
        for target in config["scrape_configs"][0]["static_configs"]:
            target["targets"] = [self.models[target["labels"]["ai_revision"]].address]
        address = self.alertmanager.url.removeprefix("http://")
        config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [address]
        return config

    def _alertmanager_config(self) -> dict[str, Any]:
        """The shipped settings; the receiver's address and the two credential files are this run's."""
        config: dict[str, Any] = yaml.safe_load((MANIFESTS / "alerting" / "alertmanager.yaml").read_text())
        [webhook] = next(each["webhook_configs"] for each in config["receivers"] if each["name"] == "lazaretto")
        token = self.root / "alertmanager-token"
        token.touch(mode=0o600)
        token.write_text(self._token)
        webhook["url"] = self.receiver.webhook_url
        webhook["http_config"]["authorization"]["credentials_file"] = str(token)
        webhook["http_config"]["tls_config"]["ca_file"] = str(self._authority.certificate)
        return config


def identity_of(manifest: str) -> str:
    """What `lazaretto identity -f -` prints for a manifest."""
    command = [sys.executable, "-m", "lazaretto", "identity", "-f", "-"]
    done = subprocess.run(command, input=manifest, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()
