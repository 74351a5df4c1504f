"""The charts install the same objects as the manifests, and refuse values that they do not know."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lazaretto import __version__
from tests.unit.install.sources import (
    BASE,
    CHART,
    CRD_CHART,
    FENCE,
    NAMESPACE,
    OPT_IN,
    POLICIES,
    REPOSITORY,
    Object,
    RenderError,
    base,
    by_key,
    documents,
    helm,
    helm_text,
    known_options,
    kustomized,
)

pytestmark = pytest.mark.cluster


def test_kustomize_renders_what_the_files_say() -> None:
    assert kustomized(BASE) == base()
    assert kustomized(POLICIES).items() <= base().items()


def test_opting_in_is_renamed_by_one_field(tmp_path: Any) -> None:
    for path in OPT_IN.glob("*.yaml"):
        text = path.read_text()
        (tmp_path / path.name).write_text(text.replace("namespace: my-models", "namespace: team-a", 1))
    rendered = kustomized(tmp_path)
    assert set(rendered) == {("Namespace", "", "team-a"), ("RoleBinding", "team-a", "lazaretto-actor")}
    subject = rendered["RoleBinding", "team-a", "lazaretto-actor"]["subjects"][0]
    assert subject["namespace"] == NAMESPACE


def test_the_chart_with_its_defaults_is_the_base() -> None:
    rendered = helm(CHART)
    # helm makes its own namespace.
    expected = {key: obj for key, obj in base().items() if key[0] != "Namespace"}
    assert set(rendered) == set(expected)
    for key, obj in expected.items():
        assert without_keep(rendered[key]) == obj, key


KEEP = {"helm.sh/resource-policy": "keep"}


def without_keep(obj: Any) -> Any:
    """An object without what makes it outlive the release: admission policies, and they alone, carry that."""
    metadata = dict(obj["metadata"])
    kept = metadata.get("annotations") == KEEP
    assert kept == obj["kind"].startswith("ValidatingAdmissionPolicy")
    return {**obj, "metadata": {k: v for k, v in metadata.items() if not kept or k != "annotations"}}


def test_the_fence_of_the_chart_is_that_of_the_manifests() -> None:
    plain = helm(CHART, 'fence={"enabled":false}')
    assert {key: without_keep(obj) for key, obj in helm(CHART).items() if key not in plain} == kustomized(FENCE)
    elsewhere = helm_text(CHART, namespace="elsewhere")
    assert NAMESPACE not in elsewhere
    assert "'system:serviceaccount:elsewhere:lazaretto-operator'\n" in elsewhere


def test_the_chart_in_another_namespace_leaves_none_of_ours_behind() -> None:
    text = helm_text(CHART, 'protectedNamespaces=["team-a"]', namespace="elsewhere")
    assert NAMESPACE not in text
    for obj in documents(text):
        if obj["kind"] in ("ClusterRoleBinding", "RoleBinding"):
            assert {subject["namespace"] for subject in obj["subjects"]} == {"elsewhere"}
    for name, account in (("lazaretto-journal", "operator"), ("lazaretto-incident-creators", "receiver")):
        policy = by_key(documents(text))["ValidatingAdmissionPolicy", "", name]
        expression = policy["spec"]["validations"][0]["expression"]
        assert f"'system:serviceaccount:elsewhere:lazaretto-{account}'" in expression


def test_protected_namespaces_get_the_binding_of_the_manifests() -> None:
    rendered = helm(CHART, 'protectedNamespaces=["team-a","team-b"]')
    wanted = copy.deepcopy(dict(kustomized(OPT_IN)["RoleBinding", "my-models", "lazaretto-actor"]))
    for namespace in ("team-a", "team-b"):
        wanted["metadata"]["namespace"] = namespace
        assert rendered["RoleBinding", namespace, "lazaretto-actor"] == wanted


def deployment(name: str, *settings: str) -> dict[str, Any]:
    spec: dict[str, Any] = helm(CHART, *settings)["Deployment", NAMESPACE, name]["spec"]
    return spec


@pytest.mark.parametrize(
    ("setting", "image"),
    [
        ('image.tag="1.2.3"', "ghcr.io/lazaretto/lazaretto:1.2.3"),
        ('image.repository="registry.example/x"', f"registry.example/x:{__version__}"),
        (f'image.digest="sha256:{"a" * 64}"', f"ghcr.io/lazaretto/lazaretto@sha256:{'a' * 64}"),
    ],
)
def test_the_image_is_a_value(setting: str, image: str) -> None:
    for name in ("lazaretto-operator", "lazaretto-receiver"):
        assert deployment(name, setting)["template"]["spec"]["containers"][0]["image"] == image


def test_values_reach_the_pods() -> None:
    settings = (
        "receiver.replicaCount=5",
        'receiver.tokensSecret="t"',
        'receiver.tlsSecret="c"',
        'receiver.resources={"limits":{"memory":"1Gi"}}',
        'receiver.nodeSelector={"a":"b"}',
        'receiver.tolerations=[{"operator":"Exists"}]',
        'imagePullSecrets=[{"name":"pull"}]',
        'priorityClass={"create":false,"name":"mine"}',
    )
    spec = deployment("lazaretto-receiver", *settings)
    pod = spec["template"]["spec"]
    assert spec["replicas"] == 5
    assert [v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v] == ["t", "c"]
    assert pod["containers"][0]["resources"]["limits"]["memory"] == "1Gi"
    assert (pod["nodeSelector"], pod["tolerations"]) == ({"a": "b"}, [{"operator": "Exists"}])
    assert (pod["imagePullSecrets"], pod["priorityClassName"]) == ([{"name": "pull"}], "mine")
    assert "PriorityClass" not in {kind for kind, _, _ in helm(CHART, *settings)}


def test_a_prometheus_is_named_to_the_operator_and_let_through() -> None:
    settings = ('prometheus={"url":"http://prometheus.monitoring:9091","port":9091}',)
    arguments = deployment("lazaretto-operator", *settings)["template"]["spec"]["containers"][0]["args"]
    assert arguments[-2:] == ["--prometheus-url", "http://prometheus.monitoring:9091"]
    assert "--prometheus-url" in known_options("operator")
    policy = helm(CHART, *settings)["NetworkPolicy", NAMESPACE, "lazaretto-operator"]["spec"]
    assert policy["egress"] == [{"ports": [{"protocol": "TCP", "port": 9091}]}]
    assert policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "operator"


def test_alertmanagers_are_named_to_the_receiver_and_let_through() -> None:
    settings = ('alertmanager={"urls":["http://am-0.am:9094","http://am-1.am:9094"],"port":9094}',)
    arguments = deployment("lazaretto-receiver", *settings)["template"]["spec"]["containers"][0]["args"]
    flag = "--alertmanager-url"
    assert arguments[-4:] == [flag, "http://am-0.am:9094", flag, "http://am-1.am:9094"]
    assert flag in known_options("receiver")
    policy = helm(CHART, *settings)["NetworkPolicy", NAMESPACE, "lazaretto-receiver-egress"]["spec"]
    assert policy["egress"] == [{"ports": [{"protocol": "TCP", "port": 9094}]}]
    assert policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "receiver"


@pytest.mark.parametrize("component", ["operator", "receiver"])
def test_arguments_can_be_added(component: str) -> None:
    def arguments(*settings: str) -> list[str]:
        found: list[str] = deployment(f"lazaretto-{component}", *settings)["template"]["spec"]["containers"][0]["args"]
        return found

    plain = arguments()
    assert arguments(f'{component}.extraArgs=["--one","two"]') == [*plain, "--one", "two"]
    chosen = arguments('log={"level":"debug","format":"text"}')
    assert chosen == ["--log-format", "text", "--log-level", "debug", *plain[2:]]


def test_the_network_policies_are_values() -> None:
    rendered = helm(
        CHART,
        'networkPolicy.apiServer={"cidrs":["10.0.0.1/32"],"ports":[6443]}',
        'networkPolicy.receiverFrom=[{"namespaceSelector":{"matchLabels":{"a":"b"}}}]',
    )
    egress = rendered["NetworkPolicy", NAMESPACE, "lazaretto-egress"]["spec"]["egress"][0]
    assert egress == {
        "ports": [{"protocol": "TCP", "port": 6443}],
        "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}],
    }
    ingress = rendered["NetworkPolicy", NAMESPACE, "lazaretto-receiver"]["spec"]["ingress"][0]
    opened = helm(CHART, 'networkPolicy.operatorEgress=[{"ports":[{"port":9090}]}]')
    assert opened["NetworkPolicy", NAMESPACE, "lazaretto-operator"]["spec"]["egress"] == [{"ports": [{"port": 9090}]}]
    assert ingress["from"] == [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]
    assert "NetworkPolicy" not in {kind for kind, _, _ in helm(CHART, "networkPolicy.enabled=false")}


def test_whoever_may_scrape_may_scrape_both_processes() -> None:
    peer = {"namespaceSelector": {"matchLabels": {"a": "b"}}}
    rendered = helm(CHART, f"networkPolicy.metricsFrom={json.dumps([peer])}")
    for component in ("operator", "receiver"):
        [rule] = rendered["NetworkPolicy", NAMESPACE, f"lazaretto-{component}-metrics"]["spec"]["ingress"]
        assert rule == {"from": [peer], "ports": [{"protocol": "TCP", "port": 8080}]}


@pytest.mark.parametrize(
    "setting",
    [
        "receiver.replicas=3",
        "reciever={}",
        "operator.replicaCount=6",
        'operator.replicaCount="1"',
        'image.pullPolicy="Sometimes"',
        'image.digest="latest"',
        'protectedNamespaces=["kube-system"]',
        'protectedNamespaces=["a","a"]',
        'protectedNamespaces="team-a"',
        'log.level="loud"',
        'prometheus.url="ftp://x"',
        'prometheus.url="http://x y"',
        'alertmanager.urls=["am:9093"]',
        'alertmanager.urls=["http://me:secret@am:9093"]',
        'receiver.extraArgs="--x"',
        "networkPolicy.operatorEgress=[{}]",
        "networkPolicy.receiverFrom=[]",
        "networkPolicy.receiverFrom=[{}]",
        'networkPolicy.apiServer.cidrs=["10.0.0.1"]',
        'receiver.resources={"limit":{}}',
    ],
)
def test_unknown_and_impossible_values_are_refused(setting: str) -> None:
    with pytest.raises(RenderError, match="values don't meet the specifications of the schema"):
        helm(CHART, setting)


def definitions() -> Iterator[Object]:
    for path in sorted((REPOSITORY / "crds").glob("lazaretto.dev_*.yaml")):
        yield from documents(path.read_text())


def test_the_definitions_in_the_chart_are_today_s() -> None:
    def contents(folder: Any) -> dict[str, str]:
        return {path.name: path.read_text() for path in folder.glob("*.yaml") if path.name != "kustomization.yaml"}

    assert contents(CRD_CHART / "files") == contents(REPOSITORY / "crds"), (
        "stale: run cp crds/lazaretto.dev_*.yaml helm/lazaretto-crds/files/"
    )


def test_the_chart_of_definitions_renders_them_unchanged_and_to_be_kept() -> None:
    rendered = helm(CRD_CHART)
    wanted = by_key(definitions())
    assert wanted
    assert set(rendered) == set(wanted)
    for key, obj in wanted.items():
        found = copy.deepcopy(dict(rendered[key]))
        annotations = found["metadata"]["annotations"]
        assert annotations.pop("helm.sh/resource-policy") == "keep"
        wanted_annotations = obj["metadata"].get("annotations", {})
        assert annotations == wanted_annotations
        found["metadata"] = {**found["metadata"], "annotations": annotations}
        if "annotations" not in obj["metadata"]:
            del found["metadata"]["annotations"]
        assert found == obj


@pytest.mark.parametrize("chart", [CHART, CRD_CHART], ids=lambda chart: chart.name)
def test_charts_carry_the_version_of_the_program(chart: Any) -> None:
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    assert about["appVersion"] == __version__
    assert about["name"] == chart.name
    with pytest.raises(RenderError):
        helm(chart, "surprise=1")
