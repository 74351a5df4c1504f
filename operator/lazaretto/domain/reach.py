"""How a known-good workload that does not serve yet comes to serve. Pure.

Two plans, and one way between them. Warm: it comes up beside the compromised one, which serves until it is ready.
Cut: the compromised one goes first, and frees what it occupies. A warm plan may become a cut; nothing that was cut
serves again before its release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lazaretto.api import reasons
from lazaretto.api.reach import MOST_REPLICAS, Phase, Reach, ReachRule
from lazaretto.api.taxonomy import Severity
from lazaretto.domain.durations import parse_duration
from lazaretto.domain.evidence import Finding
from lazaretto.domain.scene import Workload

_CUT_FIRST: dict[str, tuple[Severity, ...]] = {"Auto": ("SEV1", "SEV2"), "WarmThenShift": ("SEV1",)}
LONGEST_TEXT = 256


@dataclass(frozen=True, slots=True)
class Facts:
    """What one look has shown of a known-good workload that is brought up, and of what it stands in for."""

    now: datetime
    severity: Severity
    lost: str = ""
    """Why it may not take over any more."""
    ready: int = 0
    """Its pods that are ready, and that every Service before it leads to."""
    compromised_pods: int | None = None
    """Pods of the compromised workloads that are left, ending ones as well; None if that is not known."""
    moved: bool = False
    """Whether all ways in are seen to lead to it."""
    shortage: str = ""
    """What keeps its pods from being placed: capacity or quota."""
    trouble: str = ""
    """What else keeps them from being ready."""
    beside: str = ""
    """Why the compromised one may not serve on, whatever its own incident says."""


def begin(
    rule: ReachRule,
    *,
    good: Workload,
    bad: Sequence[Workload],
    severity: Severity,
    isolates: bool,
    stops: bool,
    now: datetime,
) -> Reach | None:
    """The plan for a new hold; None if nothing has to be brought up, or nothing may."""
    if good.serves or rule.plan == "RunningOnly":
        return None
    until = now + parse_duration(rule.deadline, field="spec.reach.deadline")
    needed = enough(bad, good=good)
    replicas = max(needed, min(good.replicas, MOST_REPLICAS))
    reach = Reach(
        asked=rule.plan,
        phase="Warming",
        identity=good.identity,
        replicas=replicas,
        needed=needed,
        since=now,
        until=until,
    )
    if rule.plan == "CutThenFree":
        return _cut(reach, "the policy cuts first", now=now, stops=stops)
    if severity in _CUT_FIRST[rule.plan]:
        return _cut(reach, f"{severity} is cut first", now=now, stops=stops)
    return _cut(reach, "what is isolated does not serve on", now=now, stops=stops) if isolates else reach


def enough(bad: Sequence[Workload], *, good: Workload) -> int:
    """As many replicas as what is compromised has, within what the autoscaler of the known-good one allows.

    One that is asked for less or more would move it at once.
    """
    wanted = max(1, sum(w.replicas for w in bad))
    if good.scaled is None:
        return min(wanted, MOST_REPLICAS)
    return max(1, min(max(wanted, good.scaled.least), good.scaled.most, MOST_REPLICAS))


def _cut(reach: Reach, because: str, *, now: datetime, stops: bool) -> Reach:
    """Over to the cut, with as much time once more."""
    phase, until = first_of_cut(stops=stops), now + (reach.until - reach.since)
    return reach.model_copy(
        update={"phase": phase, "cut_at": now, "cut_because": because[:LONGEST_TEXT], "until": until}
    )


def first_of_cut(*, stops: bool) -> Phase:
    """The phase in which a cut begins: what is not stopped frees nothing, and there is nothing to wait for."""
    return "Freeing" if stops else "Raising"


def advance(reach: Reach, facts: Facts, *, stops: bool) -> Reach:
    """How far it has come after a look; the same facts again change nothing more."""
    reach = reach if reach.lost == (lost := facts.lost[:LONGEST_TEXT]) else reach.model_copy(update={"lost": lost})
    if reach.phase == "Warming":
        if because := _why_cut(reach, facts):
            return _cut(reach, because, now=facts.now, stops=stops)
        return _to(reach, "Shifting") if facts.ready >= reach.needed else reach
    if reach.phase == "Freeing" and facts.compromised_pods == 0:
        return _to(reach, "Raising")
    if reach.phase == "Raising" and not reach.lost and facts.ready > 0:
        return _to(reach, "Shifting")
    return reach


def arrive(reach: Reach, *, moved: bool, now: datetime) -> Reach:
    """The same once its traffic was seen to be moved, or there is no more time to wait for a gateway's word."""
    if reach.phase != "Shifting" or not (moved or now >= reach.until):
        return reach
    return reach.model_copy(update={"phase": "Serving", "served_at": now})


def _why_cut(reach: Reach, facts: Facts) -> str:
    patient = reach.asked == "WarmThenShift"
    if reach.lost:
        return reach.lost
    if facts.beside:
        return facts.beside
    if facts.severity in _CUT_FIRST["WarmThenShift" if patient else "Auto"]:
        return f"{facts.severity} is cut first"
    if facts.shortage and not patient:
        return facts.shortage
    return "the warm-up was not ready in time" if facts.now >= reach.until and facts.ready < reach.needed else ""


def _to(reach: Reach, phase: str) -> Reach:
    return reach.model_copy(update={"phase": phase})


def stopped(reach: Reach) -> bool:
    """Whether the compromised workloads must not run."""
    return reach.cut_at is not None or reach.phase == "Serving"


def cut_off(reach: Reach) -> bool:
    """Whether no traffic goes to the compromised workloads."""
    return reach.phase != "Warming"


def may_serve(reach: Reach) -> bool:
    """Whether traffic goes to the known-good workload."""
    return reach.phase in ("Shifting", "Serving")


def raises(reach: Reach) -> bool:
    """Whether the known-good workload is kept up."""
    return reach.phase != "Freeing" and not reach.lost


def unfinished(reach: Reach | None) -> bool:
    """Whether there is still something to look at."""
    return reach is not None and reach.phase != "Serving"


def plan_of(reach: Reach) -> str:
    """The plan in force."""
    return "WarmThenShift" if reach.cut_at is None else "CutThenFree"


def late(reach: Reach, *, now: datetime) -> bool:
    """Whether a cut has not led to anything in its time, or cannot any more."""
    cut = reach.cut_at is not None and reach.phase in ("Freeing", "Raising")
    return cut and (bool(reach.lost) or now >= reach.until)


def finding(reach: Reach, facts: Facts, *, name: str) -> Finding:
    """How the shift stands, for the condition TrafficShifted."""
    failed = late(reach, now=facts.now)
    told = f"{plan_of(reach)}: {_stage(reach, facts, name=name)}"
    told += f"; cut because {reach.cut_because}" if reach.cut_because else ""
    for why in (reach.lost, facts.shortage, facts.trouble):
        told += f"; {why}" if why and why not in told else ""
    return Finding("False", reasons.SHIFT_FAILED if failed else reasons.REACHING, told[:1024])


def _stage(reach: Reach, facts: Facts, *, name: str) -> str:
    if reach.phase == "Freeing":
        left = "some" if facts.compromised_pods is None else facts.compromised_pods
        return f"{left} compromised pods are still ending; {name} is scaled up to {reach.replicas} when they are gone"
    if reach.phase == "Shifting":
        return f"{name} is ready, and traffic is being moved to it"
    needed = reach.needed if reach.cut_at is None else 1
    return f"{name} is scaled up to {reach.replicas}; {facts.ready} of {needed} needed replicas are ready"
