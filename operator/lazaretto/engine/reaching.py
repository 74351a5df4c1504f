"""Follows known-good workloads that are brought up: reads what only they need, and moves their holds on.

Nothing is read while every known-good workload was ready from the first. What cannot be read counts as not ready;
a warm-up that stays blind becomes a cut at its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from lazaretto.api import reasons
from lazaretto.api.containment import Containment, Hold
from lazaretto.api.taxonomy import Severity
from lazaretto.domain import chronicle
from lazaretto.domain.demands import standing
from lazaretto.domain.digests import Content, content_of
from lazaretto.domain.evidence import Evidence, Finding, Problem
from lazaretto.domain.identity import image_digest
from lazaretto.domain.pod import is_ending, is_ready
from lazaretto.domain.reach import Facts, advance, arrive, finding, late, stopped, unfinished
from lazaretto.domain.scene import Demand, Workload
from lazaretto.domain.startup import altered, startup_of
from lazaretto.engine.current_pass import Pass
from lazaretto.engine.pods import unfinished_pods
from lazaretto.engine.release import Comeback, comeback
from lazaretto.errors import ApiError
from lazaretto.kube.api_server import Api, Object
from lazaretto.kube.resource import ENDPOINT_SLICES, EVENTS
from lazaretto.kube.surface import THEN_STAND_INS, THEN_TRAFFIC, WORKLOADS_FIRST, uid_of
from lazaretto.traffic.endpoints import endpoints_of, pod_behind
from lazaretto.traffic.registry import SERVICE
from lazaretto.traffic.service import service_facts
from lazaretto.workloads.registry import WORKLOADS

BUSY = timedelta(minutes=1)
_UNKNOWN: Severity = "SEV5"
"""Of an incident that is gone, or was not read yet after a restart: it changes nothing of a plan that stands."""


@dataclass(frozen=True, slots=True)
class _Sight:
    """What was read for one hold."""

    good: Sequence[Object] = ()
    """Pods of the known-good workload."""
    left: int | None = None
    slices: Sequence[Object] = ()
    events: Sequence[Object] = ()
    unread: str = ""


async def look(api: Api, current: Pass) -> None:
    """Move on each hold that brings something up, once it is in the journal. Raises nothing but what cancels it."""
    journalled = {h.incident_uid for h in current.known.holds}
    due = [h for h in reached(current) if h.incident_uid in journalled]
    facts = await asyncio.gather(*(_facts(api, current, hold) for hold in due))
    current.reached = {h.incident_uid: f for h, f in zip(due, facts, strict=True)}
    for hold, found in zip(due, facts, strict=True):
        assert hold.reach is not None  # noqa: S101  # of what is due
        _put(current, hold, advance(hold.reach, found, stops=hold.scale_to_zero))


def reached(current: Pass) -> list[Hold]:
    """Standing holds whose known-good workload does not serve yet."""
    return [h for h in standing(current.triage.holds) if unfinished(h.reach)]


def arrived(current: Pass) -> bool:
    """Whether traffic was just seen to be moved, so that the pass has to be planned anew."""
    before = {h.incident_uid: h.reach for h in current.known.holds}
    ways = [p for p in current.plans if p.stage == THEN_TRAFFIC and p.wanted]
    moved = not any(p.unmet or not _accepted(p.surface.prove(p.obj).level, p.obj) for p in ways)
    changed = False
    for hold in reached(current):
        old = before.get(hold.incident_uid)
        if hold.reach is None or old is None or old.phase != "Shifting":
            continue
        fresh = arrive(hold.reach, moved=moved, now=current.now)
        changed = changed or fresh != hold.reach
        _put(current, hold, fresh)
    return changed


def told(evidence: Evidence, current: Pass, *, demand: Demand) -> Evidence:
    """What was read back, with what is still to come; a shift that failed is a problem as well."""
    for hold in reached(current):
        facts = current.reached.get(hold.incident_uid) or Facts(current.now, _severity(current, hold))
        assert hold.reach is not None  # noqa: S101  # of what is reached
        found = finding(hold.reach, facts, name=_name(hold))
        evidence = replace(evidence, traffic=found)
        if late(hold.reach, now=current.now):
            current.outcome.problems.append(Problem(reasons.SHIFT_FAILED, found.message))
        if demand.tolerated:
            names = ", ".join(w.ref for w in demand.tolerated)
            text = f"{names} serves on until {_name(hold)} is ready"
            evidence = replace(evidence, contained=Finding("False", reasons.CONTAINING, text))
    return evidence


def busy(current: Pass) -> bool:
    """Whether it is worth to look each second: the known-good workload is watched, its pods are not."""
    return any(current.now - h.reach.since < BUSY for h in reached(current) if h.reach)


async def coming_back(api: Api, current: Pass, containment: Containment) -> Comeback:
    """The next step of a release; see `release.comeback`."""
    yielding = await _cramped(api, current)
    current.facts += chronicle.yielding(yielding)
    return comeback(current.plans, live=current.live, containment=containment, yielding=bool(yielding))


async def _cramped(api: Api, current: Pass) -> str:
    """What a released workload waits for that a stand-in occupies; empty if nothing shows that."""
    idle = [p for p in current.plans if p.stage == THEN_STAND_INS and not p.wanted and p.restore.changes]
    waiting = [p for p in current.plans if p.stage == WORKLOADS_FIRST and not p.wanted and not p.restore.changes]
    workloads = {w.uid: w for w in current.live.workloads}
    for plan in waiting if idle else ():
        if plan.uid in workloads and plan.surface.settled(plan.obj):
            try:
                pods = await unfinished_pods(api, workloads[plan.uid], namespace=current.known.namespace)
            except ApiError:
                continue
            if shortage := startup_of(plan.obj, pods=pods).shortage:
                return f"{', '.join(p.ref for p in idle)} goes first, as {plan.ref} waits for room: {shortage}"
    return ""


def _put(current: Pass, hold: Hold, reach: object) -> None:
    if reach != hold.reach:
        fresh = hold.model_copy(update={"reach": reach})
        holds = tuple(fresh if h.incident_uid == hold.incident_uid else h for h in current.triage.holds)
        current.triage = replace(current.triage, holds=holds)


def _accepted(level: str, route: object) -> bool:
    """Whether no gateway is known to be still at it; one that says nothing is not waited for."""
    reported = isinstance(route, dict) and (route.get("status") or {}).get("parents")
    return level == "L1" or not reported


async def _facts(api: Api, current: Pass, hold: Hold) -> Facts:
    if hold.known_good is None:
        return Facts(current.now, _severity(current, hold), beside=_beside(current, hold), trouble="not there yet")
    good = next((w for w in current.live.workloads if w.uid == hold.known_good.workload.uid), None)
    facts = Facts(current.now, _severity(current, hold), beside=_beside(current, hold), lost=_lost(current, hold, good))
    if good is None:
        return facts
    sight = await _sight(api, current, hold, good)
    obj = next(o for surface, _ in WORKLOADS for o in current.live.objects.get(surface, ()) if uid_of(o) == good.uid)
    startup = startup_of(obj, pods=sight.good, events=sight.events)
    made = [p for p in sight.good if not is_ending(p)]
    lost = facts.lost or altered(obj["spec"]["template"], made) or _content(current, hold, good, made)
    return replace(
        facts,
        lost=lost,
        ready=_ready(current, good, sight),
        compromised_pods=sight.left,
        shortage=startup.shortage,
        trouble=startup.trouble or sight.unread,
    )


async def _sight(api: Api, current: Pass, hold: Hold, good: Workload) -> _Sight:
    namespace = current.known.namespace
    names = {w.uid for w in hold.compromised} | {w.ref for w in hold.compromised}
    bad = [w for w in current.live.workloads if w.uid in names or w.ref in names]
    overdue = hold.reach is not None and late(hold.reach, now=current.now)
    try:
        pods, slices, events, *left = await asyncio.gather(
            unfinished_pods(api, good, namespace=namespace),
            api.list(ENDPOINT_SLICES, namespace=namespace),
            # What only Events tell is not worth a list each second.
            api.list(EVENTS, namespace=namespace) if overdue else _nothing(),
            *(unfinished_pods(api, w, namespace=namespace) for w in bad),
        )
    except ApiError as error:
        return _Sight(unread=f"could not be looked at: {error.message[:200]}")
    return _Sight(pods, sum(map(len, left)), slices, events)


async def _nothing() -> list[Object]:
    return []


def _ready(current: Pass, good: Workload, sight: _Sight) -> int:
    """Ready pods that every Service which selects them leads to by now."""
    pods = {p["metadata"]["uid"] for p in sight.good if is_ready(p)}
    services = [service_facts(obj) for obj in current.live.objects.get(SERVICE, ())]
    behind = [len(pods & _endpoints(sight.slices, s.name)) for s in services if s.selects(good)]
    return min([len(pods), *behind])


def _endpoints(slices: Sequence[Object], service: str) -> set[str]:
    """Uids of the ready pods behind a Service."""
    return {
        pod_behind(endpoint)
        for name, endpoint in endpoints_of(slices)
        if name == service and (endpoint.get("conditions") or {}).get("ready", True)
    }


def _severity(current: Pass, hold: Hold) -> Severity:
    verdict = current.triage.verdicts.get(hold.incident_uid)
    return verdict.assessment.severity if verdict is not None else _UNKNOWN


def _beside(current: Pass, hold: Hold) -> str:
    """Another hold, under which the compromised one may not serve on."""
    uid = hold.known_good.workload.uid if hold.known_good else ""
    for other in standing(current.triage.holds):
        if other.incident_uid == hold.incident_uid:
            continue
        warm = other.reach is not None and not stopped(other.reach)
        if not (warm and other.known_good and other.known_good.workload.uid == uid):
            return f"{other.incident} holds the model as well"
    return ""


def _lost(current: Pass, hold: Hold, good: Workload | None) -> str:
    """Why the known-good workload may not take over any more, as far as objects tell."""
    assert hold.known_good is not None and hold.reach is not None  # noqa: S101, PT018  # of what is reached
    name, revision = hold.known_good.workload.ref, hold.known_good.revision
    if good is None:
        return f"{name} does not exist any more" if current.live.all_workloads_seen else f"{name} cannot be read"
    if good.identity != hold.reach.identity:
        return f"the template of {name} was changed since it was chosen"
    for other in standing(current.triage.holds):
        if other.incident_uid != hold.incident_uid and any(w.uid == good.uid for w in other.compromised):
            return f"{name} is compromised by {other.incident}"
    for incident in current.known.open_incidents:
        target = incident.spec.target
        if incident.metadata.uid != hold.incident_uid and target and target.revision in (revision, good.name):
            return f"{name} is named by {incident.metadata.name}"
    return ""


def _content(current: Pass, hold: Hold, good: Workload, pods: Sequence[Object]) -> str:
    """What the pods that were started tell of their images: a tag may have moved, or be another name of the bad one."""
    ran = _images(pods)
    recorded = [d for r in current.known.revisions if r.spec.identity == good.identity for d in r.status.digests]
    for each in recorded:
        if ran.get(each.container, each.digest) != each.digest:
            return f"the tag of container {each.container} stands for another image than when it was found good"
    content: Content = (good.frame, frozenset({**dict(good.pinned), **ran}.items()))
    uids = {w.uid for w in hold.compromised}
    bad = [w for w in current.live.workloads if w.uid in uids]
    same = next((w for w in bad if content_of(w, revisions=current.known.revisions) == content), None)
    return f"{good.ref} loads the same as {same.ref}, under another name" if same is not None else ""


def _images(pods: Sequence[Object]) -> Mapping[str, str]:
    """Digest that each container runs, of containers that have started."""
    found: dict[str, str] = {}
    for pod in pods:
        for each in (pod.get("status") or {}).get("containerStatuses") or ():
            if digest := image_digest(str(each.get("imageID") or "")):
                found[str(each.get("name"))] = digest
    return found


def _name(hold: Hold) -> str:
    return hold.known_good.workload.ref if hold.known_good else "the known-good workload"
