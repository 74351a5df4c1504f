"""Gets alerts into stored incidents.

`record` returns once the API server has stored, or has had before, every incident that the
alerts concern; what could not be stored is named in the outcome, and the rest is stored all
the same. The local copy decides first; the API server has the last word, because creates
collide by name and patches test the version that was read. Whoever loses reads again and
decides again, a bounded number of times. Any number of receivers may do this at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

from lazaretto.api.meta import LABEL_CATEGORY, LABEL_MODEL
from lazaretto.api.taxonomy import SEVERITIES
from lazaretto.domain.alert import Alert, severity_of
from lazaretto.domain.intake import Append, Create, Group, KnownEntry, KnownIncident, Write, decide
from lazaretto.domain.severity import assess
from lazaretto.errors import AlreadyExists, ApiError, Conflict, NotFound, Unavailable
from lazaretto.kube import request as requests
from lazaretto.kube.api_server import ApiServer, Object
from lazaretto.kube.mirror import Mirror
from lazaretto.kube.places import Places
from lazaretto.kube.resource import INCIDENTS

FIELD_MANAGER = "lazaretto-receiver"
_TRIES = 8
_AT_ONCE = 8
_PATIENCE = 1.0
"""Seconds that a group's place is kept while its writes are under way, see `Places`."""
_FEW = 8
_NAMES_LOGGED = 10
_ENDED = ("Released", "Closed")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcome:
    """What became of one request's alerts, as `namespace/name` of incidents and of groups that failed."""

    created: list[str] = field(default_factory=list)
    extended: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Turn:
    """What one request brought for one group, until it is stored or was not to be."""

    alerts: Sequence[Alert]
    outcome: Outcome
    settled: bool = False


def shown(names: Sequence[str]) -> str:
    """Names of an outcome for a line of the log, the first few of many."""
    first = ", ".join(names[:_NAMES_LOGGED]) or "none"
    return f"{first} and {len(names) - _NAMES_LOGGED} more" if len(names) > _NAMES_LOGGED else first


def read_incident(body: Mapping[str, Any]) -> KnownIncident:
    """What intake needs of a stored AIIncident."""
    metadata, spec = body["metadata"], body["spec"]
    status = body.get("status") or {}
    times = status.get("times") or {}
    ended = times.get("releasedAt") or times.get("closedAt")
    return KnownIncident(
        namespace=str(metadata["namespace"]),
        name=str(metadata["name"]),
        version=str(metadata["resourceVersion"]),
        model=str((spec.get("target") or {}).get("model") or ""),
        category=str(spec.get("category") or "Unknown"),
        open=not ended and status.get("state") not in _ENDED,
        ended_at=_moment(ended),
        drill=bool(spec.get("drill")),
        truncated=bool(spec.get("alertsTruncated")),
        entries=tuple(_entry(each) for each in spec.get("alerts") or ()),
    )


def incident_keys(incident: KnownIncident) -> Iterable[Hashable]:
    """Incidents are looked up by the model that they concern."""
    return ((incident.namespace, incident.model),)


class IncidentStore:
    """Writes incidents; see the module's text."""

    def __init__(
        self,
        api: ApiServer,
        *,
        incidents: Mirror[KnownIncident],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = api
        self._incidents = incidents
        self._now = now
        self._places = Places(_AT_ONCE, patience=_PATIENCE)
        self._deciding = asyncio.Lock()
        self._waiting: dict[tuple[Group, str], list[_Turn]] = {}
        # Requests of one process take turns per model, so that only another receiver can come in between.
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def record(self, groups: Mapping[Group, Sequence[Alert]], *, sender: str) -> Outcome:
        """Store all groups; see the module's text."""
        outcome = Outcome()
        await asyncio.gather(
            *(self._record(group, alerts=alerts, sender=sender, outcome=outcome) for group, alerts in groups.items())
        )
        return outcome

    async def _record(self, group: Group, *, alerts: Sequence[Alert], sender: str, outcome: Outcome) -> None:
        turn = self._turns.setdefault((group.namespace, group.model), asyncio.Lock())
        waiting = self._waiting.setdefault((group, sender), [])
        mine = _Turn(alerts, outcome)
        waiting.append(mine)
        try:
            async with turn, self._places.place(_priority_of(group, alerts)):
                if not mine.settled:
                    # Whoever waits by now comes along: their alerts take no write of their own.
                    along = [mine, *(each for each in waiting if each is not mine)]
                    waiting.clear()
                    await self._settle_all(group, along, sender=sender)
        finally:
            if mine in waiting:
                waiting.remove(mine)
            if not waiting and self._waiting.get((group, sender)) is waiting:
                del self._waiting[group, sender]

    async def _settle_all(self, group: Group, turns: Sequence[_Turn], *, sender: str) -> None:
        """Store what several requests brought for one group. Each that is not settled then sees to itself."""
        done = Outcome()
        try:
            await self._settle(group, alerts=[a for turn in turns for a in turn.alerts], sender=sender, outcome=done)
        except ApiError as error:
            if len(turns) > 1:
                # One may have brought what the API server does not take; the others are not to suffer for it.
                await self._settle_all(group, turns[:1], sender=sender)
                return
            _log.warning("incident of %s/%s (%s) not stored: %s", group.namespace, group.prefix, group.category, error)
            done.failed.append(f"{group.namespace}/{group.prefix}")
        for number, turn in enumerate(turns):
            turn.settled = True
            # An incident was created once, however many brought alerts for it.
            turn.outcome.created += done.created if number == 0 else []
            turn.outcome.extended += done.extended if number == 0 else [*done.created, *done.extended]
            turn.outcome.failed += done.failed

    async def _settle(self, group: Group, *, alerts: Sequence[Alert], sender: str, outcome: Outcome) -> None:
        above = 0
        for attempt in range(_TRIES):
            writes = await self._decide(group, alerts=alerts, sender=sender, above=above)
            try:
                for write in writes:
                    await self._write(write, group=group, outcome=outcome)
            except AlreadyExists:
                above = await self._look_again(group, writes=writes, above=above)
            except Conflict:
                await self._refresh(group, writes=writes)
            else:
                return
            await asyncio.sleep(0.002 * 2**attempt * random.random())  # noqa: S311  # jitter, not a secret
        raise Unavailable(0, f"other writers were faster {_TRIES} times in a row")

    async def _decide(self, group: Group, *, alerts: Sequence[Alert], sender: str, above: int) -> tuple[Write, ...]:
        if len(alerts) > _FEW:
            # Deciding about many takes milliseconds, and a storm concerns many models: others get the loop in between.
            async with self._deciding:
                await asyncio.sleep(0)
        known = self._incidents.find((group.namespace, group.model))
        return decide(alerts, group=group, incidents=known, sender=sender, now=self._now(), above=above)

    async def _write(self, write: Write, *, group: Group, outcome: Outcome) -> None:
        names = outcome.created if isinstance(write, Create) else outcome.extended
        if isinstance(write, Create):
            stored = await self._create(write, namespace=group.namespace)
        else:
            stored = await self._append(write, namespace=group.namespace)
        self._incidents.put(stored)
        names.append(f"{group.namespace}/{write.name}")

    async def _create(self, write: Create, *, namespace: str) -> Object:
        body = {
            "apiVersion": INCIDENTS.api_version,
            "kind": INCIDENTS.kind,
            "metadata": {"name": write.name, "namespace": namespace, "labels": dict(write.labels)},
            "spec": write.spec.dump(),
        }
        return await self._api.create(INCIDENTS, body, namespace=namespace, manager=FIELD_MANAGER)

    async def _append(self, write: Append, *, namespace: str) -> Object:
        patch = requests.json_patch(
            INCIDENTS, list(write.operations), namespace=namespace, name=write.name, manager=FIELD_MANAGER
        )
        try:
            return await self._api.patch(patch)
        except NotFound as error:
            self._incidents.forget(namespace=namespace, name=write.name)
            raise Conflict(error.status, "the incident is gone", request=error.request) from error

    async def _look_again(self, group: Group, *, writes: Sequence[Write], above: int) -> int:
        """Read the model's incidents; returns the number to stay above when the name is taken by a stranger."""
        labels = f"{LABEL_MODEL}={group.model}" if group.model else f"{LABEL_CATEGORY},!{LABEL_MODEL}"
        for item in await self._api.list(INCIDENTS, namespace=group.namespace, labels=labels):
            self._incidents.put(item)
        known = {incident.name for incident in self._incidents.find((group.namespace, group.model))}
        taken = [write.number for write in writes if isinstance(write, Create) and write.name not in known]
        return max([above, *taken])

    async def _refresh(self, group: Group, *, writes: Sequence[Write]) -> None:
        """Read the incidents that a patch did not fit."""
        for write in writes:
            if isinstance(write, Append):
                try:
                    self._incidents.put(await self._api.get(INCIDENTS, namespace=group.namespace, name=write.name))
                except NotFound:
                    self._incidents.forget(namespace=group.namespace, name=write.name)


def _priority_of(group: Group, alerts: Sequence[Alert]) -> int:
    """What is worst is stored first: 0 is SEV1."""
    hints = tuple(severity for alert in alerts if alert.firing and (severity := severity_of(alert)))
    return SEVERITIES.index(assess(category=group.category, hints=hints).severity)


def _entry(body: Mapping[str, Any]) -> KnownEntry:
    return KnownEntry(
        fingerprint=str(body["fingerprint"]),
        starts_at=datetime.fromisoformat(body["startsAt"]),
        last_starts_at=_moment(body.get("lastStartsAt")),
        resolved_at=_moment(body.get("resolvedAt")),
        firings=int(body.get("firings") or 1),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
