"""Whether admission would refuse to undo a containment: asked by dry runs, which must be refused.

Nothing else proves it. A policy may be missing, altered, not yet in effect, or not reach this
namespace. The operator is exempt from the fence, but not for dry runs. What it could not undo itself
is held by policies that can only be read (`engine/admission.py`). What the fence does not guard, such
as autoscalers, is not asked about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum

from lazaretto.api import reasons
from lazaretto.api.meta import Condition
from lazaretto.domain.conditions import find, is_true
from lazaretto.domain.evidence import Finding, Problem
from lazaretto.domain.fields import Change, read_journal
from lazaretto.engine.plan import ObjectPlan
from lazaretto.errors import Conflict, Forbidden, Invalid, NotFound
from lazaretto.kube.annotation import is_annotation
from lazaretto.kube.api_server import Api
from lazaretto.kube.request import dry_run
from lazaretto.kube.surface import THEN_STAND_INS

_WORST_FIRST = ("False", "Unknown", "True")


class _Answer(Enum):
    REFUSED = "refused by the fence"
    PASSED = "not refused"
    UNKNOWN = "not known"


async def prove_fence(api: Api, plans: Sequence[ObjectPlan], *, policies: Finding) -> Finding:
    """Try to undo what is held, object by object; the worst answer counts, that of the policies as well.

    Raises `Unavailable` when there was no answer.
    """
    tried = await _try(api, plans)
    return min(tried, policies, key=lambda found: _WORST_FIRST.index(found.status))


async def _try(api: Api, plans: Sequence[ObjectPlan]) -> Finding:
    held = [p for p in plans if p.surface.fence and not p.unmet and p.stage != THEN_STAND_INS]
    asked = [(p, back) for p in held if (back := _undoing(p))]
    answers = await asyncio.gather(*(_ask(api, plan, back) for plan, back in asked))
    by_answer = {a: [p for (p, _), given in zip(asked, answers, strict=True) if given is a] for a in _Answer}
    if passed := by_answer[_Answer.PASSED]:
        policies = ", ".join(sorted({p.surface.fence for p in passed}))
        text = f"not refused: to undo {_refs(passed)}; {policies} is missing, altered, or leaves this namespace out"
        return Finding("False", reasons.NOT_FENCED, text)
    if unknown := by_answer[_Answer.UNKNOWN]:
        return Finding("Unknown", reasons.NOT_PROVED, f"not known whether it is refused to undo {_refs(unknown)}")
    if not asked:
        return Finding("Unknown", reasons.NOT_REQUESTED, "nothing is held that could be undone")
    return Finding("True", reasons.PROVED, f"the API server refuses to undo {_refs(by_answer[_Answer.REFUSED])}")


def fence_lost(found: Finding, *, before: Sequence[Condition]) -> list[Problem]:
    """A problem, if the fence stood before; one that was never there is a condition and no fault."""
    degraded = find(before, reasons.DEGRADED)
    known = degraded is not None and degraded.reason == reasons.NOT_FENCED
    if found.status != "False" or not (is_true(before, reasons.FENCED) or known):
        return []
    return [Problem(reasons.NOT_FENCED, found.message)]


def _refs(plans: Sequence[ObjectPlan]) -> str:
    return ", ".join(p.ref for p in plans)


def _undoing(plan: ObjectPlan) -> list[Change]:
    journal = read_journal(plan.entry)
    held = [(path, journal.held[path], journal.base[path]) for path in plan.wanted]
    return [Change(path, now, base) for path, now, base in held if now != base and not is_annotation(path)]


async def _ask(api: Api, plan: ObjectPlan, back: Sequence[Change]) -> _Answer:
    try:
        await api.patch(dry_run(plan.surface.write(plan.obj, back)))
    except Forbidden as error:
        named = f"ValidatingAdmissionPolicy '{plan.surface.fence}'" in error.message
        return _Answer.REFUSED if named else _Answer.UNKNOWN
    except (Conflict, NotFound, Invalid):
        return _Answer.UNKNOWN
    return _Answer.PASSED
