"""Why a workload does not come up, and what makes a pod another one than its template says."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from lazaretto.domain.pod import is_ready
from lazaretto.domain.startup import Startup, altered, startup_of

Object = dict[str, Any]
IMAGE = f"registry.example/vllm@sha256:{'1' * 64}"
CONTAINER = {"name": "server", "image": IMAGE, "args": ["--model", "m"], "env": [{"name": "A", "value": "1"}]}
TEMPLATE: Object = {"spec": {"containers": [CONTAINER]}}


def pod(status: Object | None = None, **metadata: Any) -> Object:
    body: Object = {"metadata": {"name": "good-1", "uid": "p1", **metadata}, "spec": {"containers": [dict(CONTAINER)]}}
    return {**body, "status": status or {}}


def unplaced(message: str) -> Object:
    return pod(
        {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}
    )


def waiting(reason: str, message: str = "") -> Object:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod({"containerStatuses": [{"name": "server", "state": state}]})


def refused(message: str) -> Object:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    return {"status": {"conditions": [failure]}}


READY = pod({"conditions": [{"type": "Ready", "status": "True"}]})


@pytest.mark.parametrize(
    ("deployment", "pods", "expected"),
    [
        pytest.param({}, [], Startup(), id="nothing shows"),
        pytest.param({}, [READY], Startup(), id="all are ready"),
        pytest.param(
            {},
            [unplaced("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")],
            Startup(shortage="Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
            id="no room",
        ),
        pytest.param(
            {},
            [unplaced('persistentvolumeclaim "weights" not found')],
            Startup(trouble='Unschedulable: persistentvolumeclaim "weights" not found'),
            id="no claim: stopping others helps nothing",
        ),
        pytest.param(
            refused("pods is forbidden: exceeded quota: full"),
            [],
            Startup(shortage="FailedCreate: pods is forbidden: exceeded quota: full"),
            id="no quota",
        ),
        pytest.param(
            refused('serviceaccount "gone" not found'),
            [],
            Startup(trouble='FailedCreate: serviceaccount "gone" not found'),
            id="no account",
        ),
        pytest.param(
            {}, [waiting("ContainerCreating"), READY], Startup(), id="what starts and what has started tells nothing"
        ),
        pytest.param(
            {},
            [waiting("ImagePullBackOff", "manifest\n\x1b[31munknown")],
            Startup(trouble="ImagePullBackOff: container server: manifest unknown"),
            id="no image, told on one line without what steers a terminal",
        ),
    ],
)
def test_why_it_does_not_come_up(deployment: Object, pods: list[Object], expected: Startup) -> None:
    assert startup_of(deployment, pods=pods) == expected


def test_what_only_events_tell() -> None:
    about = {"involvedObject": {"uid": "p1"}, "reason": "FailedMount", "message": 'secret "key" not found'}
    others = [{**about, "involvedObject": {"uid": "p2"}}, {**about, "reason": "Pulled"}]
    assert startup_of({}, pods=[waiting("ContainerCreating")], events=[*others, about]).trouble == (
        'FailedMount: secret "key" not found'
    )
    assert startup_of({}, pods=[READY], events=[about]) == Startup()


def test_what_is_on_its_way_out_is_not_ready() -> None:
    assert is_ready(READY)
    assert not is_ready({**READY, "metadata": {**READY["metadata"], "deletionTimestamp": "2026-01-02T12:00:00Z"}})


def _made(change: Callable[[Object], object]) -> Object:
    made = copy.deepcopy(pod())
    change(made["spec"])
    return made


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda spec: None, "", id="nothing"),
        pytest.param(lambda spec: spec["containers"].append({"name": "proxy", "image": "x"}), "", id="a sidecar"),
        pytest.param(
            lambda spec: spec["containers"][0].update(image=IMAGE.replace("registry", "mirror")), "", id="a mirror"
        ),
        pytest.param(
            lambda spec: spec["containers"][0]["env"].append({"name": "B", "value": "2"}), "", id="one more variable"
        ),
        pytest.param(
            lambda spec: spec["containers"][0].update(image=IMAGE.replace("1", "2")), "runs registry", id="an image"
        ),
        pytest.param(lambda spec: spec["containers"][0].update(image="x:1"), "runs x:1, not", id="a tag for a digest"),
        pytest.param(
            lambda spec: spec["containers"][0].update(args=["--model", "n"]), "args of container server", id="arguments"
        ),
        pytest.param(lambda spec: spec["containers"][0].update(env=[]), "variable A of container", id="a variable"),
        pytest.param(lambda spec: spec.update(containers=[]), "it has no container server", id="a container"),
    ],
)
def test_a_pod_that_admission_changed(change: Callable[[Object], object], told: str) -> None:
    found = altered(TEMPLATE, [pod(), _made(change)])
    assert bool(found) == bool(told)
    assert told in found
