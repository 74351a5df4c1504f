"""Which facts go into an incident's timeline.

Facts are derived from levels, so a pass that crashed before it could write them is made up
for by the next one. Those that stand at the beginning are offered only until containment was
proved: after that they are either recorded or have been pushed out by newer ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from lazaretto.api import reasons
from lazaretto.api.aiincident import AIIncident, AIIncidentStatus
from lazaretto.api.containment import Hold, JournalTarget
from lazaretto.api.incidentdecision import IncidentDecision
from lazaretto.api.reach import Reach
from lazaretto.domain.conditions import find, is_true
from lazaretto.domain.contest import Fight, Move
from lazaretto.domain.fields import ABSENT, Change, Restoration, read_journal, show
from lazaretto.domain.incident_report import Progress
from lazaretto.domain.response import Step, Verdict
from lazaretto.domain.timeline import Fact

MOST_FIELDS_TOLD = 3
"""Fields of one object moved together that get entries of their own: a route may have dozens."""
JOURNALLED = "journalled"
"""Key of the first entry about a containment."""


def opening(incident: AIIncident, verdict: Verdict) -> Iterator[Fact]:
    """Detected, stored, decided."""
    spec = incident.spec
    if incident.status.timeline_count == 0:
        first = min(spec.alerts, key=lambda a: a.starts_at, default=None)
        if first is not None:
            yield Fact("detected", "Detected", f"alert {first.name} fired", at=first.starts_at)
            received = first.received_at
        else:
            received = incident.metadata.creation_timestamp  # type: ignore[assignment]  # set on stored objects
        yield Fact("stored", "Stored", f"stored from {spec.source.type} {spec.source.sender}".rstrip(), at=received)
    if _decided(verdict) != _decided_before(incident.status):
        mode = f"mode {verdict.mode}" if verdict.mode else "no policy"
        severity = verdict.assessment.severity
        assumed = f"; assumed {', '.join(verdict.assessment.assumed)}" if verdict.assessment.assumed else ""
        raised = f"; raised by: {', '.join(verdict.assessment.aggravated)}" if verdict.assessment.aggravated else ""
        policy = f"{verdict.choice.policy.metadata.name} ({verdict.choice.reason})" if verdict.choice.policy else "none"
        message = f"{severity}{raised}{assumed}; policy {policy}, {mode}: {verdict.message}"
        # Numbered: what is decided once more after something else was decided is another fact.
        yield Fact(f"decided:{incident.status.timeline_count}:{'/'.join(_decided(verdict))}", "Decided", message)


def _decided(verdict: Verdict) -> tuple[str, str, str]:
    name = verdict.choice.policy.metadata.name if verdict.choice.policy else ""
    return verdict.assessment.severity, name, verdict.mode or ""


def _decided_before(status: AIIncidentStatus) -> tuple[str, str, str]:
    return status.severity or "", status.policy, status.mode or ""


def acting(incident: AIIncident, targets: Sequence[JournalTarget], *, journalled_at: datetime | None) -> Iterator[Fact]:
    """Journalled, and each field from its base to where it is held; until containment was proved once."""
    if not targets or _told(incident.status):
        return
    yield Fact(
        JOURNALLED, "Journalled", f"base of {len(targets)} objects stored before the first touch", at=journalled_at
    )
    for target in targets:
        journal = read_journal(target)
        for path, held in journal.held.items():
            base = journal.base[path]
            if base == held:
                continue
            yield _moved("Acted", target.uid, f"{target.kind}/{target.name}", Change(path, base, held))


def _told(status: AIIncidentStatus) -> bool:
    """Whether the beginning needs no telling: containment was proved, or newer entries have pushed it out."""
    begun = status.times.containment_started_at is not None and status.timeline_count > len(status.timeline)
    pushed_out = begun and all(entry.key != JOURNALLED for entry in status.timeline)
    return pushed_out or status.times.contained_at is not None


def growing(before: Hold | None, now: Hold) -> Iterator[Fact]:
    """What a standing hold has come to hold since it was journalled."""
    known = {w.uid for w in (before or now).compromised}
    for workload in now.compromised:
        if workload.uid not in known:
            message = f"{workload.ref} runs the held revision, and is held as well"
            yield Fact(f"grown:{workload.uid}", "Grown", message, object=workload.ref)


def reaching(status: AIIncidentStatus, hold: Hold) -> Iterator[Fact]:
    """How the known-good workload was brought up. What newer entries have pushed out is not told again."""
    reach, good = hold.reach, hold.known_good
    if reach is None or good is None:
        return
    name = f"{good.workload.ref} ({good.revision})"
    facts = [Fact("reach:begun", "Reaching", f"{name} is not ready: {_plan(reach)}", at=reach.since)]
    if reach.cut_at is not None and reach.cut_at != reach.since:
        message = f"over to CutThenFree before {good.workload.ref} was ready: {reach.cut_because}"
        facts.append(Fact("reach:cut", "Reaching", message, at=reach.cut_at))
    if reach.cut_at is not None and reach.phase in ("Raising", "Shifting", "Serving"):
        message = f"what is compromised is gone; {good.workload.ref} is scaled up to {reach.replicas}"
        facts.append(Fact("reach:freed", "Reaching", message))
    if reach.served_at is not None:
        facts.append(Fact("reach:served", "Served", _served(reach, name), at=reach.served_at))
    yield from _not_pushed_out(facts, status)


def rolling_back(status: AIIncidentStatus, hold: Hold) -> Iterator[Fact]:
    """That a template was rolled back in place."""
    rollback = hold.rollback
    if rollback is not None and rollback.done_at is not None:
        name = rollback.workload.ref
        message = f"{name} was given the template that {rollback.revision} recorded, and is given back"
        fact = Fact(f"rolled-back:{rollback.workload.uid}", "RolledBack", message, object=name, at=rollback.done_at)
        yield from _not_pushed_out([fact], status)


def _not_pushed_out(facts: Sequence[Fact], status: AIIncidentStatus) -> Iterator[Fact]:
    """Those that are not older than all that is kept: they were told once."""
    dropped = status.timeline_count > len(status.timeline)
    oldest = status.timeline[0].at if dropped and status.timeline else None
    return (f for f in facts if oldest is None or (f.at is not None and f.at >= oldest))


def _plan(reach: Reach) -> str:
    if reach.cut_at == reach.since:
        return f"CutThenFree, because {reach.cut_because}"
    return f"WarmThenShift, scaled up to {reach.replicas} beside what is compromised, which serves until then"


def _served(reach: Reach, name: str) -> str:
    if reach.cut_at is None or reach.served_at is None:
        return f"traffic goes to {name}, which was ready before anything was cut off"
    outage = (reach.served_at - reach.cut_at).total_seconds()
    return f"traffic goes to {name}; no revision of the model served for {outage:.1f} s"


def yielding(why: str) -> Iterator[Fact]:
    """A release that needs the room of what stands in."""
    if why:
        yield Fact("yielded", "Yielded", why)


def interferences(moves: Sequence[Move]) -> Iterator[Fact]:
    """What somebody moved of one object at a time; of many fields the first few are told one by one."""
    yield from (interference(move) for move in moves[:MOST_FIELDS_TOLD])
    if rest := moves[MOST_FIELDS_TOLD:]:
        one = rest[0]
        yield Fact(
            f"interference:{one.object}:more:{one.version}",
            "Interference",
            f"{one.object}: {len(rest)} more fields were changed by {one.manager or 'somebody'} and put back",
            object=one.object,
            by=one.manager,
        )


def interference(move: Move) -> Fact:
    """Somebody moved a held field; it was moved back."""
    change = move.change
    past = ", past the fence as break-glass alone can," if move.past_fence else ""
    return Fact(
        f"interference:{move.object}:{change.path}:{move.version}",
        "Interference",
        f"{move.object}: {change.path} was set to {_short(change.before)} by {move.manager or 'somebody'}"
        f"{past} and put back to {_short(change.after)}",
        object=move.object,
        field=change.path,
        before=show(change.before),
        after=show(change.after),
        by=move.manager,
    )


def fought(fight: Fight) -> Fact:
    """One object is moved again and again; from now on its moves are counted."""
    return Fact(
        f"contested:{fight.object}:{fight.began}",
        "Contested",
        f"{fight.object} was moved {fight.moves} times by {fight.by}; further moves are undone and counted,"
        " and told when they end",
        object=fight.object,
        by=fight.by,
    )


def fought_out(fight: Fight) -> Fact:
    """The end of that, with the count."""
    return Fact(
        f"quiet:{fight.object}:{fight.began}",
        "Quiet",
        f"{fight.object} was moved {fight.moves} times by {fight.by}, and is left alone now",
        object=fight.object,
        by=fight.by,
    )


def collecting(incident: AIIncident, progress: Progress) -> Iterator[Fact]:
    """The snapshot, once: where it is, the digest by which a later change shows, and what it lacks."""
    taken = progress.snapshot
    if taken is None or incident.status.evidence is not None:
        return
    where = f"ConfigMap/{taken.config_map}" if taken.config_map else ""
    stored = f"snapshot stored in {where}, sha256 of manifest.json {taken.manifest}" if where else "no snapshot stored"
    lacking = f"; missing: {taken.missing}" if taken.missing else ""
    yield Fact("evidence:snapshot", "Evidence", f"{stored}{lacking}", object=where, after=taken.manifest)


def proving(incident: AIIncident, progress: Progress) -> Iterator[Fact]:
    """Each finding when it first becomes true."""
    if progress.evidence is None:
        return
    if progress.evidence.contained.status == "True" and incident.status.times.contained_at is None:
        yield Fact("proved:contained", "Proved", progress.evidence.contained.message)
    before = incident.status.conditions
    fenced = progress.evidence.fenced
    if fenced is not None and fenced.status == "True" and not is_true(before, reasons.FENCED):
        yield Fact("proved:fenced", "Proved", fenced.message)
    isolated = progress.evidence.isolated
    known = find(before, reasons.ISOLATED)
    if isolated is not None and (known is None or known.reason != isolated.reason):
        key = f"isolated:{incident.status.timeline_count}:{isolated.reason}"
        yield Fact(key, "Isolated", f"{isolated.reason}: {isolated.message}")
    moved = progress.evidence.traffic.status == "True" and not is_true(before, reasons.TRAFFIC_SHIFTED)
    if moved and incident.status.times.released_at is None:
        yield Fact("proved:traffic", "Proved", progress.evidence.traffic.message)


def deciding(incident: AIIncident, decisions: Sequence[IncidentDecision]) -> Iterator[Fact]:
    """People's decisions, in their order."""
    status = incident.status
    if status.times.closed_at is not None:
        return
    # Once entries were dropped, a decision older than the oldest that is left was among them.
    dropped = status.timeline_count > len(status.timeline)
    oldest = status.timeline[0].at if dropped and status.timeline else None
    for decision in decisions:
        spec, created = decision.spec, decision.metadata.creation_timestamp
        if oldest is not None and created is not None and created < oldest:
            continue
        yield Fact(
            f"decision:{decision.metadata.uid}",
            spec.verb,
            f"{spec.decided_by}: {spec.reason}",
            by=spec.decided_by,
            at=created,
        )


def ending(incident: AIIncident, verdict: Verdict, progress: Progress) -> Iterator[Fact]:
    """The end."""
    if progress.released and incident.status.times.released_at is None:
        yield Fact("released", "Released", f"restored and verified; {verdict.message}")
    if verdict.step is Step.CLOSE and incident.status.times.closed_at is None:
        yield Fact("closed", "Closed", verdict.message)


def restoring(reference: str, uid: str, restore: Restoration) -> Iterator[Fact]:
    """Fields that are at their base again."""
    for change in restore.done:
        yield _moved("Restored", uid, reference, change)


def keeping(reference: str, uid: str, restore: Restoration) -> Iterator[Fact]:
    """Fields that stay as they are because they are somebody else's by now."""
    for change in restore.kept:
        yield Fact(
            f"kept:{uid}:{change.path}",
            "Kept",
            f"{reference}: {change.path} was changed by somebody else to {_short(change.after)} and stays so",
            object=reference,
            field=change.path,
            before=show(change.before),
            after=show(change.after),
        )


def _moved(type_: str, uid: str, reference: str, change: Change) -> Fact:
    """A field that we moved."""
    return Fact(
        f"{type_.lower()}:{uid}:{change.path}",
        type_,
        f"{reference}: {change.path} {_short(change.before)} -> {_short(change.after)}",
        object=reference,
        field=change.path,
        before=show(change.before),
        after=show(change.after),
    )


def _short(value: object) -> str:
    text = show(value)
    return text if len(text) <= 80 or value is ABSENT else f"{text[:77]}..."
