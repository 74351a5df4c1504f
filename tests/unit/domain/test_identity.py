"""Which pod templates are the same model revision: as people write them, and as the API server stores them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lazaretto.api.meta import Digest, Name
from lazaretto.domain.identity import (
    frame_of,
    identity_of,
    image_digest,
    images_of,
    pinned,
    revision_name,
    tagged,
    unpinned,
    unresolvable,
)

Json = dict[str, Any]

TEMPLATE: Json = {
    "metadata": {"labels": {"app": "chat"}},
    "spec": {
        "initContainers": [{"name": "fetch", "image": "fetch:1", "args": ["hf://org/chat"]}],
        "containers": [
            {
                "name": "server",
                "image": "vllm:1",
                "command": ["serve"],
                "args": ["--model", "/models/chat"],
                "env": [{"name": "DTYPE", "value": "bf16"}, {"name": "SEED", "value": "0"}],
                "envFrom": [{"configMapRef": {"name": "settings"}}],
                "volumeMounts": [{"name": "models", "mountPath": "/models", "readOnly": True}],
            },
            {"name": "sidecar", "image": "proxy:1"},
        ],
        "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "weights"}}],
    },
}


def changed(change: Callable[[Json], object]) -> Json:
    """A copy of the template after `change` was done to its spec."""
    template = copy.deepcopy(TEMPLATE)
    change(template["spec"])
    return template


def server(spec: Json) -> Json:
    found: Json = spec["containers"][0]
    return found


MATERIAL: list[tuple[str, Callable[[Json], object]]] = [
    ("image", lambda s: server(s).update(image="vllm:2")),
    ("name of a container", lambda s: s["containers"][1].update(name="proxy")),
    ("image of a sidecar", lambda s: s["containers"][1].update(image="proxy:2")),
    ("image of an init container", lambda s: s["initContainers"][0].update(image="fetch:2")),
    ("command", lambda s: server(s).update(command=["serve", "now"])),
    ("argument", lambda s: server(s)["args"].__setitem__(1, "/models/other")),
    ("order of arguments", lambda s: server(s)["args"].reverse()),
    ("argument that is empty", lambda s: server(s)["args"].append("")),
    ("no arguments", lambda s: server(s).pop("args")),
    ("value of a variable", lambda s: server(s)["env"][0].update(value="fp8")),
    ("variable emptied", lambda s: server(s)["env"][0].update(value="")),
    ("name of a variable", lambda s: server(s)["env"][0].update(name="KIND")),
    ("further variable", lambda s: server(s)["env"].append({"name": "X"})),
    ("variables from elsewhere", lambda s: server(s)["envFrom"][0]["configMapRef"].update(name="other")),
    ("prefix of variables", lambda s: server(s)["envFrom"][0].update(prefix="X_")),
    ("mount path", lambda s: server(s)["volumeMounts"][0].update(mountPath="/other")),
    ("part of the volume", lambda s: server(s)["volumeMounts"][0].update(subPath="v2")),
    ("claim", lambda s: s["volumes"][0]["persistentVolumeClaim"].update(claimName="other")),
    ("kind of volume", lambda s: s["volumes"].__setitem__(0, {"name": "models", "hostPath": {"path": "/m"}})),
    ("further container", lambda s: s["containers"].append({"name": "more", "image": "more:1"})),
    ("container left out", lambda s: s["containers"].pop()),
    ("init container left out", lambda s: s.pop("initContainers")),
    ("init container as a container", lambda s: s["containers"].extend(s.pop("initContainers"))),
]


@pytest.mark.parametrize("change", [row[1] for row in MATERIAL], ids=[row[0] for row in MATERIAL])
def test_what_the_pods_load_or_run_makes_another_revision(change: Callable[[Json], object]) -> None:
    assert identity_of(changed(change)) != identity_of(TEMPLATE)


def test_no_two_material_changes_are_the_same_revision() -> None:
    found = [identity_of(changed(change)) for _, change in MATERIAL]
    assert len(set(found)) == len(found)


IMMATERIAL: list[tuple[str, Callable[[Json], object]]] = [
    ("resources", lambda s: server(s).update(resources={"limits": {"nvidia.com/gpu": "1"}})),
    ("probes", lambda s: server(s).update(readinessProbe={"httpGet": {"path": "/", "port": 80}})),
    ("ports", lambda s: server(s).update(ports=[{"containerPort": 80}])),
    ("pull policy", lambda s: server(s).update(imagePullPolicy="Always")),
    ("nodes", lambda s: s.update(nodeSelector={"gpu": "a100"}, tolerations=[{"operator": "Exists"}])),
    ("grace period", lambda s: s.update(terminationGracePeriodSeconds=5)),
    ("file mode of a volume", lambda s: s["volumes"][0].update(defaultMode=256)),
    ("empty lists", lambda s: s["containers"][1].update(args=[], env=None, volumeMounts=[])),
]


@pytest.mark.parametrize("change", [row[1] for row in IMMATERIAL], ids=[row[0] for row in IMMATERIAL])
def test_what_only_says_how_it_runs_does_not_matter(change: Callable[[Json], object]) -> None:
    assert identity_of(changed(change)) == identity_of(TEMPLATE)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3), st.integers(0, 9))
def test_labels_annotations_and_replicas_do_not_matter(labels: dict[str, str], replicas: int) -> None:
    template = {**TEMPLATE, "metadata": {"labels": labels, "annotations": labels}, "replicas": replicas}
    assert identity_of(template) == identity_of(TEMPLATE)


# What was sent, and what kube-apiserver 1.37 answered to a GET afterwards.
TOKEN: Json = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
STORED_TOKEN: Json = {
    "projected": {
        "defaultMode": 420,
        "sources": [{"serviceAccountToken": {"expirationSeconds": 3600, "path": "token"}}],
    }
}
CLAIM: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
VOLUMES: list[tuple[str, Json, Json]] = [
    ("nothing", {}, {"emptyDir": {}}),
    ("emptyDir", {"emptyDir": {}}, {"emptyDir": {}}),
    ("configMap", {"configMap": {"name": "x"}}, {"configMap": {"name": "x", "defaultMode": 420}}),
    ("secret", {"secret": {"secretName": "x"}}, {"secret": {"secretName": "x", "defaultMode": 420}}),
    ("projected", TOKEN, STORED_TOKEN),
    ("hostPath", {"hostPath": {"path": "/m"}}, {"hostPath": {"path": "/m", "type": ""}}),
    ("image", {"image": {"reference": "w:1"}}, {"image": {"reference": "w:1", "pullPolicy": "IfNotPresent"}}),
    (
        "persistentVolumeClaim",
        {"persistentVolumeClaim": {"claimName": "x", "readOnly": False}},
        {"persistentVolumeClaim": {"claimName": "x"}},
    ),
    (
        "iscsi",
        {"iscsi": {"targetPortal": "t", "iqn": "i", "lun": 0}},
        {"iscsi": {"targetPortal": "t", "iqn": "i", "lun": 0, "iscsiInterface": "default"}},
    ),
    (
        "ephemeral",
        {"ephemeral": {"volumeClaimTemplate": {"spec": CLAIM}}},
        {"ephemeral": {"volumeClaimTemplate": {"metadata": {}, "spec": {**CLAIM, "volumeMode": "Filesystem"}}}},
    ),
    (
        "downwardAPI",
        {"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {
            "downwardAPI": {
                "defaultMode": 420,
                "items": [{"path": "p", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}],
            }
        },
    ),
]
CPU: Json = {"resource": "limits.cpu"}
CONTAINERS: list[tuple[str, Json, Json]] = [
    ("empty value", {"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A"}]}),
    (
        "field",
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}]},
    ),
    (
        "resource",
        {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": CPU}}]},
        {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {**CPU, "divisor": "0"}}}]},
    ),
    (
        "empty prefix",
        {"envFrom": [{"prefix": "", "secretRef": {"name": "s"}}]},
        {"envFrom": [{"secretRef": {"name": "s"}}]},
    ),
    (
        "writable mount",
        {"volumeMounts": [{"name": "v", "mountPath": "/m", "readOnly": False, "subPath": ""}]},
        {"volumeMounts": [{"name": "v", "mountPath": "/m"}]},
    ),
    ("no arguments", {"args": []}, {}),
]


def of_volume(source: Json) -> str:
    return identity_of({"spec": {"containers": [], "volumes": [{"name": "v", **source}]}})


def of_container(fields: Json) -> str:
    return identity_of({"spec": {"containers": [{"name": "c", "image": "i", **fields}]}})


@pytest.mark.parametrize(("sent", "stored"), [row[1:] for row in VOLUMES], ids=[row[0] for row in VOLUMES])
def test_a_volume_is_the_same_before_and_after_it_was_stored(sent: Json, stored: Json) -> None:
    assert of_volume(sent) == of_volume(stored)


@pytest.mark.parametrize(("sent", "stored"), [row[1:] for row in CONTAINERS], ids=[row[0] for row in CONTAINERS])
def test_a_container_is_the_same_before_and_after_it_was_stored(sent: Json, stored: Json) -> None:
    assert of_container(sent) == of_container(stored)


def test_different_volumes_stay_different_once_defaults_are_left_out() -> None:
    sources = [source for _, source, _ in VOLUMES if source]
    assert len({of_volume(source) for source in sources}) == len(sources)


def test_a_number_of_zero_is_not_silence() -> None:
    luns = [of_volume({"iscsi": {"targetPortal": "t", "iqn": "i", "lun": lun}}) for lun in (0, 1)]
    assert len({*luns, of_volume({"iscsi": {"targetPortal": "t", "iqn": "i"}})}) == 3


def test_a_divisor_of_its_own_matters() -> None:
    env = [{"name": "A", "valueFrom": {"resourceFieldRef": {**CPU, "divisor": "1m"}}}]
    assert of_container({"env": env}) != of_container(CONTAINERS[2][1])


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(random: Any) -> None:
    def mixed(value: Any) -> Any:
        if isinstance(value, list):
            return [mixed(item) for item in value]
        if not isinstance(value, dict):
            return value
        items = [(key, mixed(item)) for key, item in value.items()]
        random.shuffle(items)
        return dict(items)

    assert identity_of(mixed(TEMPLATE)) == identity_of(TEMPLATE)


@pytest.mark.parametrize(
    "template", [{}, {"spec": None}, {"spec": {}}, {"spec": {"containers": None, "volumes": None}}]
)
def test_an_empty_template_has_an_identity_too(template: Json) -> None:
    assert identity_of(template) == identity_of({"spec": {"containers": []}})
    assert images_of(template) == []


def test_computing_it_changes_nothing() -> None:
    before = json.dumps(TEMPLATE)
    assert TypeAdapter(Digest).validate_python(identity_of(TEMPLATE)) == identity_of(json.loads(before))
    assert json.dumps(TEMPLATE) == before


def test_images_are_told_in_order_and_within_bounds() -> None:
    assert images_of(TEMPLATE) == ["vllm:1", "proxy:1"]
    many = {"spec": {"containers": [{"image": "x" * 600}, {}] * 10}}
    assert images_of(many) == ["x" * 512, ""] * 8


@pytest.mark.parametrize(
    ("image", "digest"),
    [
        (f"registry.example:5000/a/vllm@sha256:{'0a' * 32}", f"sha256:{'0a' * 32}"),
        (f"vllm:v1@sha256:{'0a' * 32}", f"sha256:{'0a' * 32}"),
        ("vllm:v1", ""),
        ("", ""),
        (f"vllm@sha256:{'0A' * 32}", ""),
        (f"vllm@sha256:{'0a' * 31}", ""),
        (f"vllm@sha512:{'0a' * 64}", ""),
        (f"vllm@sha256:{'0a' * 32}\n", ""),
    ],
)
def test_an_image_is_known_by_its_digest_and_by_nothing_else(image: str, digest: str) -> None:
    assert image_digest(image) == digest


def test_the_name_of_a_record_is_valid_for_the_longest_model() -> None:
    name = revision_name("m" * 52, identity_of(TEMPLATE))
    assert TypeAdapter(Name).validate_python(name) == name
    assert len(name) == 63
    assert name != revision_name("m" * 52, identity_of({}))


PINNED = "registry.example/chat@sha256:" + "a" * 64
COMMIT = "b" * 40


def template_of(*containers: dict[str, Any], volumes: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), "volumes": volumes or []}}


@pytest.mark.parametrize(
    ("template", "found"),
    [
        (template_of({"image": PINNED}), []),
        (template_of({"image": "registry.example/chat:v1"}), ["registry.example/chat:v1"]),
        (template_of({"image": "registry.example/chat"}, {"image": PINNED}), ["registry.example/chat"]),
        (template_of({"image": "chat@sha256:short"}), ["chat@sha256:short"]),
        ({"spec": {"containers": [{"image": PINNED}], "initContainers": [{"image": "load:1"}]}}, ["load:1"]),
        (template_of({"image": PINNED}, volumes=[{"image": {"reference": "weights:1"}}]), ["weights:1"]),
        (template_of({"image": PINNED}, volumes=[{"image": {"reference": PINNED}}, {"emptyDir": {}}]), []),
        (template_of({"image": PINNED, "args": ["--model=hf://org/chat"]}), ["hf://org/chat"]),
        (template_of({"image": PINNED, "args": [f"hf://org/chat@{COMMIT}"]}), []),
        (template_of({"image": PINNED, "args": ["hf://org/chat@main"]}), ["hf://org/chat@main"]),
        (template_of({"image": PINNED, "command": ["sh", "-c", "get hf://a/b hf://a/b"]}), ["hf://a/b"]),
        (template_of({"image": PINNED, "env": [{"name": "M", "value": "hf://a"}, {"name": "N"}]}), ["hf://a"]),
        ({}, []),
    ],
)
def test_references_that_may_stand_for_something_else_tomorrow(template: dict[str, Any], found: list[str]) -> None:
    assert unpinned(template) == found


def test_no_more_of_them_are_told_than_a_status_can_hold() -> None:
    found = unpinned(template_of(*({"image": f"{n}-" + "x" * 999} for n in range(99))))
    assert (len(found), {len(one) for one in found}) == (16, {512})


@pytest.mark.parametrize(("part", "change"), MATERIAL, ids=[part for part, _ in MATERIAL])
def test_a_frame_is_the_identity_without_the_images(part: str, change: Callable[[Json], object]) -> None:
    by_image = part in ("image", "image of a sidecar", "image of an init container")
    assert (frame_of(changed(change)) == frame_of(TEMPLATE)) is by_image


def test_containers_are_told_by_whether_a_digest_names_their_image() -> None:
    digest = f"sha256:{'a' * 64}"
    template = changed(lambda s: server(s).update(image=f"vllm:1@{digest}"))
    assert pinned(template) == [("server", digest)]
    assert tagged(template) == [("sidecar", "proxy:1"), ("fetch", "fetch:1")]
    assert unresolvable(template) == ["hf://org/chat"]
