"""Stories that show what a rule is for where none of the plans does; each is played with the rule and without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lazaretto.engine.apply import TRIES
from tests.cluster.access import ClusterAccess
from tests.cluster.control_plane import ControlPlane
from tests.cluster.operator import OperatorProcess
from tests.cluster.receiver_stories import SYSTEM, moment_now, receiver_as_itself, webhook_payload
from tests.cluster.waiting import until
from tests.e2e.alerting import alert
from tests.e2e.scene import OPERATOR, Scene, Stage
from tests.e2e.shapes import BAD, Shape, workloads
from tests.faults import receiver_story, story
from tests.faults.faults import REACHED_SECONDS, WATCH, Parked, Refused
from tests.faults.plans import CONTAIN, WRITES, Plan
from tests.faults.proxy import Proxy
from tests.faults.receiver_plans import ReceiverPlan

QUIET_SECONDS = 3.0
READ_SECONDS = 1.0
"""Without another page of a list, after which the last one was read."""
Broken = Mapping[str, str]
"""What was broken, by property."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where stories are played: a control plane, and sources with or without the rule."""

    stage: Stage
    place: story.Place
    plane: ControlPlane
    cluster: ClusterAccess
    root: Path
    sources: Path

    @contextmanager
    def operator(self) -> Iterator[story.Place]:
        """An operator from these sources behind a proxy, in the place of the one that builds scenes."""
        kubeconfig = self.cluster.service_account_kubeconfig(SYSTEM, "lazaretto-operator")
        with (
            self.place.operator.resting(),
            Proxy(kubeconfig, self.root / "kubeconfig") as proxy,
            OperatorProcess(self.root / "operator", self.root / "kubeconfig", sources=self.sources) as operator,
        ):
            yield story.Place(operator, proxy, self.plane.audit)


@dataclass(frozen=True, slots=True)
class Story:
    """What happens, and what was broken by it."""

    told: str
    play: Callable[[Ground], Broken]

    def __str__(self) -> str:
        """For people."""
        return self.told


def planned(plan: Plan | ReceiverPlan) -> Story:
    """The story of a plan, with another operator or another receiver."""
    return Story(str(plan), partial(_contained, plan) if isinstance(plan, Plan) else partial(_taken_in, plan))


def _contained(plan: Plan, ground: Ground) -> Broken:
    scene = ground.stage.build()
    with ground.operator() as place:
        # What it reads when it starts would be as good as an event that it has lost.
        until(partial(_has_read_incidents, place.proxy), what="it has read what there was")
        return story.attempt(plan, scene, place).broken


def _has_read_incidents(proxy: Proxy) -> bool:
    lists = [e for e in proxy.record.entries if "/aiincidents?" in e.address and e.verb != WATCH]
    whole = [e.at for e in lists if "fieldSelector" not in e.address]
    return bool(whole) and time.monotonic() - whole[-1] > READ_SECONDS


def _taken_in(plan: ReceiverPlan, ground: Ground) -> Broken:
    with receiver_story.opened(ground.plane, ground.cluster, ground.root, folder=ground.sources) as intake:
        (group,) = intake.build([plan])
        return receiver_story.attempt(plan, group, intake).broken


def _made_anew(ground: Ground) -> Broken:
    # Without the fence, which lets nobody make a workload of a contained model: here one is there all the same.
    scene = ground.stage.build(Shape(fenced=False))
    write = next(write for write in WRITES if (write.phase, write.what) == (CONTAIN, "workload"))
    matches = write.matches(scene.namespace)
    # The first tries say which version they are about; the last, when all of these were overtaken, only which object.
    overtaken, parked = Refused(matches, status=409, reason="Conflict", times=TRIES), Parked(matches)
    mark = ground.plane.audit.mark()
    with ground.operator() as place:
        with place.proxy.befallen(overtaken), place.proxy.befallen(parked):
            scene.report()
            assert parked.reached.wait(REACHED_SECONDS), "the workload was never written"
            # It may come to know of the new one, and hold that as well; here it cannot.
            place.operator.freeze()
            new = _replace(scene)
        ground.plane.audit.wait_for(
            mark,
            matches=lambda record: (
                (record.user, record.namespace, record.subresource) == (OPERATOR, scene.namespace, "scale")
                and not record.dry_run
            ),
        )
        replicas = scene.replicas()
        place.operator.kill()
    return {} if replicas == new["spec"]["replicas"] else {"R": f"another of the same name has {replicas} replicas"}


def _replace(scene: Scene) -> Mapping[str, Mapping[str, int]]:
    """Deletes the bad revision's Deployment, and makes another of the same name."""
    scene.admin.delete("deployments", namespace=scene.namespace, name=BAD)
    until(lambda: scene.read("deployments", BAD) is None, what="the Deployment is gone")
    body = next(b for b in workloads(Shape()) if (b["kind"], b["metadata"]["name"]) == ("Deployment", BAD))
    made: Mapping[str, Mapping[str, int]] = scene.create(body)
    return made


def _resolved(ground: Ground) -> Broken:
    scene = ground.stage.build()
    told = webhook_payload(alert(scene.namespace))
    with ground.operator(), receiver_as_itself(ground.cluster, ground.root / "receiver") as receiver:
        assert receiver.post(told)[0] == 200
        scene.contained()
        held = scene.specs()
        told["alerts"][0] |= {"status": "resolved", "endsAt": moment_now()}
        assert receiver.post(told)[0] == 200
        assert "resolvedAt" in scene.incident()["spec"]["alerts"][0]
        until(lambda: _seen(scene), what="the operator has seen it")
        time.sleep(QUIET_SECONDS)
        state, left = scene.incident()["status"]["state"], scene.specs() == held
    return {} if state == "Contained" and left else {"U": f"{state}, and what was held {'is' if left else 'is not'}"}


def _seen(scene: Scene) -> bool:
    incident = scene.incident()
    return bool(incident["status"]["observedGeneration"] == incident["metadata"]["generation"])


MADE_ANEW = Story("contain, workload: deleted and made anew while the write is on its way", _made_anew)
ALERT_RESOLVED = Story("contained, and then the alert resolves", _resolved)
