"""What was read back about a containment, as a value that decisions and reports share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from lazaretto.api import reasons
from lazaretto.api.containment import TargetProof
from lazaretto.api.meta import Condition
from lazaretto.domain.conditions import Status, set_condition, without

Level = Literal["", "L0", "L1", "L2"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something holds, the reason constant, and the text for people."""

    status: Status
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a containment from being as it should: the reason constant, and the text for people."""

    reason: str
    message: str


def messages_of(problems: Sequence[Problem]) -> str:
    """All of them in one text."""
    return "; ".join(problem.message for problem in problems)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was read back of one model's containment."""

    level: Level
    contained: Finding
    traffic: Finding
    objects: tuple[TargetProof, ...]
    fenced: Finding | None = None
    """Whether admission refuses to undo it; None if that was not asked."""
    isolated: Finding | None = None
    """How far the compromised pods are cut off from the network; None if nobody wants that."""

    def behind(self, fenced: Finding) -> Evidence:
        """The same with what is known of the fence: unless it stands, no more than L1 is proved.

        Without it what was seen may be over the next moment, should the operator not be there to undo it.
        """
        stands = fenced.status == "True"
        level: Level = self.level if stands else min(self.level, "L1")
        contained = self.contained
        if contained.status == "True":
            text = f"{contained.message} ({level}{'' if stands else ': held by the operator alone, see Fenced'})"
            contained = replace(contained, message=text)
        return replace(self, level=level, contained=contained, fenced=fenced)

    def beside(self, isolated: Finding | None, *, kept: str) -> Evidence:
        """The same with what is known of the quarantine, and of pods that are kept: they run, and are told of."""
        if not kept:
            return replace(self, isolated=isolated)
        contained = replace(self.contained, message=f"{self.contained.message}; {kept}")
        told = replace(isolated, message=f"{isolated.message}; {kept}") if isolated is not None else None
        return replace(self, contained=contained, isolated=told)

    @property
    def findings(self) -> list[tuple[str, Finding]]:
        """By the types of the conditions that say so."""
        found = [(reasons.CONTAINED, self.contained), (reasons.TRAFFIC_SHIFTED, self.traffic)]
        more = [(reasons.FENCED, self.fenced), (reasons.ISOLATED, self.isolated)]
        return [*found, *((type_, each) for type_, each in more if each is not None)]


def with_findings(
    conditions: Sequence[Condition], findings: Iterable[tuple[str, Finding]], *, generation: int, now: datetime
) -> list[Condition]:
    """The conditions with these findings in them."""
    for type_, found in findings:
        conditions = set_condition(
            conditions, type_, found.status, found.reason, found.message, generation=generation, now=now
        )
    return list(conditions)


def with_abnormal(
    conditions: Sequence[Condition], type_: str, found: Finding | None, *, generation: int, now: datetime
) -> list[Condition]:
    """The conditions with this one in it while something is found, and without it otherwise."""
    if found is None:
        return without(conditions, type_)
    return with_findings(conditions, [(type_, found)], generation=generation, now=now)


def found_wrong(problems: Sequence[Problem]) -> Finding | None:
    """What is wrong, by the first reason."""
    return Finding("True", problems[0].reason, messages_of(problems)) if problems else None


def found_fought(contested: str) -> Finding | None:
    """What is fought over."""
    return Finding("True", reasons.FOUGHT, contested) if contested else None


def found_orphaned(told: Sequence[str]) -> Finding | None:
    """Holds whose incident is gone."""
    return Finding("True", reasons.INCIDENT_GONE, "; ".join(told)) if told else None
