"""Where each open incident stands after a pass, and what its timeline has to say. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lazaretto.api import AIIncident
from lazaretto.api.aiincident import EvidenceReference
from lazaretto.domain import chronicle
from lazaretto.domain.incident_report import Progress
from lazaretto.domain.response import Step, Verdict
from lazaretto.domain.timeline import Fact
from lazaretto.engine.current_pass import Pass

HELD = (Step.CONTAIN, Step.KEEP, Step.RELEASE)


@dataclass(frozen=True, slots=True)
class Standing:
    """The standing of one incident."""

    incident: AIIncident
    verdict: Verdict
    progress: Progress
    facts: tuple[Fact, ...]


def standings(
    current: Pass, *, taken: Callable[[str], EvidenceReference | None], ended: Sequence[Fact] = ()
) -> Iterator[Standing]:
    """One standing for each open incident. `taken` knows the snapshot of an incident, by uid; `ended` is what
    the timeline says of fights that end with the release.
    """
    for incident in current.known.open_incidents:
        verdict = current.triage.verdicts[incident.metadata.uid]
        progress = _progress(current, incident, verdict, taken=taken)
        facts = tuple(_facts(current, incident, verdict, progress=progress, ended=ended))
        yield Standing(incident, verdict, progress, facts)


def _progress(
    current: Pass, incident: AIIncident, verdict: Verdict, *, taken: Callable[[str], EvidenceReference | None]
) -> Progress:
    if verdict.step not in HELD:
        return Progress(contested="")
    releasing = verdict.step is Step.RELEASE
    return Progress(
        evidence=None if releasing else current.evidence,
        problems=tuple(current.outcome.problems),
        waiting=current.back.waiting if current.back and releasing else "",
        released=bool(releasing and current.back and current.back.complete),
        journalled_at=verdict.hold.since if verdict.hold else None,
        contested=current.contested,
        snapshot=taken(incident.metadata.uid),
    )


def _facts(
    current: Pass, incident: AIIncident, verdict: Verdict, *, progress: Progress, ended: Sequence[Fact]
) -> Iterator[Fact]:
    if verdict.step not in HELD:
        return
    targets = [p.entry for p in current.plans]
    yield from chronicle.acting(incident, targets, journalled_at=progress.journalled_at)
    if verdict.step is Step.KEEP and verdict.hold is not None:
        yield from chronicle.growing(current.known.hold_of(incident), verdict.hold)
    held = next((h for h in current.triage.holds if h.incident_uid == incident.metadata.uid), None)
    if held is not None:
        yield from chronicle.reaching(incident.status, held)
        yield from chronicle.rolling_back(incident.status, held)
    yield from current.facts
    if verdict.step is Step.RELEASE:
        yield from (f for p in current.plans for f in chronicle.restoring(p.ref, p.uid, p.restore))
    if progress.released:
        yield from ended
        yield from (f for p in current.plans for f in chronicle.keeping(p.ref, p.uid, p.restore))
