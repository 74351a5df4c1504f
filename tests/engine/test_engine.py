"""The running engine: bells in, passes out; what is lost, late, broken or forbidden costs time and nothing else."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from lazaretto.api import KINDS, AIIncident, Containment
from lazaretto.domain.pace import LONGEST_PAUSE
from lazaretto.engine import reconciler
from lazaretto.engine.reconciler import STALLED
from lazaretto.engine.rounds import IDLE
from lazaretto.engine.term import TICK
from lazaretto.engine.triage import Known, Triage, triage
from lazaretto.errors import Unavailable
from lazaretto.kube.request import Request
from lazaretto.kube.transport import Response
from tests.e2e.shapes import BAD, GOOD, MODEL
from tests.engine.edits import replicas
from tests.engine.memory_api import called, failure
from tests.engine.running import MOMENT, RunningEngine, run
from tests.engine.world import NAMESPACE, World


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def test_an_incident_is_contained_and_released_by_bells_alone() -> None:
    async def story(running: RunningEngine) -> None:
        world = running.world
        world.report()
        await running.contained()
        world.approve()
        await running.until(lambda: running.state() == "Released" and world.containment is None, seconds=10.0)
        assert world.specs() == world.originals
        assert running.slow.calls, "statuses and Events take the other line"
        assert not [call for call in running.fast.calls if call.what in ("create events", "patch aiincidents/status")]

    run(story)


def test_a_new_model_does_not_wait_for_the_policies_of_all_namespaces() -> None:
    """A process that starts looks at all of them, for which nothing is asked."""
    world = World()
    (policy, *_) = world.api.all("responsepolicies")
    for number in range(100):
        elsewhere = {**policy["metadata"], "namespace": f"other-{number}", "uid": f"uid-of-{number}"}
        path = world.path("ResponsePolicy", policy["metadata"]["name"]).replace(NAMESPACE, f"other-{number}")
        world.api.add(path, {**policy, "metadata": elsewhere})

    spec = world.read("ProtectedModel", MODEL)["spec"]

    async def story(running: RunningEngine) -> None:
        running.start()
        await asyncio.sleep(MOMENT)
        world.add({"kind": "ProtectedModel", "metadata": {"name": "new", "uid": "uid-of-new"}, "spec": spec})
        await running.until(lambda: world.read("ProtectedModel", "new").get("status"), seconds=1.0)

    run(story, world=world, started=False)


def test_whoever_moves_a_held_object_is_undone_at_once() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained()
        running.world.change("Deployment", BAD, replicas(5))
        await asyncio.sleep(MOMENT)
        assert running.world.read("Deployment", BAD)["spec"]["replicas"] == 0

    run(story)


def test_the_ticker_finds_what_no_watch_told() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained()
        running.world.api.mute = True
        running.world.change("Deployment", BAD, replicas(5))
        still = running.world.read("Deployment", BAD)["spec"]["replicas"]
        assert still == 5
        await running.until(
            lambda: running.world.read("Deployment", BAD)["spec"]["replicas"] == 0, seconds=1.1 * TICK + IDLE + MOMENT
        )

    run(story)


def test_nothing_is_decided_before_everything_is_known_that_decisions_rest_on() -> None:
    """A held incident whose policy is not known yet would seem to need one approval only."""

    async def story(running: RunningEngine) -> None:
        world = running.world
        world.api.forbidden = {"list responsepolicies"}
        running.deaf = set(KINDS) - {AIIncident}
        world.report()
        running.start()
        await asyncio.sleep(5.0)
        assert running.passes() == 0
        assert running.state() == ""
        world.api.forbidden = set()
        await running.contained()

    run(story, started=False)


def test_a_right_that_is_granted_late_is_used_without_a_bell() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.api.forbidden = {"get deployments"}
        running.world.report()
        await running.until(lambda: running.state() == "Stalled", seconds=5.0)
        running.world.api.forbidden = set()
        await running.contained(seconds=STALLED + 5.0)

    run(story)


def test_a_pass_that_fails_for_hours_is_repeated_and_no_worker_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(running: RunningEngine) -> None:
        tried = 0

        async def fail(key: tuple[str, str]) -> float | None:
            nonlocal tried
            tried += 1
            raise Unavailable(503, "made up")

        monkeypatch.setattr(running.term._reconciler, "reconcile", fail)
        running.rollout = 60.0
        running.world.report()
        await asyncio.sleep(2 * 3600.0)
        assert 1100 < tried < 4000, "neither given up nor a busy loop"
        monkeypatch.undo()
        running.rollout = 0.05
        await running.contained(seconds=90.0)

    run(story)


@pytest.mark.parametrize(("cause", "state"), [("", "Containing"), ("denied request: no", "Degraded")])
def test_a_write_that_is_never_accepted_is_no_busy_loop_and_stops_nothing_else(cause: str, state: str) -> None:
    """One that loses every race, and one that is refused for what it says."""

    async def story(running: RunningEngine) -> None:
        def refuse(request: Request) -> Response | None:
            # An error of another kind ends a busy loop, so that the test does.
            assert running.passes() < 100
            return failure(422, "Invalid", cause=cause) if called(request) == "patch httproutes" else None

        running.world.api.hook = refuse
        running.world.report()
        await asyncio.sleep(60.0)
        assert running.passes() < 90
        assert running.state() == state
        assert running.world.read("Deployment", BAD)["spec"]["replicas"] == 0
        running.world.api.hook = None
        await running.contained(seconds=LONGEST_PAUSE + 10.0)

    run(story)


def test_a_defect_in_one_models_pass_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    broken = world.read("ProtectedModel", MODEL)
    broken["metadata"] = {"name": "broken"}
    world.add(broken)

    async def story(running: RunningEngine) -> None:
        real = running.term._reconciler.reconcile

        async def reconcile(key: tuple[str, str]) -> float | None:
            if key[1] == "broken":
                raise RuntimeError("made up")
            return await real(key)

        monkeypatch.setattr(running.term._reconciler, "reconcile", reconcile)
        for number in range(2, 40):
            running.world.report(number, target={"model": "broken"})
        await asyncio.sleep(60.0)
        running.world.report()
        await running.contained()

    run(story, world=world)


def test_two_models_of_a_namespace_are_each_their_own() -> None:
    world = World()
    other = world.read("ProtectedModel", MODEL)
    other["metadata"] = {"name": "other"}
    other["spec"] |= {"workloads": [{"kind": "Deployment", "name": GOOD}], "routes": []}
    world.add(other)

    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained()
        assert [c.metadata.name for c in running.engine.store.all(Containment)] == [MODEL]
        assert running.world.read("Deployment", GOOD)["spec"]["replicas"] == 2

    run(story, world=world)


def test_an_incident_without_a_target_is_recorded_and_closed_by_people() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.add(
            {
                "kind": "AIIncident",
                "metadata": {"name": f"{MODEL}-1"},
                "spec": {"source": {"type": "Manual"}, "category": "DataLeakage"},
            }
        )
        await running.until(lambda: running.state() == "Unmatched", seconds=1.0)
        running.world.approve(verb="Close", people=["alice"])
        await running.until(lambda: running.state() == "Closed", seconds=1.0)
        written = {called(request) for request in running.world.api.writes}
        kinds = ("aiincidents", "protectedmodels", "modelrevisions", "responsepolicies")
        asking = ("selfsubjectaccessreviews", "selfsubjectreviews")
        kept = {f"create {each}" for each in ("events", "modelrevisions", *asking)}
        assert written <= kept | {f"patch {kind}/status" for kind in kinds}

    run(story)


def test_incidents_without_a_target_are_decided_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be thousands that nobody ever closes: a new one must not cost a look at all of them."""
    looked_at: list[str] = []

    def counted(known: Known, **more: Any) -> Triage:
        looked_at.extend(each.metadata.name for each in known.open_incidents)
        return triage(known, **more)

    monkeypatch.setattr(reconciler, "triage", counted)
    names = [f"unmatched-{number}" for number in range(30)]

    async def story(running: RunningEngine) -> None:
        for name in names:
            spec = {"source": {"type": "Manual"}, "category": "DataLeakage"}
            running.world.add({"kind": "AIIncident", "metadata": {"name": name}, "spec": spec})
            await asyncio.sleep(MOMENT)
        stored = [running.world.read("AIIncident", name) for name in names]
        assert {body["status"]["state"] for body in stored} == {"Unmatched"}
        assert sorted(looked_at) == sorted(names)

    run(story)


def test_a_decision_that_arrives_before_its_incident_counts() -> None:
    async def story(running: RunningEngine) -> None:
        world = running.world
        world.change("ResponsePolicy", "leaks-at-once", lambda body: body["spec"].update(mode="Approve"))
        running.deaf = {AIIncident}
        body = world.report()
        world.approve(verb="ApproveContainment", people=["alice"])
        await asyncio.sleep(1.0)
        assert running.engine.store.decisions_in(NAMESPACE)
        running.engine.observe(AIIncident, body, deleted=False)
        await running.until(lambda: world.containment is not None, seconds=1.0)

    run(story)


def test_the_onset_is_asked_for_when_somebody_can_tell() -> None:
    asked: list[str] = []

    async def lookup(incident: AIIncident) -> None:
        asked.append(incident.metadata.name)

    alert = {
        "fingerprint": "a" * 16,
        "name": "Leak",
        "startsAt": "2026-01-02T11:00:00Z",
        "receivedAt": "2026-01-02T11:01:00Z",
    }

    async def story(running: RunningEngine) -> None:
        running.world.report(alerts=[alert])
        await running.contained()
        await asyncio.sleep(60.0)
        assert set(asked) == {f"{MODEL}-1"}

    run(story, onset=lookup)


def test_a_stop_leaves_nothing_running() -> None:
    async def story(running: RunningEngine) -> None:
        running.world.report()
        await running.contained()
        await running.stop()
        calls = len(running.fast.calls) + len(running.slow.calls)
        running.world.change("Deployment", BAD, replicas(5))
        await asyncio.sleep(200.0)
        assert len(running.fast.calls) + len(running.slow.calls) == calls

    run(story)
