"""Sends planned writes in parallel and tells what became of each.

A write is for the object as it was read, and for no other state of it. One that was sent and arrives late - its process
was suspended, another one has contained and released meanwhile - finds another resource version and does nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from lazaretto.api import reasons
from lazaretto.domain.evidence import Problem
from lazaretto.domain.fields import Change
from lazaretto.engine.plan import ObjectPlan
from lazaretto.errors import ApiError, Conflict, Forbidden, Invalid, NotFound
from lazaretto.kube.api_server import Api
from lazaretto.kube.request import at_version
from lazaretto.kube.surface import WORKLOADS_FIRST, Surface, metadata, name_of, namespace_of, uid_of

MOST_QUOTED = 256
TRIES = 3
"""Times that a write may meet a newer version of an object in which nothing has changed that it is about."""


@dataclass(slots=True)
class Outcome:
    """What a round of writes came to."""

    written: int = 0
    stale: int = 0
    """Writes that met a changed object: gather and plan again."""
    problems: list[Problem] = field(default_factory=list)
    refused: dict[str, Problem] = field(default_factory=dict)
    """Those of the problems that will be met again unless something changes, by uid of the object."""


async def apply(
    api: Api,
    writes: Sequence[tuple[ObjectPlan, Sequence[Change]]],
    *,
    before_workloads: Callable[[], Awaitable[None]] | None = None,
) -> Outcome:
    """Make the changes, all objects at once. One that fails does not keep the others from being written.

    Workloads wait for `before_workloads`, which must be short and not raise.
    """
    outcome = Outcome()

    async def write(plan: ObjectPlan, changes: Sequence[Change]) -> None:
        if before_workloads is not None and plan.stage == WORKLOADS_FIRST:
            await before_workloads()
        await _write(api, plan, changes, outcome)

    await asyncio.gather(*(write(plan, changes) for plan, changes in writes))
    return outcome


async def _write(api: Api, plan: ObjectPlan, changes: Sequence[Change], outcome: Outcome) -> None:
    try:
        await _send(api, plan, changes)
    except (Conflict, NotFound):
        outcome.stale += 1
    except Forbidden as error:
        _refused(outcome, plan, Problem(reasons.FORBIDDEN, f"may not write {plan.ref}: {error.message}"))
    except ApiError as error:
        # A refusal may quote the whole object, whose later part can hold what nobody should read in a status.
        problem = Problem(reasons.NOT_WRITTEN, f"{plan.ref} not written: {error.message[:MOST_QUOTED]}")
        if isinstance(error, Invalid):
            _refused(outcome, plan, problem)
        else:
            outcome.problems.append(problem)
    else:
        outcome.written += 1


async def _send(api: Api, plan: ObjectPlan, changes: Sequence[Change]) -> None:
    """Raises what the last try raised. A status that is written all the time does not keep a model from being held."""
    surface: Surface = plan.surface
    obj = plan.obj
    for _ in range(TRIES):
        request = surface.write(obj, changes)
        pinned = at_version(request, str(metadata(obj).get("resourceVersion", "")))
        try:
            await api.patch(pinned)
        except Conflict:
            if pinned is request:
                raise
            obj = await api.get(surface.resource, namespace=namespace_of(obj), name=name_of(obj))
            if uid_of(obj) != plan.uid or surface.read(obj) != surface.read(plan.obj):
                raise
        else:
            return
    await api.patch(surface.write(obj, changes))


def _refused(outcome: Outcome, plan: ObjectPlan, problem: Problem) -> None:
    outcome.refused[plan.uid] = problem
    outcome.problems.append(problem)
