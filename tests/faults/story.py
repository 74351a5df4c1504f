"""Plays a plan: an incident is contained and released, and one request or watch goes wrong on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from tests.cluster.audit import AuditLog
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import PATIENCE, until
from tests.e2e.ledger import Ledger, named
from tests.e2e.raw_api import RefusedError
from tests.e2e.scene import Scene
from tests.e2e.shapes import BAD, MODEL
from tests.e2e.test_alert_to_containment import HELD
from tests.e2e.watcher import WATCHED, Watcher
from tests.faults.clean_run import phased, standing
from tests.faults.faults import REACHED_SECONDS, Fault, Held
from tests.faults.oracle import Outcome, compare, judge
from tests.faults.plans import CONTAIN, RELEASE, TWICE, Plan, writes_to
from tests.faults.proxy import Proxy
from tests.faults.watch_faults import WatchFault

LOOK_SECONDS = 0.2
PEOPLE = ("alice", "bob")
_SERVING = (f"patch deployments/scale {BAD}", f"patch httproutes {MODEL}")
Meanwhile = Mapping[str, Callable[[], object]]
"""What happens when a phase is about to begin, by phase."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where stories are played."""

    operator: OperatorProcess
    proxy: Proxy
    audit: AuditLog


def attempt_beside(plan: Plan, scenes: tuple[Scene, Scene], place: Place) -> Outcome:
    """The same, while another model of which nothing goes wrong comes to the same phase: property I is asked of it."""
    begun = threading.Event()
    first, second = scenes
    with ThreadPoolExecutor(2) as pool:
        disturbed = pool.submit(attempt, plan, first, place, meanwhile={plan.phase: begun.set})
        beside = pool.submit(attempt, None, second, place, meanwhile={plan.phase: lambda: begun.wait(PATIENCE)})
        try:
            outcome = disturbed.result()
        finally:
            begun.set()
        if broken := beside.result().broken:
            outcome.broken["I"] = str(broken)
    return outcome


def attempt(plan: Plan | None, scene: Scene, place: Place, *, meanwhile: Meanwhile | None = None) -> Outcome:
    """The same; a story that does not come to its end breaks what its phase is for."""
    outcome = Outcome()
    try:
        outcome = play(plan, scene, place, meanwhile=meanwhile)
    except (AssertionError, OSError, TimeoutError) as error:
        phase = plan.phase if plan else CONTAIN
        outcome.broken["C" if phase == CONTAIN else "R"] = f"it did not come to its end: {error}"
    finally:
        if outcome.broken:
            print(f"{plan}:", *place.proxy.record.about(scene.namespace), sep="\n")
        retire(scene)
    return outcome


def retire(scene: Scene) -> None:
    """Takes away what would take the machine from the stories that are still to come.

    The operator looks at a model every minute, and the controller of autoscalers at each of them every second.
    """
    for plural, name in (("protectedmodels", MODEL), ("horizontalpodautoscalers", BAD)):
        # An autoscaler may be held, if the story did not come to its end.
        with suppress(RefusedError):
            scene.admin.delete(plural, namespace=scene.namespace, name=name)


def play(plan: Plan | None, scene: Scene, place: Place, *, meanwhile: Meanwhile | None = None) -> Outcome:
    """The whole story, without a fault if there is no plan; fails if it does not come to its end."""
    before, ledger = standing(scene), Ledger(place.audit, scene.namespace)
    outcome = Outcome()
    keeping = kept_running(place.operator) if plan and not plan.kills else nullcontext()
    with keeping, scene.watched(*WATCHED, "incidentdecisions") as watcher:
        for phase, act in ((CONTAIN, _contain), (RELEASE, release)):
            begins = partial(_begin, scene, act, first=(meanwhile or {}).get(phase))
            if plan is not None and plan.phase == phase:
                with place.proxy.befallen(plan.make(scene.namespace)) as fault:
                    _meet(plan, fault, scene, place, begins=begins, outcome=outcome)
                over = datetime.now(UTC) - timedelta(seconds=time.monotonic() - fault.over_at)
            else:
                begun = time.monotonic()
                begins()
                await_end(phase, scene)
                if plan is None and phase in (meanwhile or {}):
                    outcome.after = time.monotonic() - begun
        incident = scene.incident()
        ledger.settled()
        caught_up(watcher, scene)
        found = judge(watcher, ledger, before=before, after=standing(scene), incident=incident)
        outcome.broken = compare(found, ledger, incident)
        if plan is not None and plan.phase == CONTAIN:
            outcome.contained_after = _written_after(over, ledger)
    return outcome


def _meet(
    plan: Plan, fault: Fault, scene: Scene, place: Place, *, begins: Callable[[], None], outcome: Outcome
) -> None:
    """A phase with its fault; says how long it took from the end of the fault to the end of the phase."""
    if isinstance(fault, WatchFault):
        assert fault.reached.wait(REACHED_SECONDS), f"{plan}: no stream was opened"
    begins()
    if isinstance(fault, WatchFault):
        fault.happened.set()
        assert fault.struck.wait(PATIENCE), f"{plan}: no stream told of it"
    assert fault.reached.wait(REACHED_SECONDS), f"{plan} never came"
    if plan.kills:
        place.operator.kill()
        fault.end()
        if plan.fault == TWICE:
            _kill_again(scene, place)
        place.operator.start()
        outcome.ready_after = time.monotonic() - fault.over_at
    await_end(plan.phase, scene)
    outcome.after = max(0.0, time.monotonic() - (fault.over_at or time.monotonic()))


def _begin(scene: Scene, act: Callable[[Scene], None], *, first: Callable[[], object] | None) -> None:
    if first:
        first()
    act(scene)


def _written_after(over: datetime, ledger: Ledger) -> float | None:
    """Seconds until workload and route were written, if they were not both before."""
    written = {f"{named(r)} {r.name}": r.at for phase, r in phased(ledger) if phase == CONTAIN}
    last = max(written[name] for name in _SERVING)
    return (last - over).total_seconds() if last > over else None


def _kill_again(scene: Scene, place: Place) -> None:
    """Before whatever the restarted operator writes first."""
    with place.proxy.befallen(Held(writes_to(scene.namespace))) as fault:
        place.operator.start(ready=False)
        assert fault.reached.wait(REACHED_SECONDS), "it wrote nothing more"
        place.operator.kill()
        fault.end()


@contextmanager
def kept_running(operator: OperatorProcess) -> Iterator[None]:
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


def release(scene: Scene) -> None:
    """Two people approve of it."""
    for user in PEOPLE:
        scene.decide(user, "ApproveRelease")


def await_end(phase: str, scene: Scene) -> None:
    """Contained; or released, with its journal gone."""
    if phase == CONTAIN:
        scene.contained()
        return
    scene.await_state("Released")
    until(lambda: scene.read("containments", MODEL) is None, what="the journal is gone")


def caught_up(watcher: Watcher, scene: Scene) -> None:
    """The witness has heard what is stored by now."""
    watched = [(plural, name) for plural, name, _ in HELD] + [("aiincidents", f"{MODEL}-1")]
    for plural, name in watched:
        number = int(scene.read(plural, name)["metadata"]["resourceVersion"])
        watcher.first(plural, lambda body: int(body["metadata"]["resourceVersion"]) >= number, name=name)  # noqa: B023
