"""An everyday case for the tests of what is decided and told: a bad workload, a good one, and a policy that acts."""

from __future__ import annotations

from typing import Any

from lazaretto.api import AIIncident, IncidentDecision, reasons
from lazaretto.api.incidentdecision import Verb
from lazaretto.domain.case import Case
from lazaretto.domain.evidence import Evidence, Finding, Problem
from lazaretto.domain.response import Verdict, respond
from tests.unit.domain.objects import at, decision, hold, incident, model, policy, revision, workload

INCIDENT = incident()
BAD, GOOD = workload("chat-v2"), workload("chat-v1")
REVISIONS = (revision("chat-v2"), revision("chat-v1", attested_by="ci"))
HOLD = hold(INCIDENT, [BAD], known_good=GOOD)
AUTOMATIC, APPROVE, OBSERVE = (policy(mode=mode) for mode in ("Automatic", "Approve", "Observe"))
PROVED = Finding("True", reasons.PROVED, "no pod left")
MOVED = Finding("True", reasons.PROVED, "all lead to the good one")
NOT_YET = Finding("False", reasons.CONTAINING, "2 pods left")
NOT_ASKED = Finding("Unknown", reasons.NOT_REQUESTED, "the policy does not ask for it")


def case(**changed: Any) -> Case:
    """The case, with these parts in place of its own."""
    parts: dict[str, Any] = {
        "incident": INCIDENT,
        "model": model(),
        "policies": [AUTOMATIC],
        "decisions": [],
        "revisions": REVISIONS,
        "revoked": (),
        "workloads": [BAD, GOOD],
        "held_workloads": (),
        "hold": None,
        "now": at(4),
    }
    return Case(**{**parts, **changed})


def answer(**changed: Any) -> Verdict:
    """The verdict on that case."""
    return respond(case(**changed))


def decided(verb: Verb, *people: str, of: AIIncident = INCIDENT) -> list[IncidentDecision]:
    """The same decision by each of these people."""
    return [decision(verb, person, of=of) for person in people]


def problems(*texts: str, reason: str = reasons.NOT_WRITTEN) -> tuple[Problem, ...]:
    """What went wrong, all for the same reason."""
    return tuple(Problem(reason, text) for text in texts)


def evidence(contained: Finding = PROVED, traffic: Finding = MOVED) -> Evidence:
    """What was read back."""
    return Evidence("L2" if contained.status == "True" else "L1", contained, traffic, ())
