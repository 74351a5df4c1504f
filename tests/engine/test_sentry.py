"""Held objects are watched, each by a stream of its own, and a stream that ends is opened again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lazaretto.api.containment import JournalTarget
from lazaretto.engine import sentry
from lazaretto.engine.sentry import PAUSE, Sentry
from lazaretto.engine.store import Key
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.surface import Object
from tests.e2e.shapes import BAD, GOOD, MODEL
from tests.engine.memory_api import failure
from tests.engine.travelling_time import travelling
from tests.engine.world import KEY, ONCE, World

OTHER: Key = ("support", "other")


def target(kind: str, name: str, *, uid: str = "u") -> JournalTarget:
    fields = [{"path": "spec.replicas", "base": "1", "held": "0"}]
    return JournalTarget.model_validate({"kind": kind, "name": name, "uid": uid, "fields": fields})


HELD = (target("Deployment", BAD), target("HTTPRoute", MODEL), target("HorizontalPodAutoscaler", BAD))


class Post:
    """A sentry over a world, and how often each model was rung for."""

    def __init__(self) -> None:
        self.world = World()
        self.rung: list[Key] = []
        self.moved: list[tuple[Key, Object, int]] = []
        """Each with how often it had rung by then."""
        self.sentry = Sentry(ApiServer(self.world.api, policy=ONCE), ring=self.rung.append, moved=self._take)

    async def _take(self, key: Key, obj: Object) -> None:
        self.moved.append((key, obj, len(self.rung)))

    async def guard(self, *targets: JournalTarget, key: Key = KEY) -> list[Key]:
        self.sentry.guard(key, targets)
        return await self.heard()

    async def heard(self) -> list[Key]:
        """Everything that was rung since the last look."""
        await asyncio.sleep(0.01)
        found = list(self.rung)
        self.rung.clear()
        return found

    def touch(self, kind: str, name: str) -> None:
        self.world.change(
            kind, name, lambda body: body["metadata"].update(annotations={"v": str(self.world.api.version)})
        )


def posted(story: Callable[[Post], Awaitable[None]]) -> None:
    async def scene() -> None:
        post = Post()
        await story(post)
        await post.sentry.stop()
        await asyncio.sleep(0)
        assert post.world.api.watched() == [], "a watch was left behind"

    travelling(scene())


def test_each_held_object_is_watched_and_no_other() -> None:
    async def story(post: Post) -> None:
        await post.guard(*HELD)
        assert post.world.api.watched() == [
            f"deployments/{BAD}",
            f"horizontalpodautoscalers/{BAD}",
            f"httproutes/{MODEL}",
        ]
        for kind, name in (("Deployment", BAD), ("HTTPRoute", MODEL), ("HorizontalPodAutoscaler", BAD)):
            post.touch(kind, name)
            assert await post.heard() == [KEY], kind
        post.touch("Deployment", GOOD)
        post.touch("Service", BAD)
        assert await post.heard() == []

    posted(story)


def test_watching_begins_with_a_bell_because_something_may_have_moved_before() -> None:
    async def story(post: Post) -> None:
        assert await post.guard(target("Deployment", BAD)) == [KEY]
        assert await post.guard(target("Deployment", BAD)) == [], "a watch that stands is not begun again"
        post.world.remove("Deployment", BAD)
        assert await post.heard() == [KEY]

    posted(story)


def test_an_object_is_handed_on_as_it_is_now_and_one_that_is_gone_is_not() -> None:
    async def story(post: Post) -> None:
        await post.guard(target("Deployment", BAD))
        post.touch("Deployment", BAD)
        await post.heard()
        now = post.world.read("Deployment", BAD)
        assert post.moved[-1] == (KEY, now, 0), "the bell comes after"
        assert len(post.moved) == 2
        post.world.api.tell("deployments", {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "900"}}})
        post.world.remove("Deployment", BAD)
        await post.heard()
        assert len(post.moved) == 2

    posted(story)


def test_what_is_not_held_any_more_is_let_go() -> None:
    async def story(post: Post) -> None:
        await post.guard(*HELD)
        await post.guard(HELD[1])
        assert post.world.api.watched() == [f"httproutes/{MODEL}"]
        await post.guard()
        assert post.world.api.watched() == []
        post.touch("HTTPRoute", MODEL)
        assert await post.heard() == []

    posted(story)


def test_models_do_not_ring_for_each_other() -> None:
    async def story(post: Post) -> None:
        await post.guard(target("Deployment", BAD))
        await post.guard(target("Deployment", GOOD), key=OTHER)
        post.touch("Deployment", GOOD)
        assert await post.heard() == [OTHER]
        await post.guard(key=OTHER)
        post.touch("Deployment", BAD)
        assert await post.heard() == [KEY]

    posted(story)


def test_two_entries_of_one_name_share_a_watch() -> None:
    async def story(post: Post) -> None:
        await post.guard(target("Deployment", BAD, uid="old"), target("Deployment", BAD, uid="new"))
        assert post.world.api.watched() == [f"deployments/{BAD}"]

    posted(story)


def test_a_kind_that_nobody_knows_is_left_out() -> None:
    async def story(post: Post) -> None:
        assert await post.guard(target("Spaceship", "one")) == []
        assert post.world.api.watched() == []

    posted(story)


def test_a_bookmark_is_no_bell() -> None:
    async def story(post: Post) -> None:
        await post.guard(target("Deployment", BAD))
        post.world.api.tell("deployments", {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "900"}}})
        assert await post.heard() == []

    posted(story)


def test_a_stream_that_ends_is_opened_again_and_rings_for_what_was_missed() -> None:
    async def story(post: Post) -> None:
        await post.guard(target("Deployment", BAD))
        post.world.api.end_watches()
        assert await post.heard() == []
        assert post.world.api.watched() == []
        await asyncio.sleep(PAUSE)
        assert set(await post.heard()) == {KEY}
        assert post.world.api.watched() == [f"deployments/{BAD}"]

    posted(story)


def test_a_stream_that_has_stood_is_followed_by_another_at_once() -> None:
    async def story(post: Post) -> None:
        await post.guard(target("Deployment", BAD))
        await asyncio.sleep(PAUSE)
        await post.heard()
        post.world.api.end_watches()
        assert set(await post.heard()) == {KEY}
        assert post.world.api.watched() == [f"deployments/{BAD}"]

    posted(story)


def test_what_was_deleted_while_no_stream_stood_rings_as_well() -> None:
    async def story(post: Post) -> None:
        await post.guard(target("Deployment", BAD))
        post.world.api.end_watches()
        await post.heard()
        post.world.remove("Deployment", BAD)
        await asyncio.sleep(PAUSE)
        assert await post.heard() == [KEY]

    posted(story)


@pytest.mark.parametrize("status", [410, 403, 500])
def test_a_stream_that_is_refused_is_tried_again_in_peace(status: int) -> None:
    async def story(post: Post) -> None:
        post.world.api.hook = lambda request: failure(status, "made up")
        await post.guard(target("Deployment", BAD))
        await asyncio.sleep(4 * PAUSE)
        assert len(post.world.api.requests) == 5, "once a pause, and not in a busy loop"
        assert await post.heard() == [], "a stream that never stood is no news"
        post.world.api.hook = None
        await asyncio.sleep(PAUSE)
        await post.heard()
        post.touch("Deployment", BAD)
        assert await post.heard() == [KEY]

    posted(story)


def test_streams_are_bounded_and_a_place_that_gets_free_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentry, "MOST_STREAMS", 2)

    async def story(post: Post) -> None:
        await post.guard(*HELD[:2])
        await post.guard(target("Deployment", GOOD), key=OTHER)
        assert post.world.api.watched() == [f"deployments/{BAD}", f"httproutes/{MODEL}"]
        await post.guard(*HELD[:2])
        assert len(post.world.api.watched()) == 2
        await post.guard(HELD[1])
        await post.guard(target("Deployment", GOOD), key=OTHER)
        assert post.world.api.watched() == [f"deployments/{GOOD}", f"httproutes/{MODEL}"]

    posted(story)


def test_a_stop_ends_everything() -> None:
    async def story(post: Post) -> None:
        await post.guard(*HELD)
        await post.guard(target("Deployment", GOOD), key=OTHER)
        await post.sentry.stop()
        await asyncio.sleep(2 * PAUSE)
        assert (post.world.api.watched(), await post.heard()) == ([], [])

    posted(story)
