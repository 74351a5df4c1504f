"""Ways to break Lazaretto on purpose: each takes one rule out of a copy of its sources.

A table in which nothing can turn red proves nothing. For each mutation stands the plan that must show it, or a story
of its own.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.service_process import SOURCES
from tests.faults.plans import CONTAIN, WRITES, Plan
from tests.faults.receiver_plans import ANOTHER, CREATION, ReceiverPlan
from tests.faults.rule_stories import ALERT_RESOLVED, MADE_ANEW, Broken, Ground, Story, planned


def _plan(phase: str, what: str, fault: str) -> Plan:
    return Plan(fault, next(write for write in WRITES if (write.phase, write.what) == (phase, what)))


@dataclass(frozen=True, slots=True)
class Mutation:
    """One rule that is taken out, and a plan or a story that must turn red."""

    rule: str
    file: str
    old: str
    new: str
    shown_by: Plan | ReceiverPlan | Story
    breaks: str
    """Properties, at least one of which must be broken."""

    def play(self, ground: Ground) -> Broken:
        """What is broken in the story that shows it, by the sources that are there."""
        shown_by = self.shown_by if isinstance(self.shown_by, Story) else planned(self.shown_by)
        return shown_by.play(ground)

    def sources(self, folder: Path) -> Path:
        """A copy of the sources with the mutation in it; fails if the place is not there any more."""
        file = copied(folder) / "lazaretto" / self.file
        text = file.read_text()
        assert text.count(self.old) == 1, f"{self.file} has changed: {self.rule!r} needs another place"
        file.write_text(text.replace(self.old, self.new))
        return folder


def copied(folder: Path) -> Path:
    """A copy of the sources as they are."""
    return shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("__pycache__"))


MUTATIONS = (
    Mutation(
        "the base is stored before anything is touched",
        "engine/reconciler.py",
        "        containment = await self._journalled(",
        "        await apply(self._api, [(p, p.changes) for p in current.plans if p.changes])\n"
        "        containment = await self._journalled(",
        _plan(CONTAIN, "journal", "killed before a write arrives"),
        "RC",
    ),
    Mutation(
        "a base that is there is never taken again",
        "engine/plan.py",
        "target=find_target(targets, uid_of(obj))",
        "target=None",
        _plan(CONTAIN, "status of the incident", "killed before a write arrives"),
        "RC",
    ),
    Mutation(
        "a lost race is run again",
        "engine/reconciler.py",
        "            delay = await self._hold(current)\n        except Conflict:\n            return NOW",
        "            delay = await self._hold(current)\n        except Conflict:\n            return NEVER",
        _plan(CONTAIN, "journal", "409 Conflict"),
        "C",
    ),
    Mutation(
        "what was refused is tried again",
        "domain/pace.py",
        "return _wait(self.due - now)",
        "return 3600.0",
        _plan(CONTAIN, "workload", "422 Invalid"),
        "C",
    ),
    Mutation(
        "Contained is said of what was read back",
        "domain/incident_report.py",
        'if times.contained_at and progress.evidence and progress.evidence.contained.status == "True":',
        "if True:",
        _plan(CONTAIN, "route", "409 Conflict"),
        "H",
    ),
    Mutation(
        "a fact is told once",
        "domain/timeline.py",
        "        if fact.key in known:\n            continue\n",
        "",
        _plan(CONTAIN, "status of the incident", "killed when it was carried out, unanswered"),
        "L",
    ),
    Mutation(
        "nothing is released without its approvals",
        "domain/response.py",
        "    if release.granted or hold.releasing:",
        "    if True:",
        _plan(CONTAIN, "workload", "answer lost"),
        "CUX",
    ),
    Mutation(
        "what no watch told of is found by comparing",
        "engine/comparison.py",
        "not await self._is_complete(kind):\n                    await self._compare(kind)",
        "not await self._is_complete(kind):\n                    pass",
        Plan("the first event lost", "aiincidents"),
        "C",
    ),
    Mutation(
        "what has another UID is not touched",
        "workloads/deployment.py",
        '{"metadata": {"uid": surface.uid_of(obj)}, "spec": {"replicas": change.after}}',
        '{"spec": {"replicas": change.after}}',
        MADE_ANEW,
        "R",
    ),
    Mutation(
        "a resolved alert releases nothing",
        "domain/response.py",
        "    if release.granted or hold.releasing:",
        "    if release.granted or hold.releasing or all(a.resolved_at for a in case.incident.spec.alerts):",
        ALERT_RESOLVED,
        "U",
    ),
    Mutation(
        "an alert is acknowledged only when it is stored",
        "receiver/endpoints.py",
        "return await self._store.record(found.groups, sender=sender), found.heartbeat",
        "asyncio.create_task(self._store.record(found.groups, sender=sender))\n"
        "                return Outcome(), found.heartbeat",
        ReceiverPlan("killed before a write arrives", CREATION),
        "L",
    ),
    Mutation(
        "two creations of one incident collide by its name",
        "domain/intake.py",
        'Create(f"{group.prefix}-{number}", number',
        'Create(f"{group.prefix}-{number}-{id(spec)}", number',
        ReceiverPlan("1.5 s late", CREATION, told_twice=True),
        "L",
    ),
    Mutation(
        "what the API server refuses is to be sent again",
        "receiver/endpoints.py",
        'raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"{len(outcome.failed)}',
        'raise Refusal(HTTPStatus.BAD_REQUEST, f"{len(outcome.failed)}',
        ReceiverPlan("403 Forbidden", ANOTHER),
        "L",
    ),
)
