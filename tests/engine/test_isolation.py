"""NetworkPolicies and evidence pods: made after the journal knows of them, held, told of, gone after the release."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lazaretto.api import AIIncident
from lazaretto.api.meta import LABEL_QUARANTINE, Condition
from lazaretto.domain.conditions import find
from lazaretto.domain.evidence_pods import LABELS_BEFORE
from lazaretto.kube.request import Request
from lazaretto.kube.transport import Response
from tests.e2e.shapes import BAD, MODEL
from tests.engine.edits import contained
from tests.engine.faulty_line import Call, Fault, FaultyLine
from tests.engine.memory_api import MemoryApi, Object, called, failure
from tests.engine.world import Operator, World

LABELS = {"app": MODEL, "revision": "v2"}
EVIDENCE = f"lazaretto-{MODEL}-evidence"


def demanding(world: World | None = None, *, isolate: bool = True, pods: int = 0) -> World:
    """A world whose policies isolate, and keep pods."""
    world = world or World()

    def ask(policy: Object) -> None:
        policy["spec"].setdefault("actions", {}).update(isolate=isolate)
        policy["spec"].setdefault("evidence", {}).update(pods=pods)

    for body in world.api.all("responsepolicies"):
        world.change("ResponsePolicy", body["metadata"]["name"], ask)
    return world


def policies(world: World) -> dict[str, Object]:
    return {body["metadata"]["name"]: body for body in world.api.all("networkpolicies")}


def policy_name(world: World) -> str:
    """The one that is made for the bad revision."""
    (name,) = [name for name in policies(world) if name != EVIDENCE]
    return name


def kept(world: World) -> list[Object]:
    return [pod for pod in world.api.all("pods") if LABEL_QUARANTINE in pod["metadata"]["labels"]]


def told(incident: AIIncident) -> Condition:
    found = find(incident.status.conditions, "Isolated")
    assert found is not None
    return found


def asked(world: World) -> list[str]:
    return [called(request) for request in world.api.requests]


def add_policy(world: World, name: str, **spec: Any) -> None:
    world.add({"kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec})


async def test_a_policy_denies_all_traffic_of_the_compromised_pods_alone(begin: Callable[..., Operator]) -> None:
    world = await contained(begin(demanding()))
    (made,) = policies(world).values()
    assert made["spec"] == {"podSelector": {"matchLabels": LABELS}, "policyTypes": ["Ingress", "Egress"]}
    assert made["metadata"]["labels"][LABEL_QUARANTINE] == MODEL
    assert world.containment is not None
    assert world.containment.spec.quarantine == [made["metadata"]["name"]]
    said = told(world.incident())
    assert (said.status, said.reason) == ("Unknown", "EnforcementUnknown")
    assert "no API tells" in said.message
    (entry,) = [each for each in world.incident().status.timeline if each.type == "Isolated"]
    assert policy_name(world) in entry.message


async def test_the_journal_knows_of_it_first(begin: Callable[..., Operator]) -> None:
    world = await contained(begin(demanding(pods=1)))
    writes = [stored.call for stored in world.api.history]
    assert writes.index("create containments") < writes.index("patch containments") < writes.index("patch pods")
    assert writes.index("patch containments") < writes.index("create networkpolicies")
    assert writes.index("patch pods") < writes.index("patch deployments/scale")


async def test_without_being_asked_nothing_is_read_or_made(begin: Callable[..., Operator]) -> None:
    world = await contained(begin())
    assert not [call for call in asked(world) if "networkpolicies" in call or call == "patch pods"]
    assert find(world.incident().status.conditions, "Isolated") is None


async def test_a_kept_pod_runs_on_and_nothing_finds_it(begin: Callable[..., Operator]) -> None:
    world = await contained(begin(demanding(isolate=False, pods=1)))
    (pod,) = kept(world)
    assert pod["metadata"]["labels"] == {LABEL_QUARANTINE: MODEL}
    assert BAD in pod["metadata"]["name"]
    assert "revision" in pod["metadata"]["annotations"][LABELS_BEFORE]
    assert pod["metadata"].get("ownerReferences", []) == []
    assert policies(world)[EVIDENCE]["spec"]["podSelector"] == {"matchLabels": {LABEL_QUARANTINE: MODEL}}
    assert world.containment is not None
    (hold,) = world.containment.spec.holds
    assert [each.uid for each in hold.evidence_pods] == [pod["metadata"]["uid"]]
    held = find(world.incident().status.conditions, "Contained")
    assert held is not None
    assert held.status == "True"
    assert f"kept as evidence: Pod/{pod['metadata']['name']}" in held.message


async def test_after_the_release_all_is_as_it_was_and_nothing_is_left(begin: Callable[..., Operator]) -> None:
    world = demanding(pods=2)
    operator = begin(world)
    await contained(operator)
    assert len(kept(world)) == 2
    world.approve()
    await operator.settle()
    assert world.incident().status.state == "Released"
    assert (policies(world), kept(world), world.containment) == ({}, [], None)
    assert world.specs() == world.originals
    assert told(world.incident()).message == "released"


async def test_the_policy_goes_with_the_first_writes_of_the_release(begin: Callable[..., Operator]) -> None:
    """Pods that come back under it would not get ready."""
    world = demanding(pods=1)
    operator = begin(world)
    await contained(operator)
    name = policy_name(world)
    world.approve()
    await operator.once()
    assert name not in policies(world)
    assert EVIDENCE in policies(world)
    await operator.settle()
    assert not policies(world)


async def test_a_release_waits_until_an_evidence_pod_is_gone(begin: Callable[..., Operator]) -> None:
    world = demanding(pods=1)
    operator = begin(world)
    await contained(operator)
    (pod,) = kept(world)
    name = pod["metadata"]["name"]

    def linger(request: Request) -> Response | None:
        if called(request) != "delete pods":
            return None
        world.change("Pod", name, lambda body: body["metadata"].update(deletionTimestamp="2026-01-02T12:00:00Z"))
        return Response(200, {}, b'{"kind": "Status"}')

    world.api.hook = linger
    world.approve()
    await operator.settle()
    assert world.incident().status.state == "Releasing"
    assert f"Pod/{name}" in world.incident().status.reason
    assert EVIDENCE in policies(world)
    assert asked(world).count("delete pods") == 1
    assert world.specs() == world.originals
    world.api.hook = None
    world.remove("Pod", name)
    await operator.settle()
    assert (world.incident().status.state, policies(world)) == ("Released", {})


def loosen(body: Object) -> None:
    body["spec"]["egress"] = [{}]


@pytest.mark.parametrize("what", ["deleted", "altered"])
async def test_what_somebody_undoes_is_made_anew_and_told(what: str, begin: Callable[..., Operator]) -> None:
    world = demanding()
    operator = begin(world)
    await contained(operator)
    name = policy_name(world)
    assert ("NetworkPolicy", name) in [(t.kind, t.name) for t in operator.guarded]
    if what == "deleted":
        world.remove("NetworkPolicy", name)
    else:
        world.change("NetworkPolicy", name, loosen)
    await operator.settle()
    assert "egress" not in policies(world)[name]["spec"]
    (entry,) = [each for each in world.incident().status.timeline if each.type == "Interference"]
    assert entry.message == f"NetworkPolicy/{name} was {what} by somebody and made anew"
    assert world.incident().status.state == "Contained"


async def test_somebody_elses_policy_of_that_name_is_never_touched(begin: Callable[..., Operator]) -> None:
    world = await contained(begin(demanding()))
    name = policy_name(world)
    world = demanding()
    add_policy(world, name, podSelector={})
    before = policies(world)[name]
    operator = begin(world)
    world.report()
    await operator.settle()
    assert (told(world.incident()).status, told(world.incident()).reason) == ("False", "NameTaken")
    assert world.incident().status.state == "Degraded"
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0
    world.approve()
    await operator.settle()
    assert policies(world) == {name: before}
    assert world.incident().status.state == "Released"


@pytest.mark.parametrize(
    ("selector", "more", "void"),
    [
        ({}, {"egress": [{}]}, True),
        ({"matchLabels": {"app": MODEL}}, {"ingress": [{}]}, True),
        ({"matchExpressions": [{"key": "revision", "operator": "In", "values": ["v2"]}]}, {"ingress": [{}]}, True),
        ({"matchExpressions": [{"key": "revision", "operator": "NotIn", "values": ["v2"]}]}, {"ingress": [{}]}, False),
        ({"matchLabels": {"app": "other"}}, {"ingress": [{}]}, False),
        ({}, {}, False),
    ],
)
async def test_a_policy_that_allows_what_ours_denies_is_named(
    selector: Object, more: Object, void: bool, begin: Callable[..., Operator]
) -> None:
    world = demanding()
    add_policy(world, "theirs", podSelector=selector, **more)
    await contained(begin(world))
    said = told(world.incident())
    assert (said.reason == "AllowedByOthers") is void
    assert ("theirs" in said.message) is void
    assert said.status == ("False" if void else "Unknown")


@pytest.mark.parametrize("call", ["list networkpolicies", "create networkpolicies", "patch pods"])
async def test_without_the_right_it_says_which_and_the_model_is_contained(
    call: str, begin: Callable[..., Operator]
) -> None:
    world = demanding(pods=1)
    world.api.hook = lambda request: failure(403, "Forbidden") if called(request) == call else None
    operator = begin(world)
    world.report()
    await operator.settle()
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0
    degraded = find(world.incident().status.conditions, "Degraded")
    if call == "patch pods":
        # That is over with the pods.
        assert degraded is None
        assert "not kept, or gone by now: Pod/" in told(world.incident()).message
    else:
        assert degraded is not None
        assert degraded.reason == "MissingPermission"
        assert "ClusterRole lazaretto-isolation" in degraded.message
    world.approve()
    await operator.settle()
    assert (world.incident().status.state, policies(world), kept(world)) == ("Released", {}, [])
    assert world.specs() == world.originals


async def test_pods_that_no_label_tells_apart_are_left_alone(begin: Callable[..., Operator]) -> None:
    world = World()

    def same(body: Object) -> None:
        body["spec"]["selector"]["matchLabels"] = {"app": MODEL}

    world.change("Deployment", BAD, same)
    world.controllers()
    originals = world.specs()
    operator = begin(demanding(world, pods=1))
    world.report()
    await operator.settle()
    assert world.incident().status.state == "Degraded"
    assert told(world.incident()).reason == "PodsNotToldApart"
    assert not kept(world)
    assert set(policies(world)) <= {EVIDENCE}
    world.approve()
    await operator.settle()
    assert (world.specs(), policies(world)) == (originals, {})


async def test_a_pod_that_changes_meanwhile_is_not_kept_and_delays_nothing(begin: Callable[..., Operator]) -> None:
    world = demanding(pods=1)

    def interfere(request: Request) -> Response | None:
        if called(request) == "patch pods":
            name = request.path.rpartition("/")[2]
            world.change("Pod", name, lambda body: body["metadata"].update(deletionTimestamp="2026-01-02T12:00:00Z"))
        return None

    world.api.hook = interfere
    await contained(begin(world))
    assert not kept(world)
    assert "not kept, or gone by now: Pod/" in told(world.incident()).message


async def test_pods_that_are_not_ready_are_not_kept(begin: Callable[..., Operator]) -> None:
    world = demanding(pods=1)
    for body in world.api.all("pods"):
        world.change("Pod", body["metadata"]["name"], lambda pod: pod["status"].update(conditions=[]))
    await contained(begin(world))
    assert not kept(world)
    assert "no pod was ready" in told(world.incident()).message


class SlowLine(FaultyLine):
    """One on which requests of one kind are so many seconds on their way."""

    def __init__(self, server: MemoryApi, *, slow: str, seconds: float) -> None:
        super().__init__(server)
        self._slow = slow
        self._seconds = seconds

    async def send(self, request: Request, *, timeout: float) -> Response:
        if called(request) == self._slow:
            await asyncio.sleep(self._seconds)
        return await super().send(request, timeout=timeout)


async def test_a_server_that_does_not_answer_delays_the_containment_no_longer_than_patience(
    begin: Callable[..., Operator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lazaretto.engine.isolation.LONGEST", 0.5)
    world = demanding(pods=1)
    operator = begin(world, line=SlowLine(world.api, slow="list networkpolicies", seconds=3600.0))
    world.report()
    await operator.once()
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0
    assert operator.changed
    assert "longer than 0.5 s" in world.incident().status.reason


async def test_no_pod_is_taken_from_its_replica_set_once_that_was_told_to_stop_them_all(
    begin: Callable[..., Operator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lazaretto.engine.isolation.PATIENCE", 0.02)
    world = demanding(pods=1)
    line = SlowLine(world.api, slow="patch containments", seconds=0.2)
    await contained(begin(world, line=line))
    assert "patch pods" not in [call.what for call in line.calls]
    assert "not kept, or gone by now: Pod/" in told(world.incident()).message
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0


async def story(operator: Operator) -> None:
    """Contained and released, whatever goes wrong once."""
    world = operator.world
    await contained(operator)
    assert len(policies(world)) == 2
    world.approve()
    await operator.settle()
    assert (policies(world), kept(world), world.containment) == ({}, [], None)
    assert world.specs() == world.originals


CALLS = ("create networkpolicies", "delete networkpolicies", "patch pods", "delete pods", "patch containments")
FAULTS = [Fault.KILLED_BEFORE, Fault.KILLED_AFTER, Fault.UNANSWERED, Fault.LOST, Fault.CONFLICT]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_killed_process_and_a_lost_answer_leave_nothing(fault: Fault, begin: Callable[..., Operator]) -> None:
    clean = begin(demanding(pods=1))
    await story(clean)
    points = [call for call in clean.line.calls if call.what in CALLS and fault in call.faults]
    assert {call.what for call in points} == {what for what in CALLS if fault in Call(what, "", 1).faults}
    for point in points:
        world = demanding(pods=1)
        await story(begin(world, line=FaultyLine(world.api, at=point, fault=fault)))


async def test_overlapping_incidents_keep_what_the_other_still_asks_for(begin: Callable[..., Operator]) -> None:
    world = demanding(pods=1)
    operator = begin(world)
    await contained(operator)
    name, (pod,) = policy_name(world), kept(world)
    world.report(2, category="UnsafeOutput", target={"model": MODEL, "revision": BAD})
    await operator.settle()
    assert set(policies(world)) == {name, EVIDENCE}
    world.approve(1)
    await operator.settle()
    assert world.incident(1).status.state == "Released"
    assert set(policies(world)) == {name, EVIDENCE}
    assert not kept(world)
    assert pod["metadata"]["name"] not in [body["metadata"]["name"] for body in world.api.all("pods")]
    world.approve(2)
    await operator.settle()
    assert (policies(world), world.containment) == ({}, None)
    assert world.specs() == world.originals
