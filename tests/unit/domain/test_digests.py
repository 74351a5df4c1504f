"""What running pods say about the tags of their template, and what follows when one has moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.api.modelrevision import MOST_DIGESTS, ContainerDigest, ModelRevisionStatus, MovedTag
from lazaretto.domain.digests import Resolution, needs_pods, resolve, stamp
from lazaretto.domain.scene import Workload
from tests.unit.domain.objects import at, moved_tag, workload

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
TAGGED = workload("v1", tagged=["server"])


def pod(name: str, images: Mapping[str, str] | None = None, *, hour: int = 1) -> dict[str, Any]:
    """A pod, with the `imageID` of each of its containers."""
    created = f"2026-01-02T{hour:02}:00:00Z"
    statuses = [{"name": container, "imageID": image} for container, image in (images or {}).items()]
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "status": {"phase": "Running", "containerStatuses": statuses},
    }


def server(name: str, digest: str, *, hour: int = 1) -> dict[str, Any]:
    return pod(name, {"server": f"registry.example/v1@{digest}"}, hour=hour)


def seen(*pods: Mapping[str, Any], of: Workload = TAGGED) -> Resolution:
    return resolve([of], pods={of.uid: pods})


LEAVING = server("leaving", B) | {"metadata": {"name": "leaving", "deletionTimestamp": "2026-01-02T02:00:00Z"}}
INIT = {
    "metadata": {"name": "i"},
    "status": {"initContainerStatuses": [{"name": "server", "imageID": f"a@{A}"}]},
}


@pytest.mark.parametrize(
    ("found", "confidence", "digests"),
    [
        (seen(of=workload("v1")), "Pinned", ()),
        (seen(server("a", A), server("b", A)), "Resolved", (A,)),
        (seen(server("b", B, hour=2), server("a", A)), "Mutable", (A, B)),
        (seen(), "Mutable", ()),
        (resolve([TAGGED], pods={}), "Mutable", ()),
        (seen(server("a", A), of=workload("v1", tagged=["server"], resolvable=False)), "Mutable", (A,)),
        (seen(server("a", A), of=workload("v1", tagged=["server"], rolled_out=False)), "Mutable", ()),
        (seen(server("a", A), of=workload("v1", tagged=["server", "proxy"])), "Mutable", (A,)),
        (seen(server("a", A), pod("new")), "Resolved", (A,)),
        (seen(server("a", A), server("done", B) | {"status": {"phase": "Failed"}}), "Resolved", (A,)),
        (seen(server("a", A), LEAVING), "Resolved", (A,)),
        (seen(INIT), "Resolved", (A,)),
        (seen(pod("a", {"server": f"docker-pullable://x/y@{A}"})), "Resolved", (A,)),
        (seen(pod("a", {"server": A})), "Mutable", ()),
        (seen(pod("a", {"server": "x/y:1"})), "Mutable", ()),
        (seen(pod("a", {"server": f"x/y@{A}\nx"})), "Mutable", ()),
        (resolve([], pods={}), "", ()),
    ],
    ids=[
        *("all by digest", "pods agree", "pods disagree", "no pod", "pods not read", "a hub reference as well"),
        *(
            "old pods are left",
            "a container unknown",
            "one has not started",
            "one has finished",
            "one is on its way out",
        ),
        *(
            "an init container",
            "as Docker tells",
            "the image's own id",
            "no digest",
            "no digest at all",
            "nothing runs",
        ),
    ],
)
def test_what_one_look_shows(found: Resolution, confidence: str, digests: tuple[str, ...]) -> None:
    assert (found.confidence, found.found.get("server", ())) == (confidence, digests)


def test_pods_are_worth_reading_where_something_is_a_tag_and_everything_is_rolled_out() -> None:
    assert needs_pods(TAGGED)
    assert not needs_pods(workload("v1"))
    assert not needs_pods(workload("v1", unpinned=["hf://a/b"]))
    assert not needs_pods(workload("v1", tagged=["server"], rolled_out=False))


def test_two_workloads_of_one_template_have_to_agree() -> None:
    twin = workload("twin", runs="v1", tagged=["server"])
    found = resolve([TAGGED, twin], pods={TAGGED.uid: [server("a", A)], twin.uid: [server("b", B)]})
    assert (found.confidence, found.found["server"]) == ("Mutable", (A, B))


def test_no_more_is_kept_than_the_field_takes() -> None:
    names = [f"c{number:02}" for number in range(MOST_DIGESTS + 1)]
    many = workload("v1", tagged=names)
    found = seen(pod("a", dict.fromkeys(names, f"x@{A}")), of=many)
    assert (found.confidence, len(found.found)) == ("Mutable", MOST_DIGESTS)


def after(*looks: Sequence[str]) -> tuple[ModelRevisionStatus, list[bool]]:
    """The record after these looks, one an hour, and whether each found something else than the one before."""
    status, anew = ModelRevisionStatus(), []
    for hour, digests in enumerate(looks, start=1):
        resolution = Resolution(
            "Resolved" if len(digests) == 1 else "Mutable", {"server": tuple(digests)} if digests else {}
        )
        found = stamp(status, resolution, now=at(hour))
        anew.append(found.anew)
        status = status.model_copy(
            update={"digest_confidence": found.confidence, "digests": found.digests, "moved_tags": found.moved}
        )
    return status, anew


@pytest.mark.parametrize(
    ("looks", "runs", "moved", "anew"),
    [
        ([[A]], A, None, [False]),
        ([[A], [A]], A, None, [False, False]),
        ([[A], [B]], B, moved_tag("a", "b", hour=2), [False, True]),
        ([[A], [B], [B]], B, moved_tag("a", "b", hour=2), [False, True, False]),
        ([[A], [B], [C]], C, moved_tag("a", "c", hour=3), [False, True, True]),
        ([[A], [B], [A]], A, None, [False, True, True]),
        ([[A], [], [B]], B, moved_tag("a", "b", hour=3), [False, False, True]),
        ([[A], [], [A]], A, None, [False, False, False]),
        ([[A], [A, B]], A, moved_tag("a", "b", hour=2), [False, True]),
        ([[A], [A, B], [B]], B, moved_tag("a", "b", hour=2), [False, True, True]),
        ([[A], [A, B], [A]], A, None, [False, True, False]),
        ([[A, B]], A, moved_tag("a", "b", hour=1), [True]),
    ],
    ids=[
        *("recorded", "the same", "moved", "moved and stays", "moved twice", "moved back", "moved while nothing ran"),
        *("back as it was", "moving", "moving, then moved", "moving, then back", "moving when first seen"),
    ],
)
def test_what_the_record_says_of_a_tag(
    looks: list[list[str]], runs: str, moved: MovedTag | None, anew: list[bool]
) -> None:
    status, told = after(*looks)
    assert status.digests == [ContainerDigest(container="server", digest=runs)]
    assert (status.moved_tags, told) == ([moved] if moved else [], anew)


def test_each_container_has_a_tag_of_its_own() -> None:
    before = ModelRevisionStatus(digests=[ContainerDigest(container=name, digest=A) for name in ("proxy", "server")])
    found = stamp(before, Resolution("Resolved", {"proxy": (B,), "server": (A,)}), now=at(2))
    assert [m.container for m in found.moved] == ["proxy"]
    status = ModelRevisionStatus(digests=found.digests, moved_tags=found.moved)
    again = stamp(status, Resolution("Resolved", {"proxy": (B,), "server": (C,)}), now=at(3))
    assert [(m.container, m.at) for m in again.moved] == [("proxy", at(2)), ("server", at(3))]


@pytest.mark.parametrize(
    ("known", "then"), [("", ""), ("Pinned", "Pinned"), ("Resolved", "Mutable"), ("Mutable", "Mutable")]
)
def test_what_nothing_runs_any_more_is_known_as_far_as_its_template_says(known: str, then: str) -> None:
    before = ModelRevisionStatus.model_validate({"digestConfidence": known})
    assert stamp(before, Resolution(), now=at(2)).confidence == then


LOOKS = st.lists(st.lists(st.sampled_from([A, B, C]), max_size=2, unique=True), max_size=7)


@given(LOOKS)
def test_what_first_ran_is_never_forgotten_and_only_it_is_unmoved(looks: list[list[str]]) -> None:
    status, _ = after(*looks)
    shown = [digests for digests in looks if digests]
    if not shown:
        assert (status.digests, status.moved_tags) == ([], [])
        return
    first = shown[0][0]
    assert bool(status.moved_tags) == any(digest != first for digest in shown[-1])
    assert all(m.before == first != m.after for m in status.moved_tags)


@given(LOOKS)
def test_looking_twice_tells_the_same(looks: list[list[str]]) -> None:
    status, _ = after(*looks)
    last = tuple(looks[-1]) if looks else ()
    found = stamp(status, Resolution("Mutable", {"server": last} if last else {}), now=at(20) + timedelta(seconds=1))
    assert (found.digests, found.moved) == (status.digests, status.moved_tags)
    assert found.anew is (len(last) > 1)
