"""Makes the NetworkPolicies that cut compromised pods off, puts back what was deleted or altered, removes the rest.

Only what carries our labels is ever deleted, and only by its uid; something else of the same name is a problem.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from lazaretto.api import reasons
from lazaretto.domain.evidence import Problem
from lazaretto.domain.quarantine import Quarantine, is_ours
from lazaretto.domain.timeline import Fact
from lazaretto.engine.isolated import Isolated
from lazaretto.errors import AlreadyExists, ApiError, Conflict, Forbidden
from lazaretto.kube.api_server import Api, Object
from lazaretto.kube.resource import NETWORK_POLICIES
from lazaretto.kube.surface import name_of, uid_of

MANAGER = "lazaretto-isolation"


class Quarantining:
    """The NetworkPolicies of one model in one pass. What it does and meets goes into `result`."""

    def __init__(self, api: Api, *, namespace: str, model: str, result: Isolated) -> None:
        self._api = api
        self._namespace = namespace
        self._model = model
        self._result = result
        self.ours: dict[str, Object] = {}
        """By name, as they were read."""
        self.others: dict[str, Object] = {}

    async def read(self, *, cached: bool) -> bool:
        """Read all of the namespace; whether that is allowed."""
        try:
            found = await self._api.list(NETWORK_POLICIES, namespace=self._namespace, cached=cached)
        except Forbidden as error:
            self._result.refused("read networkpolicies", error)
            return False
        for policy in found:
            kind = self.ours if is_ours(policy, model=self._model) else self.others
            kind[name_of(policy)] = policy
        return True

    async def make(self, wanted: Sequence[Quarantine], *, settled: bool) -> list[str]:
        """See to it that they are there; returns the names of those that are. `settled`: they all were before."""
        made = await asyncio.gather(*(self._make(each, settled=settled) for each in wanted))
        return [each.name for each, is_there in zip(wanted, made, strict=True) if is_there]

    async def remove(self, wanted: Sequence[Quarantine]) -> None:
        """Delete those of ours that are not wanted; they count as left over until a later pass misses them."""
        names = {each.name for each in wanted}
        for name, policy in self.ours.items():
            if name not in names:
                self._result.leftovers.append(f"NetworkPolicy/{name}")
                await self._result.removing(f"delete NetworkPolicy/{name}", self._delete(policy))

    async def _make(self, wanted: Quarantine, *, settled: bool) -> bool:
        present = self.ours.get(wanted.name)
        if wanted.name in self.others:
            text = f"NetworkPolicy/{wanted.name} is there already and not ours: delete or rename it"
            self._result.problems.append(Problem(reasons.NAME_TAKEN, text))
            return False
        if present is not None and wanted.is_as_made(present):
            return True
        try:
            if present is not None:
                # Made anew rather than changed: it takes no right to change anybody's policy.
                await self._delete(present)
            body = wanted.body(model=self._model, namespace=self._namespace)
            made = await self._api.create(NETWORK_POLICIES, body, namespace=self._namespace, manager=MANAGER)
        except (AlreadyExists, Conflict):
            # The copy that we read was older than what is there: look again.
            self._result.stale = True
            return False
        except ApiError as error:
            self._result.refused(f"create NetworkPolicy/{wanted.name}", error)
            return False
        self._result.written += 1
        if settled:
            self._result.facts.append(_put_back(wanted.name, "altered" if present else "deleted", uid_of(made)))
        return True

    def _delete(self, policy: Object) -> Awaitable[None]:
        name = name_of(policy)
        return self._api.delete(NETWORK_POLICIES, namespace=self._namespace, name=name, uid=uid_of(policy))


def _put_back(name: str, what: str, uid: str) -> Fact:
    about = f"NetworkPolicy/{name}"
    text = f"{about} was {what} by somebody and made anew"
    return Fact(f"interference:{about}:{uid}", "Interference", text, object=about)
