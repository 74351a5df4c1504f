"""What goes on around a containment: an alert that flaps, a namespace that goes, and processes that end in a storm."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any

import pytest

from tests.bench.footprint import Footprint
from tests.cluster.access import ClusterAccess
from tests.cluster.receiver import ReceiverProcess
from tests.cluster.receiver_stories import receiver_as_itself, webhook_payload
from tests.cluster.waiting import until
from tests.e2e.alerting import alert
from tests.e2e.journal import assert_one_base, assert_written
from tests.e2e.ledger import Ledger
from tests.e2e.scene import OPERATOR, RECEIVER, Scene, Stage
from tests.e2e.shapes import MODEL, Shape
from tests.faults.oracle import judge
from tests.faults.outage_story import HOLD, Witness, approved, attempt, staying
from tests.faults.outages import DELETED, FLAPPING, STORMED, TERMINATED
from tests.faults.plans import CONTAIN, RELEASE
from tests.faults.story import Place, await_end, retire
from tests.faults.table import Line, accept

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("interruptions")]
FLAPS = 20
MOST_WRITES_PER_FLAP = 5
MODELS = 20
ALERTS_EACH = 10
SENDERS = 8
BEFORE = 60
"""Alerts that are answered before the processes end."""
KILLS = 3
SEED = 20
MIB = 2**20


@pytest.fixture(scope="module")
def receiver(cluster: ClusterAccess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    with receiver_as_itself(cluster, tmp_path_factory.mktemp("receiver")) as process:
        yield process


def test_an_alert_flaps(place: Place, stage: Stage, receiver: ReceiverProcess, lines: list[Line]) -> None:
    """Nothing is released by a resolve, and nothing is contained again by the next beginning."""
    place.operator.start()
    scene = stage.build()
    leak = alert(scene.namespace)

    def post(**more: str) -> None:
        status, answer = receiver.post(webhook_payload({**leak, **more}))
        assert status == 200, answer

    def begin(scene: Scene) -> float:
        post()
        return time.monotonic()

    def flap(scene: Scene) -> float:
        ledger = Ledger(place.audit, scene.namespace)
        for _ in range(FLAPS):
            post(status="resolved", endsAt=_now())
            leak["startsAt"] = _now()
            post()
        ledger.settled()
        (incident,) = scene.all("aiincidents")
        (entry,) = incident["spec"]["alerts"]
        assert entry["firings"] == 1 + FLAPS
        ours, its = (len(ledger.calls(user, writes=True)) for user in (OPERATOR, RECEIVER))
        print(f"\n{FLAPS} flaps: {ours} writes of the operator, dry runs among them, and {its} of the receiver")
        assert not ledger.targets()
        assert ours <= MOST_WRITES_PER_FLAP * FLAPS
        assert its <= 3 * FLAPS
        return time.monotonic()

    outcome = attempt(scene, place.audit, contain=begin, hold=flap)
    accept(Line("outages", FLAPPING, HOLD, outcome.broken, outcome.after), lines)


def test_the_namespace_of_a_contained_model_is_deleted(place: Place, stage: Stage, lines: list[Line]) -> None:
    place.operator.start()
    scenes = stage.build_all({"gone": Shape(), "other": Shape()})
    gone = scenes["gone"]
    gone.report()
    gone.contained()

    def happen(scene: Scene) -> float:
        begun = time.monotonic()
        scene.admin.delete("namespaces", name=gone.namespace)
        scene.report()
        scene.contained()
        print(f"\ncontained {time.monotonic() - begun:.1f} s after the deletion began")
        until(lambda: scene.admin.find("namespaces", namespace="", name=gone.namespace) is None, what="it is gone")
        print(f"the namespace was gone after {time.monotonic() - begun:.1f} s")
        # The stage takes away in the end what it has built.
        scene.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": gone.namespace}})
        return time.monotonic()

    with staying(place.operator):
        outcome = attempt(scenes["other"], place.audit, contain=happen)
        accept(Line("outages", DELETED, CONTAIN, outcome.broken, outcome.after), lines)


@dataclass
class Storm:
    """Alerts in any order, sent as a sender does: what is not answered by 200 is sent again, later."""

    receiver: ReceiverProcess
    alerts: list[dict[str, Any]]
    answered: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def about(cls, scenes: Sequence[Scene], receiver: ReceiverProcess, *, seed: int) -> Storm:
        """Several alerts about each model."""
        alerts = [
            alert(scene.namespace, labels={"alertname": f"Leak{number}"})
            for scene in scenes
            for number in range(ALERTS_EACH)
        ]
        random.Random(seed).shuffle(alerts)
        return cls(receiver, alerts)

    def blow(self, *, whenever: Callable[[], bool] = lambda: True) -> None:
        """Sends each once that has not been answered, unless it is over by then."""
        left = [each for each in self.alerts if each not in self.answered]
        with ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(lambda each: self._send(each) if whenever() else None, left))

    def _send(self, each: dict[str, Any]) -> None:
        with suppress(OSError, HTTPException):
            if self.receiver.post(webhook_payload(each))[0] == 200:
                self.answered.append(each)

    def lost(self, scenes: Sequence[Scene]) -> list[tuple[str, str]]:
        """What was answered and is not stored."""
        stored = {
            (scene.namespace, entry["name"])
            for scene in scenes
            for incident in scene.all("aiincidents")
            for entry in incident["spec"]["alerts"]
        }
        sent = {(each["labels"]["namespace"], each["labels"]["alertname"]) for each in self.answered}
        return sorted(sent - stored)


def test_both_processes_end_in_a_storm(
    place: Place, stage: Stage, receiver: ReceiverProcess, lines: list[Line]
) -> None:
    place.operator.start()

    def end(storm: Storm, scenes: Sequence[Scene]) -> None:
        until(lambda: len(storm.answered) >= BEFORE, what="the storm is under way")
        _tell_memory(place, receiver)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda each: each.stop(), (receiver, place.operator)))
        print(f"both ended after {len(storm.answered)} of {len(storm.alerts)} alerts were answered")
        assert len(storm.answered) < len(storm.alerts), "the storm was over"
        assert not storm.lost(scenes)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda each: each.start(), (receiver, place.operator)))

    _weather(place, stage, receiver, lines, fault=TERMINATED, end=end)


def test_the_operator_is_killed_three_times_in_a_storm(
    place: Place, stage: Stage, receiver: ReceiverProcess, lines: list[Line]
) -> None:
    moments = random.Random(SEED)

    def end(storm: Storm, scenes: Sequence[Scene]) -> None:
        until(lambda: storm.answered, what="the storm is under way")
        for _ in range(KILLS):
            time.sleep(moments.uniform(0.1, 1.5))
            place.operator.kill()
            held = sum(scene.read("containments", MODEL) is not None for scene in scenes)
            print(f"killed after {len(storm.answered)} alerts, with {held} journals written")
            place.operator.start()

    _weather(place, stage, receiver, lines, fault=STORMED, end=end)


def _weather(
    place: Place,
    stage: Stage,
    receiver: ReceiverProcess,
    lines: list[Line],
    *,
    fault: str,
    end: Callable[[Storm, Sequence[Scene]], None],
) -> None:
    """A storm in the midst of which `end` happens; then everything is contained, each once, and released."""
    place.operator.start()
    scenes = list(stage.build_all({str(number): Shape() for number in range(MODELS)}).values())
    before = [scene.specs() for scene in scenes]
    ledgers = [Ledger(place.audit, scene.namespace) for scene in scenes]
    storm = Storm.about(scenes, receiver, seed=SEED)
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        witnesses = [stack.enter_context(Witness(scene)) for scene in scenes]
        blowing = pool.submit(storm.blow)
        end(storm, scenes)
        begun = time.monotonic()
        blowing.result()
        storm.blow()
        assert len(storm.answered) == len(storm.alerts)
        for scene in scenes:
            scene.contained()
        after = time.monotonic() - begun
        print(f"all contained {after:.1f} s after the last start")
        assert not storm.lost(scenes)
        for ledger in ledgers:
            assert_written(ledger, 1)
        _tell_memory(place, receiver)
        with ThreadPoolExecutor(SENDERS) as people:
            list(people.map(approved, scenes))
        broken: dict[str, str] = {}
        for scene, witness, ledger, specs in zip(scenes, witnesses, ledgers, before, strict=True):
            await_end(RELEASE, scene)
            assert_written(ledger, 2)
            assert_one_base(witness)
            broken |= judge(witness, ledger, before=specs, after=scene.specs(), incident=scene.incident())
    for scene in scenes:
        retire(scene)
    accept(Line("outages", fault, CONTAIN, broken, after), lines)


def _tell_memory(place: Place, receiver: ReceiverProcess) -> None:
    peaks = {
        name: Footprint.of(each.pid).peak // MIB
        for name, each in (("operator", place.operator), ("receiver", receiver))
    }
    print(f"\npeak memory, MiB: {peaks}")


def _now() -> str:
    return datetime.now(UTC).isoformat()
