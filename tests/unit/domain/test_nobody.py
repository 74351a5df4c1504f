"""Whoever did not say who they are decides nothing, even where somebody has granted them the right and the verb."""

from __future__ import annotations

import pytest

from lazaretto.api.incidentdecision import Verb
from lazaretto.api.responsepolicy import ReleaseRule
from lazaretto.domain.approvals import count, release_verdict, relevant, terms_of
from lazaretto.domain.limits import newest_reset
from tests.unit.domain.objects import at, decision, hold, incident, workload

MINE = incident()
HELD = hold(MINE, [workload("chat-v2")])
NAMES = ["system:anonymous", "system:anonymous ", " "]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("verb", ["ApproveRelease", "FalsePositive"])
def test_they_release_nothing_and_the_incident_says_so(name: str, verb: Verb) -> None:
    made = relevant([decision(verb, name, name="n"), decision(verb, "alice")], incident=MINE)
    found = release_verdict(made, terms=terms_of(ReleaseRule(), severity="SEV1"), hold=HELD, now=at(10))
    assert [each.by for each in found.counted] == ["alice"]
    assert not found.granted
    assert "nobody who said who they are" in found.reservations


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("verb", ["ApproveContainment", "Close", "Acknowledge"])
def test_they_approve_no_containment_and_close_nothing(name: str, verb: Verb) -> None:
    assert count(relevant([decision(verb, name, name="n")], incident=MINE), (verb,)) == ()


@pytest.mark.parametrize("name", NAMES)
def test_they_reset_no_limits(name: str) -> None:
    earlier = decision("ResetLimits", "alice", backlog="Leave", created=at(3))
    found = newest_reset([earlier, decision("ResetLimits", name, name="n", backlog="Contain", created=at(4))])
    assert found is not None
    assert (found.by, found.backlog) == ("alice", "Leave")
