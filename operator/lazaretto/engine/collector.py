"""Takes the snapshot of what a containment is about to destroy, beside the containment.

Reading the pods begins together with the journal's write. Traffic is cut and autoscalers are held without regard to
it; only scaling to zero waits until the pods are read, and no longer than `PATIENCE`. Everything else happens after
the writes, in a lane of its own: Events and workloads outlive the pods. Whatever fails or takes too long is missing
in the snapshot, which says so; it never keeps a model from being contained.

A process that dies leaves a containment whose incident knows of no snapshot. The next one takes it, as far as
there is still something to be seen. The name is the incident's, so there is one snapshot, whoever took it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lazaretto.api.aiincident import EvidenceReference
from lazaretto.domain.configuration import config_maps_of, digests_of, sealed, secrets_of
from lazaretto.domain.durations import parse_duration
from lazaretto.domain.quarantine import ROLE
from lazaretto.domain.snapshot import Log, Material, Snapshot, containers, events_about, snapshot
from lazaretto.engine.clock import Clock
from lazaretto.engine.current_pass import Due, Pass, snapshots_due
from lazaretto.engine.store import Key
from lazaretto.errors import AlreadyExists, ApiError, Forbidden
from lazaretto.kube.api_server import Api, Object
from lazaretto.kube.request import label_selector
from lazaretto.kube.resource import CONFIG_MAPS, EVENTS, PODS, SECRETS
from lazaretto.kube.surface import WORKLOADS_FIRST, uid_of

log = logging.getLogger(__name__)

MANAGER = "lazaretto-evidence"
PATIENCE = 0.05
"""Seconds that scaling to zero waits for the pods to be read; usually they are before the journal is stored."""
LARGEST_LOG = 64 * 1024
"""Bytes after which a log is cut off."""
LONGEST_LOG = 3.0
"""Seconds after which a log is given up, so that one node that does not answer costs its own logs alone."""
READING = 0.6
"""Share of the budget after which what was read is stored."""
AGAIN = 0.5
"""Seconds after which what was refused is stored again; twice as many after each time, as long as the budget lasts."""
MOST_REMEMBERED = 1000


@dataclass(slots=True, eq=False)
class Collection:
    """One snapshot on its way."""

    due: Due
    pods: asyncio.Task[list[Object]]
    logs: asyncio.Task[list[Log]]
    material: Material | None = None
    """Set once it waits for its turn."""
    taken: EvidenceReference | None = None
    """Set in the end."""


class Collector:
    """See the module's text. `ring` is told the model whose snapshot has come to an end."""

    def __init__(self, fast: Api, slow: Api, *, clock: Clock, ring: Callable[[Key], None]) -> None:
        self._fast = fast
        self._slow = slow
        self._clock = clock
        self._ring = ring
        self._queue: asyncio.Queue[Collection] = asyncio.Queue()
        self._known: dict[str, Collection] = {}
        self._sealing = asyncio.Lock()

    def begin(self, current: Pass) -> Sequence[Collection]:
        """Start to read the pods of what will be held, unless that was done; returns at once."""
        found = []
        for due in snapshots_due(current):
            uid = due.incident.metadata.uid
            if uid not in self._known:
                pods = asyncio.create_task(self._pods(due))
                # At once, while the pods are there, and on a connection that nothing of the containment waits for.
                self._remember(uid, Collection(due, pods, asyncio.create_task(self._logs(due, pods))))
            found.append(self._known[uid])
        return found

    async def ready(self, collections: Sequence[Collection]) -> None:
        """Until the pods were read, or could not be, or patience is at its end. Never raises."""
        reading = [each.pods for each in collections if not each.pods.done()]
        if reading:
            await asyncio.wait(reading, timeout=PATIENCE)

    def submit(self, collections: Sequence[Collection], current: Pass) -> None:
        """Have the rest collected and stored. To be called once the journal is stored; returns at once."""
        for each in collections:
            if each.material is None:
                each.material = _material(each.due, current)
                self._queue.put_nowait(each)

    def taken(self, uid: str) -> EvidenceReference | None:
        """What became of an incident's snapshot; None while it is under way, and for one that nobody asked for."""
        return self._known[uid].taken if uid in self._known else None

    async def work(self) -> None:
        """Take snapshots, one after the other, for ever."""
        while True:
            each = await self._queue.get()
            try:
                each.taken = await self._take(each)
            except Exception:
                # A defect here must end neither the lane nor the containment.
                log.exception("snapshot for incident %s failed", each.due.incident.metadata.name)
                each.taken = EvidenceReference(missing="everything: taking it failed, see the operator's log")
            self._ring((each.due.incident.metadata.namespace, each.due.model))

    def close(self) -> None:
        """Stop reading."""
        for each in self._known.values():
            each.pods.cancel()
            each.logs.cancel()

    def _remember(self, uid: str, collection: Collection) -> None:
        self._known[uid] = collection
        while len(self._known) > MOST_REMEMBERED:
            oldest = self._known.pop(next(iter(self._known)))
            oldest.pods.cancel()
            oldest.logs.cancel()

    async def _pods(self, due: Due) -> list[Object]:
        namespace = due.incident.metadata.namespace
        found: dict[str, Object] = {}
        for workload in due.workloads:
            labels = label_selector(workload.selector)
            pods = await self._fast.list(PODS, namespace=namespace, labels=labels, cached=True)
            found |= {uid_of(pod): pod for pod in pods}
        return list(found.values())

    async def _logs(self, due: Due, pods: asyncio.Task[list[Object]]) -> list[Log]:
        """Ends of the logs, as far as the policy asks for them and they can be read."""
        if not due.rule.log_lines:
            return []
        # Shielded: who gives up waiting for logs has not given up the pods.
        asked = containers(await asyncio.shield(pods))
        return list(await asyncio.gather(*(self._log(due, *names) for names in asked)))

    async def _log(self, due: Due, pod: str, container: str) -> Log:
        namespace = due.incident.metadata.namespace
        reading = self._slow.logs(
            namespace=namespace, pod=pod, container=container, lines=due.rule.log_lines, limit=LARGEST_LOG
        )
        try:
            async with asyncio.timeout(LONGEST_LOG):
                return Log(pod, container, await reading)
        except TimeoutError:
            return Log(pod, container, missing=f"not read within {LONGEST_LOG:g} s")
        except Forbidden as error:
            return Log(pod, container, missing=f"{error.message[:160]}; {ROLE}")
        except ApiError as error:
            return Log(pod, container, missing=error.message[:200])

    async def _configuration(self, due: Due, material: Material) -> list[Object]:
        """Digests of the ConfigMaps and Secrets that the workloads name, if the policy asks for them."""
        namespace, rule = due.incident.metadata.namespace, due.rule
        config_maps = config_maps_of(material.workloads) if rule.configuration else []
        secrets = secrets_of(material.workloads) if rule.secrets else []
        jobs = [self._digests(namespace, name) for name in config_maps]
        return list(await asyncio.gather(*jobs, *(self._sealed(namespace, name) for name in secrets)))

    async def _digests(self, namespace: str, name: str) -> Object:
        try:
            return digests_of(await self._slow.get(CONFIG_MAPS, namespace=namespace, name=name))
        except ApiError as error:
            return {"name": name, "missing": error.message[:200]}

    async def _sealed(self, namespace: str, name: str) -> Object:
        try:
            body = await self._slow.get(SECRETS, namespace=namespace, name=name)
        except ApiError as error:
            return {"kind": "Secret", "name": name, "missing": error.message[:200]}
        # It is meant to be slow: one at a time, and not in the loop that containments run in.
        async with self._sealing:
            return await asyncio.to_thread(sealed, body, salt=os.urandom(16))

    async def _take(self, collection: Collection) -> EvidenceReference:
        """Read what is left to be read, and store all of it, within the budget."""
        due, material = collection.due, collection.material
        assert material is not None  # noqa: S101  # set by `submit`
        budget = parse_duration(due.rule.budget, field="spec.evidence.budget").total_seconds()
        end = asyncio.get_running_loop().time() + budget
        namespace = due.incident.metadata.namespace
        reading: dict[str, asyncio.Task[Any]] = {
            "pods": collection.pods,
            "events": asyncio.create_task(self._slow.list(EVENTS, namespace=namespace)),
            "logs": collection.logs,
            "configuration": asyncio.create_task(self._configuration(due, material)),
        }
        read, missing = await _within(reading, seconds=READING * budget)
        pods = read.get("pods", [])
        material = material.filled(
            pods=pods,
            events=events_about(read.get("events", []), workloads=material.workloads, pods=pods),
            logs=read.get("logs", []),
            configuration=read.get("configuration", []),
            missing=missing,
        )
        made = snapshot(material, now=self._clock.now())
        found = _lost(f"the API server did not take it within {due.rule.budget}")
        pause = AGAIN
        try:
            async with asyncio.timeout_at(end):
                # What is refused may be granted soon: by an API server that has just started, or under a quota.
                while not (found := await self._store(made, namespace)).config_map:
                    await asyncio.sleep(pause)
                    pause *= 2
        except TimeoutError:
            pass
        return found

    async def _store(self, made: Snapshot, namespace: str) -> EvidenceReference:
        name = str(made.body["metadata"]["name"])
        missing = list(made.missing)
        try:
            await self._slow.create(CONFIG_MAPS, made.body, namespace=namespace, manager=MANAGER)
        except AlreadyExists:
            # Perhaps an earlier try of our own, whose answer was lost. There is no right to read it.
            missing.insert(
                0, "certainty: it was there already, from an earlier try if its manifest.json has this digest"
            )
        except ApiError as error:
            return _lost(f"not stored: {error.message}")
        return EvidenceReference(config_map=name, manifest=made.manifest, missing="; ".join(missing)[:1024])


async def _within(
    reading: Mapping[str, asyncio.Task[Any]], *, seconds: float
) -> tuple[dict[str, list[Any]], list[str]]:
    """What was read in that time, and a sentence about everything that was not."""
    try:
        await asyncio.wait(reading.values(), timeout=seconds)
    finally:
        late = {name for name, task in reading.items() if task.cancel()}
    read: dict[str, list[Any]] = {}
    missing = []
    for name, task in reading.items():
        if name in late or task.cancelled():
            missing.append(f"{name}: not read within {seconds:g} s")
        elif (error := task.exception()) is not None:
            message = error.message if isinstance(error, ApiError) else str(error)
            missing.append(f"{name}: {message[:200]}")
        else:
            read[name] = task.result()
    return read, missing


def _material(due: Due, current: Pass) -> Material:
    """What the pass has in its hands."""
    uids = {workload.uid for workload in due.workloads}
    objects = [obj for found in current.live.objects.values() for obj in found if uid_of(obj) in uids]
    leading = [p.obj for p in current.plans if p.wanted and p.stage != WORKLOADS_FIRST]
    return Material(
        incident=due.incident,
        hold=due.hold,
        workloads=objects,
        traffic=leading,
        bases=[p.entry for p in current.plans],
        late=due.late,
    )


def _lost(why: str) -> EvidenceReference:
    return EvidenceReference(missing=f"everything: {why}"[:1024])
