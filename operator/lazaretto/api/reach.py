"""How a known-good workload that does not serve yet is brought up: what a policy asks for, and how far it has come."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lazaretto.api.meta import ApiModel, Digest, Duration, ShortText, Timestamp
from lazaretto.api.schema import Rule

ReachPlan = Literal["Auto", "WarmThenShift", "CutThenFree", "RunningOnly"]
Asked = Literal["Auto", "WarmThenShift", "CutThenFree"]
Phase = Literal["Warming", "Freeing", "Raising", "Shifting", "Serving"]

MOST_REPLICAS = 10_000


class ReachRule(ApiModel):
    """How a known-good revision takes over that has no ready replica when it is needed."""

    plan: ReachPlan = "Auto"
    """WarmThenShift: it is scaled up while the compromised one still serves; traffic moves when it is ready, and not at all
    before. CutThenFree: the compromised one is cut off and scaled to zero first, which frees its accelerators; until the
    known-good one is ready, the fallback answers, or nothing. Auto: cut for SEV1 and SEV2, for policies that isolate, and
    as soon as a warm-up meets a lack of capacity or a quota; else warm. WarmThenShift cuts for SEV1 and at its deadline
    alone. RunningOnly: nothing is scaled up; only what is ready takes over."""
    deadline: Duration = "10m"
    """How long either plan may take. A warm-up that is late becomes a cut; a cut that is late stays contained, says
    ShiftFailed, and moves traffic whenever the known-good revision is ready after all."""
    rollback: bool = False
    """Where no workload runs a known-good revision any more: whether the one compromised Deployment is given back the
    template that was recorded, instead of a copy beside it. Takes the ClusterRole `lazaretto-rollback`."""


class Reach(ApiModel):
    """How far a known-good workload has been brought up for one hold."""

    rules = (
        Rule(
            "!has(oldSelf.cutAt) || (has(self.cutAt) && self.cutAt == oldSelf.cutAt)",
            "what was cut is never un-cut: cutAt is set once",
        ),
        Rule("self.identity == oldSelf.identity", "the identity that was found good never changes"),
    )

    asked: Asked
    """The policy's plan when the hold began."""
    phase: Phase
    """Warming: it comes up beside the compromised one, which serves. Freeing: cut off, and its pods are ending. Raising: it
    comes up in their place. Shifting: it is ready, and traffic is being moved. Serving: done."""
    identity: Digest
    """What the known-good workload ran when it was chosen; running anything else, it takes nothing over."""
    replicas: Annotated[int, Field(ge=1, le=MOST_REPLICAS)]
    """It has at least so many."""
    needed: Annotated[int, Field(ge=1, le=MOST_REPLICAS)]
    """Ready replicas with which a warm-up is done; after a cut, one takes traffic."""
    since: Timestamp
    """When this began."""
    until: Timestamp
    """When the present plan is late."""
    cut_at: Timestamp | None = None
    """When the compromised one was cut off before the known-good one was ready; absent: not so far."""
    cut_because: ShortText = ""
    served_at: Timestamp | None = None
    """When traffic was seen to be moved."""
    lost: ShortText = ""
    """Why the known-good workload may not take over any more."""
