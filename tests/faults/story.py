"""Plays a plan: an incident is contained and released, and one request goes wrong on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from tests.cluster.audit import AuditLog
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.ledger import Ledger
from tests.e2e.raw_api import Object
from tests.e2e.scene import Scene
from tests.e2e.shapes import MODEL
from tests.e2e.test_alert_to_containment import HELD
from tests.e2e.watcher import WATCHED, Watcher
from tests.faults.faults import Fault, Held
from tests.faults.oracle import Outcome, judge
from tests.faults.plans import CONTAIN, RELEASE, TWICE, Plan, writes_to
from tests.faults.proxy import Proxy

REACHED_SECONDS = 30.0
LOOK_SECONDS = 0.2
STARTED_SECONDS = 2.0
PEOPLE = ("alice", "bob")


@dataclass(frozen=True, slots=True)
class Place:
    """Where stories are played."""

    operator: OperatorProcess
    proxy: Proxy
    audit: AuditLog


def attempt(plan: Plan | None, scene: Scene, place: Place) -> Outcome:
    """The same; a story that does not come to its end breaks what its phase is for."""
    try:
        return play(plan, scene, place)
    except (AssertionError, OSError, TimeoutError) as error:
        phase = plan.phase if plan else CONTAIN
        return Outcome({"C" if phase == CONTAIN else "R": f"it did not come to its end: {error}"})
    finally:
        # Models that are looked at every minute would take the machine from the plans that are still to come.
        scene.admin.delete("protectedmodels", namespace=scene.namespace, name=MODEL)


def play(
    plan: Plan | None, scene: Scene, place: Place, *, meanwhile: Mapping[str, Callable[[], None]] | None = None
) -> Outcome:
    """The whole story, without a fault if there is no plan; fails if it does not come to its end.

    `meanwhile` has what happens when a phase is about to begin.
    """
    before, ledger = scene.specs(), Ledger(place.audit, scene.namespace)
    outcome = Outcome()
    keeping = _restarted(place.operator) if plan and not plan.kills else nullcontext()
    with keeping, scene.watched(*WATCHED, "incidentdecisions") as watcher:
        for phase, act in ((CONTAIN, _contain), (RELEASE, _release)):
            if plan is not None and plan.phase == phase:
                with place.proxy.befallen(plan.make(scene.namespace)) as fault:
                    outcome.after = _meet(plan, fault, scene, place, act=act)
            else:
                begun = time.monotonic()
                if happens := (meanwhile or {}).get(phase):
                    happens()
                act(scene)
                _await(phase, scene)
                if happens:
                    outcome.after = time.monotonic() - begun
        incident = scene.incident()
        ledger.settled()
        _caught_up(watcher, scene)
        outcome.broken = judge(watcher, ledger, before=before, after=scene.specs(), incident=incident)
    return outcome


def _meet(plan: Plan, fault: Fault, scene: Scene, place: Place, *, act: object) -> float:
    """Seconds from the end of the fault to the end of the phase."""
    if isinstance(plan.where, str):
        # Watches are opened when the process starts, which it is at once. Meanwhile it reads all that there is.
        place.operator.stop()
        assert fault.reached.wait(REACHED_SECONDS), f"{plan} never came"
        time.sleep(STARTED_SECONDS)
    act(scene)  # type: ignore[operator]
    assert fault.reached.wait(REACHED_SECONDS), f"{plan} never came"
    if plan.kills:
        place.operator.kill()
        fault.end()
        if plan.fault == TWICE:
            _kill_again(scene, place)
        place.operator.start()
    _await(plan.phase, scene)
    return max(0.0, time.monotonic() - (fault.over_at or time.monotonic()))


def _kill_again(scene: Scene, place: Place) -> None:
    """Before whatever the restarted operator writes first."""
    with place.proxy.befallen(Held(writes_to(scene.namespace))) as fault:
        place.operator.start(ready=False)
        assert fault.reached.wait(REACHED_SECONDS), "it wrote nothing more"
        place.operator.kill()
        fault.end()


@contextmanager
def _restarted(operator: OperatorProcess) -> Iterator[None]:
    """An operator that ends is started again, as a kubelet does, and as often as it ends before it is ready."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(LOOK_SECONDS):
            if not operator.running:
                operator.start(ready=False)

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _contain(scene: Scene) -> None:
    scene.report()


def _release(scene: Scene) -> None:
    for user in PEOPLE:
        scene.decide(user, "ApproveRelease")


def _await(phase: str, scene: Scene) -> Object | None:
    if phase == CONTAIN:
        found: Object = scene.contained()
        return found
    scene.await_state("Released")
    until(lambda: scene.read("containments", MODEL) is None, what="the journal is gone")
    return None


def _caught_up(watcher: Watcher, scene: Scene) -> None:
    """The witness has heard what is stored by now."""
    watched = [(plural, name) for plural, name, _ in HELD] + [("aiincidents", f"{MODEL}-1")]
    for plural, name in watched:
        number = int(scene.read(plural, name)["metadata"]["resourceVersion"])
        watcher.first(plural, lambda body: int(body["metadata"]["resourceVersion"]) >= number, name=name)  # noqa: B023
