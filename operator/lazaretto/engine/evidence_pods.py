"""Keeps some of the compromised pods from being stopped, and lets go of them at the release.

A pod is set apart by one guarded write, after the journal names it: from then on the API server lets nobody into it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from lazaretto.api.containment import EvidencePod, Hold
from lazaretto.api.meta import LABEL_QUARANTINE
from lazaretto.domain.demands import standing
from lazaretto.domain.evidence_pods import choose, set_apart
from lazaretto.domain.pod import is_ending, is_ready
from lazaretto.engine.isolated import Isolated
from lazaretto.errors import ApiError, Conflict, Forbidden, Invalid, NotFound
from lazaretto.kube.api_server import Api, Object
from lazaretto.kube.request import json_patch, label_selector
from lazaretto.kube.resource import PODS
from lazaretto.kube.surface import name_of, uid_of

MANAGER = "lazaretto-isolation"

Chosen = Mapping[str, Sequence[EvidencePod]]
"""Pods to be set apart, by the uid of the incident whose hold keeps them."""


class EvidencePods:
    """The evidence pods of one model in one pass. What it does and meets goes into `result`."""

    def __init__(self, api: Api, *, namespace: str, model: str, result: Isolated) -> None:
        self._api = api
        self._namespace = namespace
        self._model = model
        self._result = result
        self._candidates: dict[str, Object] = {}
        """Pods of workloads that are about to be scaled to zero, by uid."""
        self.marked: dict[str, Object] = {}
        """Pods that were set apart before, by uid."""

    async def read(self, holds: Sequence[Hold], *, scaling: Sequence[Hold], cached: bool) -> None:
        """Read what was set apart, and the pods of workloads that `scaling` holds are about to stop."""
        if any(hold.evidence_pods for hold in holds):
            self.marked = await self._pods({LABEL_QUARANTINE: self._model}, cached=cached)
        for hold in scaling:
            for workload in hold.condemned:
                self._candidates |= await self._pods(workload.selector, cached=True) if workload.selector else {}

    def chosen(self, holds: Sequence[Hold], *, scaling: Sequence[Hold]) -> Chosen:
        """Pods to be set apart now: what the journal names already, or else the first ready ones."""
        taken = {pod.uid for hold in holds for pod in hold.evidence_pods}
        found: dict[str, list[EvidencePod]] = {}
        for hold in scaling:
            pods = [pod for pod in hold.evidence_pods if pod.uid in self._candidates]
            if not hold.evidence_pods:
                mine = [w.selector.items() for w in hold.condemned if w.selector]
                free = [p for uid, p in self._candidates.items() if uid not in taken and _carries(p, mine)]
                pods = choose(free, most=hold.keep_pods)
            taken |= {pod.uid for pod in pods}
            found[hold.incident_uid] = pods
        return found

    async def set_apart(self, chosen: Chosen) -> set[str]:
        """Take these pods out of everybody's hands; returns the uids of those that are."""
        pods = [self._candidates[pod.uid] for found in chosen.values() for pod in found]
        return set(filter(None, await asyncio.gather(*(self._set_apart(pod) for pod in pods if is_ready(pod)))))

    def dismissed(self, holds: Sequence[Hold]) -> list[Object]:
        """Pods that were evidence of what is being released, as long as they are there."""
        uids = {pod.uid for hold in holds if hold.releasing for pod in hold.evidence_pods}
        uids -= {pod.uid for hold in standing(holds) for pod in hold.evidence_pods}
        return [pod for uid, pod in self.marked.items() if uid in uids]

    async def dismiss(self, holds: Sequence[Hold]) -> None:
        """Delete those; they count as left over until they are gone."""
        for pod in self.dismissed(holds):
            name = name_of(pod)
            self._result.leftovers.append(f"Pod/{name}")
            if not is_ending(pod):
                deleting = self._api.delete(PODS, namespace=self._namespace, name=name, uid=uid_of(pod))
                await self._result.removing(f"delete Pod/{name}", deleting)

    async def _pods(self, labels: Mapping[str, str], *, cached: bool) -> dict[str, Object]:
        selector = label_selector(labels)
        try:
            pods = await self._api.list(PODS, namespace=self._namespace, labels=selector, cached=cached)
        except Forbidden as error:
            self._result.refused("read pods", error)
            return {}
        return {uid_of(pod): pod for pod in pods}

    async def _set_apart(self, pod: Object) -> str:
        patch = set_apart(pod, model=self._model)
        request = json_patch(PODS, patch, namespace=self._namespace, name=name_of(pod), manager=MANAGER)
        try:
            await self._api.patch(request)
        except (Conflict, NotFound, Invalid):
            # It has changed, or is ending: what became of it shows in the next list.
            return ""
        except ApiError as error:
            self._result.refused(f"keep Pod/{name_of(pod)}", error)
            return ""
        self._result.written += 1
        return uid_of(pod)


def _carries(pod: Object, selectors: Sequence[object]) -> bool:
    labels = (pod["metadata"].get("labels") or {}).items()
    return any(each <= labels for each in selectors)  # type: ignore[operator]  # views of labels
