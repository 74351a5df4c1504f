"""Cuts compromised pods off from the network, and keeps some of them as evidence, beside the containment.

What is to be made is in the journal before it is made, so a process that dies leaves nothing that the next one does not
know. Everything runs together with the containment's own writes; scaling to zero alone waits, until the pods that are
to be kept were set apart, and no longer than `PATIENCE`. Nothing that fails here keeps a model from being contained.

No pod is set apart after that. A ReplicaSet controller that is told to stop all of its pods waits for the end of each,
and does not see the end of one that was taken from it meanwhile: it would make no pods again after the release, for
five minutes and longer (ExpectationsTimeout of kubernetes/pkg/controller).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Self

from lazaretto.api import reasons
from lazaretto.api.containment import MOST_QUARANTINES, Hold
from lazaretto.domain.conditions import find
from lazaretto.domain.demands import standing
from lazaretto.domain.evidence import Finding, Problem
from lazaretto.domain.quarantine import (
    Quarantine,
    allowing,
    finding,
    kept_text,
    labels_at_stake,
    not_told_apart,
    quarantines,
)
from lazaretto.engine.current_pass import Pass
from lazaretto.engine.evidence_pods import Chosen, EvidencePods
from lazaretto.engine.isolated import Isolated
from lazaretto.engine.journal import Journal
from lazaretto.engine.quarantine import Quarantining
from lazaretto.errors import ApiError, Conflict
from lazaretto.kube.api_server import Api
from lazaretto.kube.surface import WORKLOADS_FIRST

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that scaling to zero waits for pods to be set apart: two writes and a list, with room for a busy server."""
LONGEST = 3.0
"""Seconds after which a pass goes on without."""


class Round:
    """The isolation of one model in one pass; it runs from the moment it is made to the end of its `with`."""

    def __init__(self, api: Api, journal: Journal, current: Pass) -> None:
        assert current.journal is not None  # noqa: S101  # made once the journal is stored
        self._journal = journal
        self._current = current
        self._namespace, self._model = current.key
        self._containment = current.journal
        self._scaling = self._about_to_be_scaled()
        self._result = Isolated()
        self._policies = Quarantining(api, namespace=self._namespace, model=self._model, result=self._result)
        self._pods = EvidencePods(api, namespace=self._namespace, model=self._model, result=self._result)
        self._kept = asyncio.Event()
        self._late = False
        self._task = asyncio.create_task(self._run()) if self._is_concerned() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()

    async def kept(self) -> None:
        """Until pods were set apart, or patience is at its end. Never raises."""
        if self._task is not None and self._scaling:
            waiting = asyncio.create_task(self._kept.wait())
            await asyncio.wait({waiting, self._task}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            self._late = not self._kept.is_set()

    async def done(self) -> Isolated:
        """What came of it. Never raises but when cancelled."""
        if self._task is not None:
            await self._task
        return self._result

    @property
    def _holds(self) -> Sequence[Hold]:
        return self._containment.spec.holds

    def _is_concerned(self) -> bool:
        asked = any(hold.isolate or hold.keep_pods for hold in standing(self._holds))
        return asked or bool(self._containment.spec.quarantine or any(hold.evidence_pods for hold in self._holds))

    def _about_to_be_scaled(self) -> list[Hold]:
        """Standing holds that want to keep pods of workloads that this pass scales down."""
        plans = self._current.plans
        written = {plan.name for plan in plans if plan.changes and plan.stage == WORKLOADS_FIRST}
        return [
            hold
            for hold in standing(self._holds)
            if hold.keep_pods and any((w.kind, w.name) in written for w in hold.condemned if w.selector)
        ]

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                await self._work()
        except TimeoutError:
            self._result.problems.append(Problem(reasons.NOT_WRITTEN, f"isolation took longer than {LONGEST:g} s"))
        except Conflict:
            self._result.stale = True
        except ApiError as error:
            self._result.refused("isolate the model's pods", error)
        except Exception:
            # A defect here must not keep the containment from being read back.
            log.exception("isolation of %s/%s failed", self._namespace, self._model)
            self._result.problems.append(Problem(reasons.NOT_WRITTEN, "isolation failed, see the operator's log"))

    async def _work(self) -> None:
        self._result.problems += not_told_apart(self._holds)
        # What has to be gone in the end must not be missed because a cache has not heard of it yet.
        cached = not any(hold.releasing for hold in self._holds)
        readable, _ = await asyncio.gather(
            self._policies.read(cached=cached), self._pods.read(self._holds, scaling=self._scaling, cached=cached)
        )
        if not readable:
            # Nothing is kept that cannot be cut off.
            self._result.leftovers += [f"NetworkPolicy/{name}" for name in self._containment.spec.quarantine]
            self._result.finding = self._found((), made=())
            return
        wanted = quarantines(self._holds, model=self._model, evidence=bool(self._pods.dismissed(self._holds)))
        wanted = wanted[:MOST_QUARANTINES]
        settled = find(self._containment.status.conditions, reasons.ISOLATED) is not None
        chosen = self._pods.chosen(self._holds, scaling=[] if self._late else self._scaling)
        await self._record(wanted, chosen)
        made, apart, _, _ = await asyncio.gather(
            self._policies.make(wanted, settled=settled),
            self._set_apart(chosen),
            self._policies.remove(wanted),
            self._pods.dismiss(self._holds),
        )
        self._result.watched = wanted
        self._result.kept_uids = frozenset(apart | self._pods.marked.keys())
        self._result.kept = kept_text(self._holds, there=self._result.kept_uids)
        self._result.finding = self._found(wanted, made=made)

    async def _record(self, wanted: Sequence[Quarantine], chosen: Chosen) -> None:
        """Put into the journal what is about to be made, and take out what is gone and wanted no more."""
        if not standing(self._holds):
            # The journal goes with what it knows.
            return
        spec = self._containment.spec
        names = {each.name for each in wanted} | (set(spec.quarantine) & self._policies.ours.keys())
        holds = [
            hold.model_copy(update={"evidence_pods": list(chosen[hold.incident_uid])})
            if not hold.evidence_pods and chosen.get(hold.incident_uid)
            else hold
            for hold in spec.holds
        ]
        changed = spec.model_copy(update={"quarantine": sorted(names), "holds": holds})
        stored = await self._journal.write(changed, namespace=self._namespace, current=self._containment)
        self._current.journal = self._containment = stored

    async def _set_apart(self, chosen: Chosen) -> set[str]:
        try:
            return set() if self._late else await self._pods.set_apart(chosen)
        finally:
            self._kept.set()

    def _found(self, wanted: Sequence[Quarantine], *, made: Sequence[str]) -> Finding | None:
        if not any(hold.isolate or hold.keep_pods for hold in standing(self._holds)):
            return None
        stake = labels_at_stake(self._holds, model=self._model)
        allowed_by = allowing(self._policies.others.values(), labels=stake)
        return finding(wanted, made=made, problems=self._result.problems, allowed_by=allowed_by)
