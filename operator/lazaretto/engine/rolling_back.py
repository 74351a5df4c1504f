"""Gives the compromised Deployment the template that was recorded of a known-good revision, where a hold says so.

It is written once, after everything that contains the model was written and no pod of it is left; guarded by the
Deployment's uid and resource version, and only if a dry run shows that the API server would store what was recorded.
The journal names the rollback before: a process that dies in between leaves a Deployment that runs what was recorded,
which the next one finds, or one that is still to be written. Whoever changes the template afterwards has it held
again, and it is not written a second time: a fight over what runs is for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lazaretto.api import reasons
from lazaretto.api.containment import Hold, Rollback
from lazaretto.domain.demands import standing
from lazaretto.domain.evidence import Evidence, Finding, Problem
from lazaretto.domain.recorded_template import plain
from lazaretto.domain.rollback import ROLE, is_as_rolled_back, late, undone
from lazaretto.domain.scene import Demand, Workload
from lazaretto.engine.current_pass import Pass
from lazaretto.engine.journal import Journal
from lazaretto.engine.pods import unfinished_pods
from lazaretto.engine.recorded import attempted, check_identity, check_needs, recorded_template
from lazaretto.errors import Conflict, NotFound, TemplateRefused
from lazaretto.kube.api_server import Api, Object
from lazaretto.kube.request import Request, dry_run, json_patch
from lazaretto.kube.resource import DEPLOYMENTS
from lazaretto.kube.surface import uid_of
from lazaretto.workloads.deployment import DeploymentSurface, workload_of

MANAGER = "lazaretto-rollback"
_SURFACE = DeploymentSurface()


class RollingBack:
    """See the module's text."""

    def __init__(self, api: Api, journal: Journal) -> None:
        self._api = api
        self._journal = journal

    async def work(self, current: Pass, *, at_rest: bool) -> bool:
        """Write what the pass calls for; whether it is worth looking again at once.

        `at_rest`: nothing of what contains the model is left to be written. Raises `Conflict` if the journal changed.
        """
        restless = False
        for hold in standing(current.triage.holds):
            if hold.rollback is None:
                continue
            if undone(hold):
                text = f"somebody changed its template after it was rolled back to {hold.rollback.revision}"
                self._tell(current, hold.rollback, f"{text}; it is held again")
            elif hold.rollback.done_at is None and at_rest:
                restless = await self._tried(current, hold, hold.rollback) or restless
        return restless

    async def _tried(self, current: Pass, hold: Hold, rollback: Rollback) -> bool:
        where = f"rollback of {current.key[0]}/{rollback.workload.name}"
        attempt = self._rolled_back(current, hold, rollback)
        try:
            done, problem = await attempted(attempt, doing="it", role=ROLE, where=where)
        except NotFound:
            done, problem = False, "it does not exist any more"
        except Conflict:
            # Somebody was faster, its controller perhaps: look again.
            return True
        if not problem:
            return done
        self._tell(current, rollback, problem)
        return False

    def _tell(self, current: Pass, rollback: Rollback, problem: str) -> None:
        text = f"{rollback.workload.ref} is not rolled back to {rollback.revision}: {problem}"
        current.unmade.append(Problem(reasons.ROLLBACK_REFUSED, text))

    async def _rolled_back(self, current: Pass, hold: Hold, rollback: Rollback) -> bool:
        namespace, name = current.key[0], rollback.workload.name
        found = await self._api.get(DEPLOYMENTS, namespace=namespace, name=name)
        workload = workload_of(found)
        if is_as_rolled_back(workload, rollback):
            await self._record(current, hold, rollback)
            return True
        _check_free(current, hold, rollback, found=found, workload=workload)
        if not await self._is_down(found, workload, namespace=namespace):
            return False
        template = recorded_template(current, revision=rollback.revision, identity=rollback.identity)
        await check_needs(self._api, template, namespace=namespace)
        request = _write(found, template, namespace=namespace)
        check_identity(await self._api.patch(dry_run(request)), identity=rollback.identity)
        check_identity(await self._api.patch(request), identity=rollback.identity)
        await self._record(current, hold, rollback)
        return True

    async def _is_down(self, found: Object, workload: Workload, *, namespace: str) -> bool:
        """Whether its controller has stopped it, and no pod of it is left."""
        held = _SURFACE.prove(found).level == "L1" and not workload.replicas
        return held and not await unfinished_pods(self._api, workload, namespace=namespace)

    async def _record(self, current: Pass, hold: Hold, rollback: Rollback) -> None:
        """The journal learns that it is done."""
        journal = current.journal
        assert journal is not None  # noqa: S101  # a hold stands in one before anything is written
        done = hold.model_copy(update={"rollback": rollback.model_copy(update={"done_at": current.now})})
        holds = [done if h.incident_uid == hold.incident_uid else h for h in journal.spec.holds]
        spec = journal.spec.model_copy(update={"holds": holds})
        current.journal = await self._journal.write(spec, namespace=current.key[0], current=journal)


def rolled_back(evidence: Evidence, current: Pass, *, demand: Demand) -> Evidence:
    """What was read back, with what became of rollbacks; one that is late is a problem as well."""
    if not demand.rolled_back or demand.compromised:
        return evidence
    names = ", ".join(w.ref for w in demand.rolled_back)
    gone = Finding("True", reasons.PROVED, f"{names} was rolled back, and no pod of what it ran before is left")
    waiting = current.back.waiting if current.back is not None else ""
    back = Finding("True", reasons.PROVED, f"{names} serves again, as it did before the containment")
    if waiting:
        overdue = any(h.rollback and late(h.rollback, now=current.now) for h in standing(current.triage.holds))
        back = Finding(
            "False", reasons.SHIFT_FAILED if overdue else reasons.REACHING, f"{names} was rolled back; {waiting}"
        )
        current.outcome.problems += [Problem(reasons.SHIFT_FAILED, back.message)] if overdue else []
    return replace(evidence, level="L2", contained=gone, traffic=back)


def _check_free(current: Pass, hold: Hold, rollback: Rollback, *, found: Object, workload: Workload) -> None:
    """Raises `TemplateRefused` if the Deployment is not what was to be rolled back, or more hangs on it."""
    if uid_of(found) != rollback.workload.uid:
        raise TemplateRefused("it was deleted and made anew")
    if found["spec"].get("paused"):
        # Its controller would bring the pods of the former template back.
        raise TemplateRefused("it is paused; resume it, so that its controller acts on a new template")
    for other in standing(current.triage.holds):
        if other.incident_uid != hold.incident_uid and any(w.uid == workload.uid for w in other.condemned):
            raise TemplateRefused(f"{other.incident} holds it as well")
    bad = {r.spec.identity for r in current.known.revisions if r.metadata.name in hold.revisions}
    if bad and workload.identity not in bad:
        raise TemplateRefused("somebody changed its template since; release it if that is the repair")


def _write(found: Object, template: Mapping[str, Any], *, namespace: str) -> Request:
    metadata = found["metadata"]
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "replace", "path": "/spec/template", "value": dict(plain(template))},
    ]
    return json_patch(DEPLOYMENTS, patch, namespace=namespace, name=metadata["name"], manager=MANAGER)
