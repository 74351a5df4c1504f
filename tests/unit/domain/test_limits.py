"""A limit says its figures and its remedy, and knows a model that is held already."""

from __future__ import annotations

from lazaretto.api.responsepolicy import Limits
from lazaretto.domain.limits import tripped

TWO = Limits(concurrent_models=2)


def test_an_absent_limit_never_trips() -> None:
    assert tripped(Limits(), model="chat", held={f"m{n}" for n in range(100)}) == ""


def test_it_trips_when_as_many_models_are_held_as_it_says() -> None:
    assert tripped(TWO, model="chat", held={"a"}) == ""
    for held in ({"a", "b"}, {"a", "b", "c"}):
        assert tripped(TWO, model="chat", held=held).startswith(
            f"limit concurrentModels: {len(held)} of 2 models are held; needs one ApproveContainment decision"
        )


def test_a_model_that_is_held_is_not_a_new_one() -> None:
    assert tripped(TWO, model="chat", held={"a", "b", "chat"}) == ""
