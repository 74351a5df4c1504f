"""What runs, and under which bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lazaretto.engine.election import LEASE
from tests.unit.install.sources import BASE, NAMESPACE, REPOSITORY, base, known_options, kustomization, of_kind

COMPONENTS = ("operator", "receiver")


def pod(component: str) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = of_kind("Deployment")[f"lazaretto-{component}"]["spec"]["template"]["spec"]
    return spec


def container(component: str) -> Mapping[str, Any]:
    (only,) = pod(component)["containers"]
    assert "initContainers" not in pod(component)
    found: Mapping[str, Any] = only
    return found


def labels(component: str) -> Mapping[str, str]:
    found: Mapping[str, str] = of_kind("Deployment")[f"lazaretto-{component}"]["spec"]["template"]["metadata"]["labels"]
    return found


def ports(component: str) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container(component)["ports"]}


def matches(selector: Mapping[str, Any], component: str) -> bool:
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels(component).items()


def test_every_file_of_the_base_is_used() -> None:
    assert {name for name in kustomization(BASE) if not name.startswith("..")} == {
        path.name for path in BASE.glob("*.yaml")
    } - {"kustomization.yaml"}


def test_everything_namespaced_is_in_our_namespace() -> None:
    assert {namespace for _, namespace, _ in base()} == {"", NAMESPACE}
    level = of_kind("Namespace")[NAMESPACE]["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert level[f"pod-security.kubernetes.io/{mode}"] == "restricted"


@pytest.mark.parametrize("component", COMPONENTS)
def test_pods_are_restricted(component: str) -> None:
    security = pod(component)["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(component)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod(component))
    assert {next(iter(set(volume) - {"name"})) for volume in pod(component)["volumes"]} <= {"emptyDir", "secret"}


@pytest.mark.parametrize("component", COMPONENTS)
def test_pods_run_as_the_user_of_the_image(component: str) -> None:
    user = re.search(r"^USER (\d+):(\d+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    security = pod(component)["securityContext"]
    assert (str(security["runAsUser"]), str(security["runAsGroup"])) == user.groups()


@pytest.mark.parametrize("component", COMPONENTS)
def test_pods_are_bounded(component: str) -> None:
    resources = container(component)["resources"]
    assert set(resources) == {"requests", "limits"}
    for bound in resources.values():
        assert set(bound) == {"cpu", "memory"}
    for volume in pod(component)["volumes"]:
        if "emptyDir" in volume:
            assert volume["emptyDir"]["sizeLimit"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_each_process_has_its_own_account_and_says_that_it_needs_the_token(component: str) -> None:
    name = f"lazaretto-{component}"
    assert pod(component)["serviceAccountName"] == name
    assert of_kind("ServiceAccount")[name]["automountServiceAccountToken"] is False
    assert pod(component)["automountServiceAccountToken"] is True


@pytest.mark.parametrize("component", COMPONENTS)
def test_probes_and_mounts_point_at_what_is_there(component: str) -> None:
    spec = container(component)
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        if name in spec:
            assert spec[name]["httpGet"]["port"] in ports(component)
    assert {mount["name"] for mount in spec["volumeMounts"]} == {volume["name"] for volume in pod(component)["volumes"]}


def test_the_receiver_reads_its_secrets_from_where_they_are_mounted() -> None:
    mounts = {mount["name"]: mount for mount in container("receiver")["volumeMounts"]}
    assert option("receiver", "--tokens-dir") == mounts["tokens"]["mountPath"]
    # The keys of a Secret of type kubernetes.io/tls.
    assert option("receiver", "--tls-cert") == f"{mounts['tls']['mountPath']}/tls.crt"
    assert option("receiver", "--tls-key") == f"{mounts['tls']['mountPath']}/tls.key"
    assert mounts["tokens"]["readOnly"] is mounts["tls"]["readOnly"] is True
    volumes = {volume["name"]: volume for volume in pod("receiver")["volumes"]}
    # Without tokens nobody is let in; without a certificate there is nothing to start.
    assert volumes["tokens"]["secret"]["optional"] is True
    assert "optional" not in volumes["tls"]["secret"]
    assert not [each for each in container("receiver").get("env", []) if "valueFrom" in each]


def test_the_service_leads_to_the_port_that_the_receiver_listens_on() -> None:
    spec = of_kind("Service")["lazaretto-receiver"]["spec"]
    (port,) = spec["ports"]
    assert spec["selector"].items() <= labels("receiver").items()
    assert not spec["selector"].items() <= labels("operator").items()
    assert option("receiver", "--listen") == f"0.0.0.0:{ports('receiver')[port['targetPort']]}"


@pytest.mark.parametrize("component", COMPONENTS)
def test_metrics_are_scraped_where_they_are_served(component: str) -> None:
    spec = of_kind("Service")[f"lazaretto-{component}-metrics"]["spec"]
    (port,) = spec["ports"]
    assert [each for each in COMPONENTS if spec["selector"].items() <= labels(each).items()] == [component]
    assert option(component, "--metrics-listen") == f"0.0.0.0:{ports(component)[port['targetPort']]}"


def test_one_receiver_stays_up_while_nodes_are_drained() -> None:
    replicas = of_kind("Deployment")["lazaretto-receiver"]["spec"]["replicas"]
    budget = of_kind("PodDisruptionBudget")["lazaretto-receiver"]["spec"]
    assert 1 <= budget["minAvailable"] < replicas
    assert matches(budget["selector"], "receiver")
    assert not matches(budget["selector"], "operator")


def test_another_operator_is_ready_before_one_is_taken_away() -> None:
    spec = of_kind("Deployment")["lazaretto-operator"]["spec"]
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert (spec["replicas"], spec["strategy"]) == (2, rolling)
    budget = of_kind("PodDisruptionBudget")["lazaretto-operator"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert matches(budget["selector"], "operator")
    assert not matches(budget["selector"], "receiver")


def test_operators_find_the_lease_that_they_elect_by_and_may_not_create_one() -> None:
    lease = of_kind("Lease")[LEASE]
    assert "spec" not in lease, "applying it again would take the Lease from whoever holds it"
    pod = of_kind("Deployment")["lazaretto-operator"]["spec"]["template"]["spec"]
    # The host's name tells replicas apart, and a restarted one by its predecessor's.
    assert not {"hostname", "hostNetwork"} & set(pod)


def test_the_network_is_closed_but_for_what_is_named() -> None:
    policies = {name: each["spec"] for name, each in of_kind("NetworkPolicy").items()}
    deny = policies.pop("lazaretto-default-deny")
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ingress = {name: spec for name, spec in policies.items() if "ingress" in spec}
    scraped = {f"lazaretto-{component}-metrics": (component, "metrics") for component in COMPONENTS}
    doors = {"lazaretto-receiver": ("receiver", "https"), **scraped}
    assert set(ingress) == set(doors)
    for name, (component, door) in doors.items():
        assert [each for each in COMPONENTS if matches(ingress[name]["podSelector"], each)] == [component]
        opened = [port["port"] for rule in ingress[name]["ingress"] for port in rule["ports"]]
        assert opened == [ports(component)[door]]
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert all(rule["from"] == [monitoring] for name in scraped for rule in ingress[name]["ingress"])
    egress = [rule for spec in policies.values() for rule in spec.get("egress", [])]
    assert all(rule.get("ports") for rule in egress)
    assert {(p["protocol"], p["port"]) for rule in egress for p in rule["ports"]} == {
        ("TCP", 443),
        ("TCP", 6443),
        ("UDP", 53),
        ("TCP", 53),
    }
    for component in COMPONENTS:
        assert matches(policies["lazaretto-egress"]["podSelector"], component)


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_program_knows_its_arguments(component: str) -> None:
    arguments = container(component)["args"]
    split = arguments.index(component)
    assert options(arguments[:split]) <= known_options()
    assert options(arguments[split:]) <= known_options(component)


def options(arguments: Sequence[str]) -> set[str]:
    return {each for each in arguments if each.startswith("--")}


def test_probes_ask_where_the_programs_answer() -> None:
    probe = container("operator")["livenessProbe"]["httpGet"]
    url = f"http://0.0.0.0:{ports('operator')[probe['port']]}{probe['path']}"
    assert option("operator", "--liveness") == url
    assert option("receiver", "--health-listen") == f"0.0.0.0:{ports('receiver')['health']}"
    assert container("receiver")["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    assert container("receiver")["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}


def option(component: str, name: str) -> str:
    arguments = container(component)["args"]
    value: str = arguments[arguments.index(name) + 1]
    return value
