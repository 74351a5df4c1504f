"""What counts as lost: one alert less in a list is seen, whether the list is full or not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.alerts import storm
from tests.bench.tally import Tally, tally, told

Alert = dict[str, Any]


def stored(alerts: list[Alert], *, listed: list[Alert] | None = None, flag: bool = False) -> dict[str, Any]:
    """An incident of the first alert's model that lists these; the first 64 unless told otherwise."""
    spec: dict[str, Any] = {"alerts": [{"fingerprint": a["fingerprint"]} for a in (listed or alerts[:64])]}
    return {
        "metadata": {"namespace": alerts[0]["labels"]["namespace"]},
        "spec": spec | ({"alertsTruncated": True} if flag else {}),
    }


def test_all_are_listed() -> None:
    alerts = storm(["a", "b"], alerts=20)
    incidents = [stored(alerts[0::2]), stored(alerts[1::2])]
    assert tally(alerts, incidents=incidents, at_once=True) == Tally()


def test_those_behind_the_flag_of_a_full_list_are_counted() -> None:
    alerts = storm(["a"], alerts=100)
    assert tally(alerts, incidents=[stored(alerts, flag=True)], at_once=True) == Tally(flagged=36)


def test_a_full_list_without_its_flag_has_lost_the_rest() -> None:
    alerts = storm(["a"], alerts=100)
    assert tally(alerts, incidents=[stored(alerts)]) == Tally(lost=36)


def test_a_list_that_says_there_were_more_and_is_not_full_has_lost_some() -> None:
    alerts = storm(["a"], alerts=100)
    listed = stored(alerts, listed=alerts[:60], flag=True)
    assert tally(alerts, incidents=[listed]) == Tally(lost=4, flagged=36)


def test_of_one_request_the_list_must_have_those_that_began_first() -> None:
    alerts = storm(["a"], alerts=100)
    listed = stored(alerts, listed=alerts[1:65], flag=True)
    assert tally(alerts, incidents=[listed]) == Tally(flagged=36)
    assert tally(alerts, incidents=[listed], at_once=True) == Tally(lost=1, flagged=35)


def test_a_model_without_an_incident_has_lost_all() -> None:
    alerts = storm(["a", "b"], alerts=20)
    assert tally(alerts, incidents=[stored(alerts[0::2])]) == Tally(lost=10)


@pytest.mark.parametrize("what", ["twice", "a stranger", "a flag for nothing"])
def test_what_nobody_sent_is_wrong(what: str) -> None:
    alerts, stranger = storm(["a"], alerts=10), storm(["a"], alerts=1)
    more = {"twice": alerts[:1], "a stranger": stranger, "a flag for nothing": []}[what]
    incident = stored(alerts, listed=[*alerts, *more], flag=not more)
    assert tally(alerts, incidents=[incident]).wrong == 1


def test_an_answer_may_stand_for_what_a_full_list_has_no_place_for() -> None:
    alerts = storm(["a"], alerts=100)
    assert told(alerts[80], incidents=[stored(alerts, flag=True)])
    assert not told(alerts[80], incidents=[stored(alerts)])
    assert not told(alerts[80], incidents=[stored(alerts, listed=alerts[:63], flag=True)])
