"""What a revision keeps of its soak when it leaves service, and what takes it away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lazaretto.api.modelrevision import ModelRevisionStatus, ServiceRecord
from lazaretto.domain.retirement import served
from lazaretto.domain.soak import LONGEST_GAP, Soak
from tests.unit.domain.objects import at, workload

KEPT = ServiceRecord(earned_seconds=500, since=at(0), until=at(1))
UP = ModelRevisionStatus(available_since=at(0), served=None)
DOWN = ModelRevisionStatus(served=KEPT)
SOAK = replace(Soak(), since=at(0), earned=900.0, looked=100.0)
AT_ZERO = replace(workload("chat-v1"), replicas=0, ready=0, available=True, available_since=at(0))


def after(status: ModelRevisionStatus, **changed: Any) -> ServiceRecord | None:
    usual = {"remembered": SOAK, "running": (), "serves": False, "spoiled": False, "now": at(2), "steady": 101.0}
    return served(status, **{**usual, **changed})


@pytest.mark.parametrize("running", [(), (AT_ZERO,)], ids=["replaced", "scaled to zero"])
def test_leaving_in_order_keeps_what_was_earned(running: Any) -> None:
    assert after(UP, running=running) == ServiceRecord(earned_seconds=900, since=at(0), until=at(2))


def test_it_never_shrinks_by_serving_once_more_for_less() -> None:
    found = after(UP.model_copy(update={"served": KEPT}), remembered=replace(SOAK, earned=10.0))
    assert found is not None
    assert found.earned_seconds == KEPT.earned_seconds


@pytest.mark.parametrize(
    "changed",
    [
        {"spoiled": True},
        {"running": (replace(AT_ZERO, replicas=3, available=False),)},
        {"running": (replace(AT_ZERO, available=False),)},
        {"running": (replace(AT_ZERO, available_since=at(1)),)},
        {"remembered": None},
        {"steady": 101.0 + LONGEST_GAP},
        {"steady": 99.0},
    ],
    ids=["named", "failed", "failed at zero", "failed before that", "nobody watched", "long ago", "another clock"],
)
def test_whatever_else_ends_it_takes_it_away(changed: Any) -> None:
    assert after(UP.model_copy(update={"served": KEPT}), **changed) is None


def test_out_of_service_it_is_remembered_until_an_incident_names_it() -> None:
    assert after(DOWN, remembered=None) == KEPT
    assert after(DOWN, remembered=None, spoiled=True) is None
    assert after(DOWN, serves=True) == KEPT
