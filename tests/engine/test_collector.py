"""What a containment destroys is kept first, once, without secrets, and never at the containment's expense."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from lazaretto.api.aiincident import EvidenceReference
from lazaretto.domain.configuration import sealed
from lazaretto.domain.snapshot import MANIFEST, name_of_snapshot
from lazaretto.kube.request import Request
from lazaretto.kube.transport import Response
from tests.e2e.shapes import BAD, MODEL
from tests.engine.edits import contained
from tests.engine.faulty_line import Call, Fault, FaultyLine
from tests.engine.memory_api import MemoryApi, Object, called, failure
from tests.engine.world import NAMESPACE, Operator, World

SECRET = "Correct-Horse-1"


def stored(world: World) -> list[Object]:
    return world.api.all("configmaps")


def part(world: World, name: str) -> Any:
    (found,) = stored(world)
    return json.loads(found["data"][name])


def reference(world: World, number: int = 1) -> EvidenceReference:
    found = world.incident(number).status.evidence
    assert found is not None
    return found


def asked(world: World) -> list[str]:
    return [called(request) for request in world.api.requests]


def rule(world: World, **evidence: Any) -> None:
    for body in world.api.all("responsepolicies"):
        name = body["metadata"]["name"]
        world.change("ResponsePolicy", name, lambda policy: policy["spec"].update(evidence=evidence))


async def rung(operator: Operator) -> None:
    """The snapshot has come to an end, one way or the other."""
    while not operator.rung:
        await asyncio.sleep(0.01)


async def snapped(operator: Operator) -> None:
    """Contained, and told what became of the snapshot."""
    await contained(operator)
    await rung(operator)
    await operator.settle()


async def test_what_was_there_is_kept_and_the_timeline_has_its_digest(begin: Callable[..., Operator]) -> None:
    operator = begin()
    pods = [p["metadata"]["name"] for p in operator.world.api.all("pods") if p["metadata"]["name"].startswith(BAD)]
    world = await contained(operator)
    (kept,) = stored(world)
    assert kept["metadata"]["name"] == reference(world).config_map == name_of_snapshot(world.incident())
    assert not reference(world).missing
    assert pods
    assert [each["pod"] for each in part(world, "images.json")] == sorted(pods)
    (workload,) = part(world, "workloads.json")
    assert (workload["metadata"]["name"], workload["spec"]["replicas"] > 0) == (BAD, True)
    route = next(each for each in part(world, "traffic.json") if each["kind"] == "HTTPRoute")
    assert route["spec"] == world.originals[f"HTTPRoute/{MODEL}"]
    (entry,) = [each for each in world.incident().status.timeline if each.type == "Evidence"]
    assert entry.after == reference(world).manifest
    assert entry.after in entry.message


async def test_no_secret_is_kept(begin: Callable[..., Operator]) -> None:
    world = World()

    def tell(body: Object) -> None:
        container = body["spec"]["template"]["spec"]["containers"][0]
        container.update(env=[{"name": "VENDOR", "value": SECRET}], args=["--api-key", SECRET])
        body["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(container)}

    world.change("Deployment", BAD, tell)
    await contained(begin(world))
    assert SECRET not in json.dumps(stored(world))
    assert "VENDOR" in json.dumps(stored(world))


async def test_the_pods_are_asked_for_before_any_is_stopped(begin: Callable[..., Operator]) -> None:
    world = await contained(begin())
    calls = asked(world)
    assert calls.index("list pods") < calls.index("patch deployments/scale")
    assert calls.index("create configmaps") > calls.index("patch deployments/scale")
    assert calls.count("create configmaps") == calls.count("list events") == 1


class SlowLine(FaultyLine):
    """One on which pods are not answered until `go` is set."""

    def __init__(self, server: MemoryApi) -> None:
        super().__init__(server)
        self.go = asyncio.Event()

    async def send(self, request: Request, *, timeout: float) -> Response:
        if called(request) == "list pods":
            await self.go.wait()
        return await super().send(request, timeout=timeout)


async def test_only_scaling_to_zero_waits_for_the_pods(
    begin: Callable[..., Operator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lazaretto.engine.collector.PATIENCE", 3600.0)
    world = World()
    line = SlowLine(world.api)
    operator = begin(world, line=line)
    world.report()
    operator.hear()
    one = asyncio.create_task(operator.once())
    while "patch horizontalpodautoscalers" not in asked(world) or "patch httproutes" not in asked(world):
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert "patch deployments/scale" not in asked(world)
    line.go.set()
    await one
    assert "patch deployments/scale" in asked(world)


async def test_a_read_that_takes_too_long_is_missing_and_keeps_nothing_from_being_contained(
    begin: Callable[..., Operator],
) -> None:
    world = World()
    rule(world, budget="1s")
    line = SlowLine(world.api)
    operator = begin(world, line=line)
    world.report()
    operator.hear()
    await operator.once()
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0
    await rung(operator)
    line.go.set()
    await operator.settle()
    assert reference(world).missing == "pods: not read within 0.6 s"
    assert part(world, "pods.json") == []
    assert world.incident().status.state == "Contained"


@pytest.mark.parametrize(
    ("call", "missing", "times"),
    [("list events", "events: made up", 1), ("create configmaps", "everything: not stored: made up", 2)],
)
async def test_without_the_right_it_is_missing_and_the_model_is_contained(
    call: str, missing: str, times: int, begin: Callable[..., Operator]
) -> None:
    world = World()
    rule(world, budget="1s")
    world.api.forbidden.add(call)
    await snapped(begin(world))
    assert reference(world).missing == missing
    assert bool(reference(world).config_map) == bool(stored(world)) == (call != "create configmaps")
    assert asked(world).count(call) == times


@pytest.mark.parametrize("status", [403, 422])
async def test_a_snapshot_that_is_refused_is_stored_when_that_is_over(
    status: int, begin: Callable[..., Operator]
) -> None:
    world = World()

    def refuse(request: Request) -> Response | None:
        over = asked(world).count("create configmaps") > 0
        return None if over or called(request) != "create configmaps" else failure(status, "Invalid")

    world.api.hook = refuse
    await snapped(begin(world))
    assert [each["metadata"]["name"] for each in stored(world)] == [reference(world).config_map]
    assert reference(world).missing == ""


async def test_pods_that_may_not_be_read_are_missing(begin: Callable[..., Operator]) -> None:
    world = World()
    world.api.hook = lambda request: failure(403, "Forbidden") if called(request) == "list pods" else None
    operator = begin(world)
    world.report()
    await operator.settle()
    assert reference(world).missing == "pods: made up"
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0


@pytest.mark.parametrize("fault", [Fault.KILLED_BEFORE, Fault.KILLED_AFTER])
@pytest.mark.parametrize(
    ("what", "name"), [("create containments", MODEL), ("create configmaps", ""), ("patch deployments/scale", BAD)]
)
async def test_a_killed_process_leaves_one_snapshot_to_be_taken(
    what: str, name: str, fault: Fault, begin: Callable[..., Operator]
) -> None:
    world = World()
    world.report()
    name = name or name_of_snapshot(world.incident())
    operator = begin(world, line=FaultyLine(world.api, at=Call(what, name, 1), fault=fault))
    operator.hear()
    await operator.settle()
    assert world.incident().status.state == "Contained"
    assert [each["metadata"]["name"] for each in stored(world)] == [reference(world).config_map]
    before = (what, fault) == ("create containments", Fault.KILLED_BEFORE)
    assert ("interrupted" in reference(world).missing) is not before


async def test_what_has_the_name_already_is_left_alone_and_told(begin: Callable[..., Operator]) -> None:
    world = World()
    world.report()
    name = name_of_snapshot(world.incident())
    world.add({"kind": "ConfigMap", "metadata": {"name": name}, "data": {MANIFEST: "theirs"}})
    operator = begin(world)
    await operator.settle()
    (left,) = stored(world)
    assert left["data"] == {MANIFEST: "theirs"}
    assert "was there already" in reference(world).missing
    assert reference(world).manifest


async def test_a_policy_may_want_none(begin: Callable[..., Operator]) -> None:
    world = World()
    rule(world, snapshot=False)
    await contained(begin(world))
    assert world.incident().status.evidence is None
    assert not {"list events", "create configmaps"} & set(asked(world))


async def test_it_is_taken_once_for_each_incident_and_outlives_the_release(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    first = stored(world)
    again = begin(world)
    await again.settle()
    assert stored(world) == first
    assert asked(world).count("create configmaps") == asked(world).count("list events") == 1
    world.report(2, category="UnsafeOutput", target={"model": MODEL, "revision": BAD})
    await again.settle()
    names = {reference(world, number).config_map for number in (1, 2)}
    assert len(names) == 2
    for number in (1, 2):
        world.approve(number)
    await again.settle()
    assert world.containment is None
    assert {each["metadata"]["name"] for each in stored(world)} == names
    assert world.incident().status.evidence == reference(world)


async def test_ends_of_logs_are_kept_where_the_policy_asks_for_them(begin: Callable[..., Operator]) -> None:
    world = World()
    rule(world, logLines=20)
    for body in world.api.all("pods"):
        world.change("Pod", body["metadata"]["name"], lambda pod: pod.update(spec={"containers": [{"name": "server"}]}))
    queries = []

    def answer(request: Request) -> Response | None:
        if called(request) != "get pods/log":
            return None
        queries.append(request.query)
        return Response(200, {}, f"2026-01-02T12:00:00Z told token={SECRET}\n\xff".encode("latin-1"))

    world.api.hook = answer
    await contained(begin(world))
    logs = part(world, "logs.json")
    assert {each["pod"].startswith(BAD) for each in logs} == {True}
    assert logs[0]["lines"][0] == "2026-01-02T12:00:00Z told token=[redacted]"
    assert {(each["container"], each["tailLines"]) for each in queries} == {("server", "20")}
    assert not reference(world).missing


async def test_a_log_that_may_not_be_read_is_missing_with_the_role(begin: Callable[..., Operator]) -> None:
    world = World()
    rule(world, logLines=20)
    for body in world.api.all("pods"):
        world.change("Pod", body["metadata"]["name"], lambda pod: pod.update(spec={"containers": [{"name": "server"}]}))
    world.api.forbidden.add("get pods/log")
    await contained(begin(world))
    assert reference(world).missing.startswith("logs.json: ")
    assert "ClusterRole lazaretto-isolation" in reference(world).missing


async def test_nobody_reads_logs_unasked(begin: Callable[..., Operator]) -> None:
    assert "get pods/log" not in asked(await contained(begin()))


def mount(world: World, *sources: Object) -> None:
    """The bad workload's pods take files from there."""
    volumes = [{"name": f"v{number}", **source} for number, source in enumerate(sources)]
    world.change("Deployment", BAD, lambda body: body["spec"]["template"]["spec"].update(volumes=volumes))


async def test_digests_of_config_maps_are_kept_where_the_policy_asks_for_them(
    begin: Callable[..., Operator],
) -> None:
    world = World()
    rule(world, configuration=True)
    mount(world, *({"configMap": {"name": each}} for each in ("prompts", "gone")))
    world.api.add(f"/api/v1/namespaces/{NAMESPACE}/configmaps/prompts", {"kind": "ConfigMap", "data": {"system": "x"}})
    world.report()
    await begin(world).settle()
    (body,) = (each for each in stored(world) if "manifest.json" in each.get("data", {}))
    gone, prompts = json.loads(body["data"]["configuration.json"])
    assert (gone["name"], prompts["name"]) == ("gone", "prompts")
    assert gone["missing"]
    assert prompts["sha256"] == {"system": hashlib.sha256(b"x").hexdigest()}


async def test_a_salted_digest_of_secrets_is_kept_where_the_policy_asks_for_it(begin: Callable[..., Operator]) -> None:
    world = World()
    rule(world, secrets=True)
    mount(world, *({"secret": {"secretName": each}} for each in ("hub", "gone")))
    world.api.add(f"/api/v1/namespaces/{NAMESPACE}/secrets/hub", {"kind": "Secret", "data": {"token": "aHVudGVyMg=="}})
    world.report()
    await begin(world).settle()
    while not stored(world):  # the digest is made in a thread, and takes its time
        await asyncio.sleep(0.01)
    (body,) = stored(world)
    gone, hub = json.loads(body["data"]["configuration.json"])
    assert (gone["name"], hub["name"], hub["kind"]) == ("gone", "hub", "Secret")
    assert gone["missing"]
    salt = bytes.fromhex(hub["scrypt"]["salt"])
    assert len(salt) == 16
    assert hub == sealed(world.api.objects[f"/api/v1/namespaces/{NAMESPACE}/secrets/hub"], salt=salt)
    assert "aHVudGVyMg" not in json.dumps(world.api.all("configmaps"))


async def test_nobody_reads_secrets_unasked(begin: Callable[..., Operator]) -> None:
    world = World()
    rule(world, configuration=True)
    assert "get secrets" not in asked(await contained(begin(world)))
