"""GitOps tools that own what is held are kept away where a policy says so, and get it back exactly."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lazaretto.api import reasons
from lazaretto.domain.conditions import find
from lazaretto.engine.gather import ASIDE
from lazaretto.engine.term import SURVEY_EVERY, TICK
from tests.e2e.shapes import BAD, MODEL, Shape, policy
from tests.engine.edits import contained
from tests.engine.memory_api import called, failure
from tests.engine.running import RunningEngine, run
from tests.engine.world import NAMESPACE, Operator, World

FLUX = {"kustomize.toolkit.fluxcd.io/name": "models", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
EXCLUDED = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
HELM = {"helm.toolkit.fluxcd.io/name": "models", "helm.toolkit.fluxcd.io/namespace": "flux-system"}
SKIPPED = {"argocd.argoproj.io/skip-reconcile": "true"}
HELD = [("Deployment", BAD), ("HTTPRoute", MODEL), ("HorizontalPodAutoscaler", BAD)]
SHAPE = Shape(policies={"automatic": policy("Automatic", actions={"pauseGitOps": True})})


def listed(kind: str, name: str, *, group: str = "apps", namespace: str = NAMESPACE) -> dict[str, str]:
    """An entry of an Application's `status.resources`."""
    return {"group": group, "kind": kind, "name": name, "namespace": namespace, "version": "v1"}


def application(
    *resources: Mapping[str, str],
    name: str = "models",
    annotations: Mapping[str, str] | None = None,
    **destination: str,
) -> dict[str, Any]:
    where = {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE, **destination}
    metadata = {"name": name, **({"annotations": dict(annotations)} if annotations is not None else {})}
    spec = {"project": "default", "destination": {key: value for key, value in where.items() if value}}
    return {"kind": "Application", "metadata": metadata, "spec": spec, "status": {"resources": list(resources)}}


OWNING = application(listed("Deployment", BAD))


def with_argo_cd(*applications: dict[str, Any], shape: Shape = SHAPE) -> World:
    world = World(shape)
    world.api.absent.discard("applications")
    for body in applications:
        world.add(copy.deepcopy(body))
    return world


def with_flux(labels: Mapping[str, str] = FLUX, *, shape: Shape = SHAPE) -> World:
    world = World(shape)
    owned_by_flux(world, labels)
    return world


def owned_by_flux(world: World, labels: Mapping[str, str] = FLUX) -> None:
    for kind, name in HELD:
        world.change(kind, name, lambda body: body["metadata"].setdefault("labels", {}).update(labels))


def noted(world: World, kind: str, name: str) -> Any:
    return world.read(kind, name)["metadata"].get("annotations", {})


async def released(operator: Operator) -> None:
    operator.world.approve()
    await operator.settle()
    assert operator.world.containment is None


@pytest.mark.parametrize(
    ("labels", "excluded"), [(FLUX, EXCLUDED), (HELM, {"helm.toolkit.fluxcd.io/driftDetection": "disabled"})]
)
async def test_flux_leaves_alone_what_is_held_and_gets_it_back(
    begin: Callable[..., Operator], labels: Mapping[str, str], excluded: Mapping[str, str]
) -> None:
    world = with_flux(labels)
    world.change("Deployment", BAD, lambda body: body["metadata"].update(annotations={"team": "x"}))
    before = {held: noted(world, *held) for held in HELD}
    operator = begin(world)
    await contained(operator)
    assert {held: noted(world, *held) for held in HELD} == {held: before[held] | excluded for held in HELD}
    assert world.incident().status.conditions
    await released(operator)
    assert {held: noted(world, *held) for held in HELD} == before
    assert world.specs() == world.originals


async def test_what_flux_does_not_own_is_not_annotated(begin: Callable[..., Operator]) -> None:
    world = await contained(begin(with_flux({"team": "x"})))
    assert [noted(world, *held) for held in HELD] == [{}, {}, {}]


async def test_the_model_is_stopped_before_flux_is_kept_away(begin: Callable[..., Operator]) -> None:
    world = with_flux()
    await contained(begin(world))
    calls = [stored.call for stored in world.api.history if "deployments" in stored.call]
    assert calls == ["patch deployments/scale", "patch deployments"]


@pytest.mark.parametrize("annotations", [None, {"team": "x"}, {"argocd.argoproj.io/skip-reconcile": "false"}])
async def test_an_application_that_owns_what_is_held_is_paused_and_given_back(
    begin: Callable[..., Operator], annotations: Mapping[str, str] | None
) -> None:
    world = with_argo_cd(application(listed("Deployment", BAD), annotations=annotations))
    before = world.read("Application", "models")["metadata"].get("annotations")
    operator = begin(world)
    await contained(operator)
    assert noted(world, "Application", "models") == {**(annotations or {}), **SKIPPED}
    assert world.containment is not None
    assert "Application/models" in {o.object for o in world.containment.status.objects}
    await released(operator)
    assert (world.read("Application", "models")["metadata"].get("annotations") or None) == before
    assert world.specs() == {**world.originals, "Application/models": world.read("Application", "models")["spec"]}


@pytest.mark.parametrize(
    "resource",
    [
        listed("HTTPRoute", MODEL, group="gateway.networking.k8s.io"),
        listed("HorizontalPodAutoscaler", BAD, group="autoscaling"),
    ],
    ids=lambda found: found["kind"],
)
async def test_whatever_is_held_has_an_owner(begin: Callable[..., Operator], resource: Mapping[str, str]) -> None:
    world = await contained(begin(with_argo_cd(application(resource))))
    assert noted(world, "Application", "models") == SKIPPED


STRANGERS = {
    "owns nothing": application(),
    "another name": application(listed("Deployment", "other")),
    "another kind": application(listed("StatefulSet", BAD)),
    "another group": application(listed("Deployment", BAD, group="example.com")),
    "another namespace": application(listed("Deployment", BAD, namespace="elsewhere")),
    "destined elsewhere": application(listed("Deployment", BAD), namespace="elsewhere"),
    "another cluster": application(listed("Deployment", BAD), server="https://other.example:6443"),
    "no cluster": application(listed("Deployment", BAD), server=""),
}


@pytest.mark.parametrize("what", STRANGERS)
async def test_an_application_that_owns_nothing_held_here_is_left_alone(
    begin: Callable[..., Operator], what: str
) -> None:
    """Also if the held object claims to be its: anybody may write that there."""
    world = with_argo_cd(STRANGERS[what])
    claim = {"argocd.argoproj.io/tracking-id": f"models:apps/Deployment:{NAMESPACE}/{BAD}"}
    world.change("Deployment", BAD, lambda body: body["metadata"].update(annotations=claim))
    await contained(begin(world))
    assert noted(world, "Application", "models") == {}


async def test_without_the_policy_s_word_nothing_is_paused_nor_asked_for(begin: Callable[..., Operator]) -> None:
    plain = Shape(policies={"automatic": policy("Automatic")})
    world = with_flux(shape=plain)
    world.api.absent.discard("applications")
    world.add(copy.deepcopy(OWNING))
    operator = begin(world)
    await contained(operator)
    assert noted(world, "Application", "models") == {}
    assert [noted(world, *held) for held in HELD] == [{}, {}, {}]
    assert not [call for call in operator.line.calls if "applications" in call.what]


async def test_a_policy_that_changes_meanwhile_does_not_keep_it_from_being_given_back(
    begin: Callable[..., Operator],
) -> None:
    world = with_argo_cd(OWNING)
    operator = begin(world)
    await contained(operator)
    world.change("ResponsePolicy", "automatic", lambda body: body["spec"].update(actions={}))
    await operator.settle()
    assert noted(world, "Application", "models") == SKIPPED
    await released(operator)
    assert noted(world, "Application", "models") == {}


async def test_whoever_takes_the_annotation_away_is_undone_and_told(begin: Callable[..., Operator]) -> None:
    world = with_argo_cd(OWNING)
    operator = begin(world)
    await contained(operator)
    world.change("Application", "models", lambda body: body["metadata"].pop("annotations"))
    await operator.settle()
    assert noted(world, "Application", "models") == SKIPPED
    told = [e for e in world.incident().status.timeline if e.type == "Interference"]
    assert [e.object for e in told] == ["Application/models"]
    assert "past the fence" not in told[0].message


@pytest.mark.parametrize(
    "right", ["list applications", "get applications", "patch applications", "patch deployments"], ids=str
)
async def test_a_right_that_is_lacking_is_said_and_nothing_waits_for_it(
    begin: Callable[..., Operator], right: str
) -> None:
    world = with_flux()
    world.api.absent.discard("applications")
    world.add(copy.deepcopy(OWNING))
    world.api.forbidden = {right}
    operator = begin(world)
    operator.world.report()
    await operator.settle()
    status = world.incident().status
    contained = find(status.conditions, "Contained")
    assert contained is not None
    assert contained.status == "True"
    degraded = find(status.conditions, "Degraded")
    assert degraded is not None
    assert degraded.reason == reasons.FORBIDDEN
    assert not [e for e in status.timeline if e.type == "Interference"], "nothing was put back"
    world.api.forbidden = set()
    await operator.settle()
    assert find(world.incident().status.conditions, "Degraded") is None
    await released(operator)
    assert (noted(world, "Application", "models"), noted(world, "Deployment", BAD)) == ({}, {})


async def test_a_release_waits_until_what_is_paused_may_be_read_again(begin: Callable[..., Operator]) -> None:
    world = with_argo_cd(OWNING)
    operator = begin(world)
    await contained(operator)
    world.api.forbidden = {"list applications", "get applications"}
    world.approve()
    await operator.settle()
    assert world.containment is not None, "the journal alone knows what is to be put back"
    world.api.forbidden = set()
    await operator.settle()
    assert world.containment is None
    assert noted(world, "Application", "models") == {}


@pytest.mark.parametrize("code", [429, 500, 503])
def test_an_argo_cd_that_cannot_be_read_keeps_no_model_in_service(code: int) -> None:
    world = with_argo_cd(OWNING)

    async def story(running: RunningEngine) -> None:
        world.api.hook = lambda request: failure(code, "Broken") if "applications" in called(request) else None
        world.report()
        await running.until(lambda: world.read("Deployment", BAD)["spec"]["replicas"] == 0, seconds=2 * ASIDE)
        await running.until(
            lambda: (found := find(world.incident().status.conditions, "Contained")) and found.status == "True",
            seconds=10.0,
        )
        world.api.hook = None
        await running.until(lambda: noted(world, "Application", "models") == SKIPPED, seconds=TICK * 1.2)

    run(story, world=world)


def test_the_survey_says_which_right_is_lacking() -> None:
    world = with_argo_cd(OWNING)
    world.api.forbidden = {"list applications"}

    async def story(running: RunningEngine) -> None:
        def armed() -> Any:
            return next(iter((world.read("ProtectedModel", MODEL).get("status") or {}).get("conditions") or ()), None)

        await running.until(lambda: armed() and "applications" in armed()["message"], seconds=SURVEY_EVERY * 1.5)
        assert armed()["status"] == "True"

    run(story, world=world)


def test_where_there_is_no_argo_cd_no_pass_asks_for_it() -> None:
    world = World(SHAPE)

    async def story(running: RunningEngine) -> None:
        await running.until(lambda: world.read("ProtectedModel", MODEL).get("status"), seconds=5.0)
        before = len(running.fast.calls)
        world.report()
        await running.contained()
        made = [call.what for call in running.fast.calls[before:]]
        assert "list applications" not in made[: made.index("create containments")]

    run(story, world=world)
