"""README.md followed to the letter on a control plane that has nothing of Lazaretto yet.

The story is played once, in the document's order, with the operator running where a reader's would run; what was
seen on the way is kept, and each test looks at one piece of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.access import KubectlError
from tests.cluster.binaries import binary
from tests.cluster.control_plane import ControlPlane
from tests.cluster.installation import BREAK_GLASS, refused
from tests.cluster.operator import OperatorProcess
from tests.cluster.pki import CertificateAuthority
from tests.cluster.waiting import outlive_the_beginning, until
from tests.unit.documents import DOCUMENTS, README, REPOSITORY, Command, commands
from tests.unit.install.sources import NAMESPACE

pytestmark = pytest.mark.cluster

MODELS = "my-models"
MODEL, GOOD, BAD = "support-chat", "support-chat-v1", "support-chat-v2"
INCIDENT = "support-chat-leak"
SAMPLES = REPOSITORY / "manifests" / "samples"
REPLICAS = 2
SECONDS = 60.0
TYPED = [command for command in commands(README) if command.words[0] == "kubectl"]


@dataclass
class Reader:
    """An administrator with kubectl, bash and a checkout, who types what README.md says."""

    plane: ControlPlane
    desk: Path
    typed: dict[Command, subprocess.CompletedProcess[str]] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    """What the story kept for the tests, by a name."""

    def sit_down(self) -> None:
        """Puts kubectl, a view of the checkout and a certificate on the desk."""
        programs = self.desk / "bin"
        programs.mkdir()
        (programs / "kubectl").symlink_to(binary("kubectl"))
        for name in ("crds", "manifests", "helm"):
            (self.desk / name).symlink_to(REPOSITORY / name)
        service = f"lazaretto-receiver.{NAMESPACE}.svc"
        pair = CertificateAuthority(self.desk / "pki").serving("receiver", dns_names=[service], addresses=[])
        shutil.copyfile(pair.certificate, self.desk / "tls.crt")
        shutil.copyfile(pair.key, self.desk / "tls.key")

    def follow(self, section: str) -> None:
        """Types every command of one section; the first that fails ends the story."""
        for command in TYPED:
            if command.section == section:
                self.typed[command] = done = self.type(command.text)
                assert done.returncode == 0, f"{command.name}: {done.stderr}"

    def type(self, text: str) -> subprocess.CompletedProcess[str]:
        """Types one line and waits for its end, whatever that is."""
        environment = {
            "HOME": str(self.desk),
            "PATH": f"{self.desk / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "KUBECONFIG": str(self.plane.kubeconfig),
        }
        return subprocess.run(
            ["bash", "-c", text],
            cwd=self.desk,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def status(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.plane.get(kind, name, "-n", MODELS).get("status", {})
        return found

    def await_state(self, kind: str, name: str, state: str) -> dict[str, Any]:
        """Waits until an object of the model's namespace is in a state; returns its status."""
        until(lambda: self.status(kind, name).get("state") == state)
        return self.status(kind, name)


@pytest.fixture(scope="module")
def reader(bare_server: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """A reader who has come to the end of the page."""
    bare_server.ensure_nodes(2)
    reader = Reader(bare_server, tmp_path_factory.mktemp("desk"))
    reader.sit_down()
    reader.follow("Install")
    account = bare_server.service_account_kubeconfig(NAMESPACE, "lazaretto-operator")
    operator = OperatorProcess(tmp_path_factory.mktemp("operator"), account)
    with operator:
        protect(reader)
        contain(reader)
    take_off(reader)
    with operator:
        reader.seen["closed"] = reader.await_state("aii", INCIDENT, "Closed")
        reader.seen["replicas afterwards"] = bare_server.get("deployment", BAD, "-n", MODELS)["spec"]["replicas"]
        reader.seen["containments afterwards"] = bare_server.get("ctm", "-n", MODELS)["items"]
        break_glass(reader)
    return reader


def protect(reader: Reader) -> None:
    """The model is described before its Deployments are there, and then they come."""
    reader.follow("Protect a model")
    reader.await_state("pm", MODEL, "Disarmed")
    (describe,) = (command for command in TYPED if command.text.endswith("describe pm"))
    reader.seen["described"] = reader.type(describe.text).stdout
    reader.plane.apply(*(deployment(name) for name in (GOOD, BAD)), namespace=MODELS)
    # The newest survey, not the first one that met a Deployment: pods take a second to be ready.
    until(lambda: "short of the soak time" in armed(reader)["message"])
    reader.await_state("pm", MODEL, "Degraded")
    reader.seen["armed"] = armed(reader)


def contain(reader: Reader) -> None:
    """An incident is reported by hand under the automatic policy, and one person approves its release."""
    reader.follow("Stop all automatic action")
    reader.plane.apply(SAMPLES / "responsepolicy-automatic.yaml", namespace=MODELS)
    reader.plane.apply(SAMPLES / "aiincident-manual.yaml", namespace=MODELS)
    reader.await_state("aii", INCIDENT, "Contained")
    reader.follow("When it happens")
    outlive_the_beginning(reader.plane.get("ctm", MODEL, "-n", MODELS))
    decide(reader)
    until(lambda: bool(reader.status("aii", INCIDENT).get("approvals")))
    reader.seen["approved once"] = reader.status("aii", INCIDENT)
    with pytest.raises(KubectlError) as refusal:
        decide(reader, decidedBy="bob@example.com")
    reader.seen["refusal"] = refusal.value.stderr


def take_off(reader: Reader) -> None:
    """The base is written back, the journal deleted, the incident closed; the operator is away."""
    plane = reader.plane
    fields = plane.get("ctm", MODEL, "-n", MODELS)["spec"]["targets"][0]["fields"]
    reader.seen["fields"] = fields
    scale = ("scale", "deployment", BAD, f"--replicas={fields[0]['base']}", "-n", MODELS)
    with refused("fence-replicas", "lazaretto:break-glass"):
        plane.kubectl(*scale)
    plane.kubectl(*scale, "--as=alice@example.com", f"--as-group={BREAK_GLASS}", "--as-group=system:masters")
    reader.follow("By hand")
    decide(reader, verb="Close")


def break_glass(reader: Reader) -> None:
    """The same incident comes once more, and nobody has time for approvals."""
    again = yaml.safe_load((SAMPLES / "aiincident-manual.yaml").read_text())
    again["metadata"]["name"] = f"{INCIDENT}-again"
    reader.plane.apply(again, namespace=MODELS)
    reader.await_state("aii", f"{INCIDENT}-again", "Contained")
    reader.follow("In an emergency")
    reader.seen["emergency"] = reader.await_state("aii", f"{INCIDENT}-again", "Released")
    reader.seen["replicas after the emergency"] = reader.plane.get("deployment", BAD, "-n", MODELS)["spec"]["replicas"]


def armed(reader: Reader) -> dict[str, Any]:
    """The model's condition `Armed`."""
    conditions = reader.status("pm", MODEL)["conditions"]
    return next(each for each in conditions if each["type"] == "Armed")


def decide(reader: Reader, **changes: str) -> None:
    """Creates the sample's decision as alice, one of those on call, with the replacements that its comments ask for."""
    body = yaml.safe_load((SAMPLES / "incidentdecision-approve-release.yaml").read_text())
    uid = reader.plane.get("aii", INCIDENT, "-n", MODELS)["metadata"]["uid"]
    body["spec"] |= {"incidentUID": uid, **changes}
    body["metadata"]["name"] += "".join(f"-{key.lower()}" for key in changes)
    flags = ("--as=alice@example.com", "--as-group=on-call")
    reader.plane.kubectl("create", "-f", "-", "-n", MODELS, *flags, input=yaml.safe_dump(body))


def deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": "server", "image": f"registry.example.com/{name}"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize("command", TYPED, ids=lambda command: command.name)
def test_a_command_works_as_it_is_written(command: Command, reader: Reader) -> None:
    assert command in reader.typed, f"the story does not come by the section {command.section!r}"
    assert reader.typed[command].stdout
    # Neither a warning nor `No resources found`.
    assert reader.typed[command].stderr == ""


def test_no_other_document_has_commands_that_nobody_tries() -> None:
    told = [command.name for document in DOCUMENTS for command in commands(document) if document != README]
    assert [name for name in told if " make " not in name] == []


def test_the_secrets_are_what_the_receiver_mounts(reader: Reader) -> None:
    (pod,) = (
        each["spec"]["template"]["spec"]
        for each in reader.plane.get("deployments", "-n", NAMESPACE)["items"]
        if each["metadata"]["name"] == "lazaretto-receiver"
    )
    mounted = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    secrets = {each["metadata"]["name"]: each for each in reader.plane.get("secrets", "-n", NAMESPACE)["items"]}
    assert set(secrets) == mounted
    assert set(secrets["lazaretto-receiver-tls"]["data"]) == {"tls.crt", "tls.key"}
    assert set(secrets["lazaretto-receiver-tokens"]["data"]) == {"alertmanager"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the token is made by openssl")
def test_the_token_is_a_token(reader: Reader) -> None:
    path = "jsonpath={.data.alertmanager}"
    encoded = reader.plane.kubectl("get", "secret", "lazaretto-receiver-tokens", "-n", NAMESPACE, "-o", path)
    assert len(encoded) == 88, "64 hexadecimal digits in base64"


def test_a_model_that_is_not_armed_says_what_is_missing(reader: Reader) -> None:
    assert f"Deployment/{GOOD} does not exist" in reader.seen["described"]
    assert "no workload of the model exists" in reader.seen["described"]
    assert reader.seen["armed"]["status"] == "True"
    assert "HTTPRoute/support-chat does not exist" in reader.seen["armed"]["message"]
    assert "short of the soak time of 24h" in reader.seen["armed"]["message"]


def test_the_incident_of_the_samples_is_contained(reader: Reader) -> None:
    (shown,) = (done.stdout for command, done in reader.typed.items() if "aii,ctm,pm" in command.text)
    for kind in ("aiincident", "containment", "protectedmodel"):
        assert f"{kind}.lazaretto.dev/{MODEL}" in shown
    assert "held; release needs 2 approvals of different people" in shown
    (path,) = (each["path"] for each in reader.seen["fields"])
    assert (path, reader.seen["fields"][0]["base"]) == ("spec.replicas", str(REPLICAS))


def test_the_sample_of_a_decision_counts_for_who_was_bound_and_for_nobody_else(reader: Reader) -> None:
    status = reader.seen["approved once"]
    assert [each["by"] for each in status["approvals"]] == ["alice@example.com"]
    assert (status["approvalsRequired"], status["state"]) == (2, "Contained")
    assert "must be your own user name, alice@example.com" in reader.seen["refusal"]


def test_an_emergency_restores_without_approvals_and_the_incident_says_so(reader: Reader) -> None:
    assert "break-glass" in reader.seen["emergency"]["reason"]
    assert reader.seen["replicas after the emergency"] == REPLICAS


def test_a_containment_that_was_taken_off_by_hand_stays_off(reader: Reader) -> None:
    assert reader.seen["closed"]["reason"] == "ended by decision; nothing was held"
    assert reader.seen["containments afterwards"] == []
    assert reader.seen["replicas afterwards"] == REPLICAS
