"""While a model is held, and when it is given back: what is ours, what is theirs, and what nobody may lose."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from lazaretto.api import Containment
from lazaretto.api.aiincident import TimelineEntry
from lazaretto.api.containment import MOST_TARGETS
from lazaretto.engine.plan import KEPT_OF_GONE
from lazaretto.engine.reconciler import SOON, WAITING
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape, policy
from tests.engine.edits import Edit, behavior, contained, replicas, weight
from tests.engine.journal_laws import assert_lawful, plain_journal, targets_written
from tests.engine.world import Operator, World


def told(world: World, type_: str, *, number: int = 1) -> list[TimelineEntry]:
    return [entry for entry in world.incident(number).status.timeline if entry.type == type_]


MOVES = {
    "replicas": ("Deployment", BAD, replicas(5), "spec.replicas"),
    "weight": ("HTTPRoute", MODEL, weight(50), "weight"),
    "behavior": ("HorizontalPodAutoscaler", BAD, behavior({"scaleUp": {"selectPolicy": "Max"}}), "spec.behavior"),
}


@pytest.mark.parametrize("move", MOVES)
async def test_whoever_moves_a_held_field_is_undone_recorded_and_forgotten(
    move: str, begin: Callable[..., Operator]
) -> None:
    operator = begin()
    world = await contained(operator)
    kind, name, edit, path = MOVES[move]
    held = world.specs()
    world.change(kind, name, edit)
    await operator.settle()
    assert world.specs() == held
    (entry,) = told(world, "Interference")
    assert entry.object == f"{kind}/{name}"
    assert entry.field.endswith(path)
    world.approve()
    await operator.settle()
    assert world.specs() == world.originals
    assert not told(world, "Kept")
    assert_lawful(world)


@pytest.mark.parametrize("move", MOVES)
async def test_what_somebody_sets_when_nothing_holds_it_any_more_is_theirs(
    move: str, begin: Callable[..., Operator]
) -> None:
    operator = begin()
    world = await contained(operator)
    kind, name, edit, path = MOVES[move]
    world.approve()
    world.change(kind, name, edit)
    theirs = world.read(kind, name)["spec"]
    await operator.settle()
    assert world.incident().status.state == "Released"
    expected = copy.deepcopy(world.originals)
    if move == "weight":
        # Of the route's two weights one is theirs, and the other goes back.
        edit({"spec": expected["HTTPRoute/support-llm"]})
    else:
        expected[f"{kind}/{name}"] = theirs
    assert world.specs() == expected
    (entry,) = told(world, "Kept")
    assert (entry.object, entry.field.endswith(path)) == (f"{kind}/{name}", True)
    assert_lawful(world, theirs={(name, entry.field)})


async def test_what_is_not_held_is_nobodys_business(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    written = targets_written(world.api.history)
    world.change("HorizontalPodAutoscaler", BAD, lambda body: body["spec"].update(maxReplicas=20))
    world.change("Deployment", GOOD, replicas(9))
    await operator.settle()
    assert targets_written(world.api.history) == written
    world.approve()
    await operator.settle()
    assert world.read("HorizontalPodAutoscaler", BAD)["spec"]["maxReplicas"] == 20
    assert world.read("Deployment", GOOD)["spec"]["replicas"] == 9


def made_anew(world: World, kind: str, name: str, edit: Edit) -> str:
    """Somebody deletes an object and creates it again; returns the new uid."""
    body = world.read(kind, name)
    world.remove(kind, name)
    body["metadata"] = {key: body["metadata"][key] for key in ("name", "labels") if key in body["metadata"]}
    edit(body)
    return str(world.add(body)["metadata"]["uid"])


async def test_a_target_that_is_made_anew_is_held_again_with_a_base_of_its_own(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    old = world.read("Deployment", BAD)["metadata"]["uid"]
    new = made_anew(world, "Deployment", BAD, replicas(5))
    world.bases[new] = {"spec.replicas": 5}
    await operator.settle()
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 0
    containment = world.containment
    assert containment is not None
    bases = {t.uid: [f.base for f in t.fields] for t in containment.spec.targets if t.kind == "Deployment"}
    assert bases == {old: ["3"], new: ["5"]}
    world.approve()
    await operator.settle()
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 5
    assert world.containment is None
    assert_lawful(world)


async def test_a_target_that_is_made_anew_for_ever_is_held_every_time(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    for number in range(MOST_TARGETS + 5):
        new = made_anew(world, "Deployment", BAD, replicas(number + 1))
        world.bases[new] = {"spec.replicas": number + 1}
        await operator.settle()
        assert world.read("Deployment", BAD)["spec"]["replicas"] == 0
    assert world.containment is not None
    assert len([t for t in world.containment.spec.targets if t.kind == "Deployment"]) <= KEPT_OF_GONE + 1
    (fought,) = told(world, "Contested")
    assert fought.object == f"Deployment/{BAD}"
    world.approve()
    await operator.settle()
    assert world.read("Deployment", BAD)["spec"]["replicas"] == MOST_TARGETS + 5
    assert world.read("Containment", MODEL) is None
    assert_lawful(world)


async def test_a_target_that_is_gone_for_good_does_not_stop_a_release(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    world.remove("HTTPRoute", MODEL)
    world.remove("HorizontalPodAutoscaler", BAD)
    world.approve()
    await operator.settle()
    assert world.incident().status.state == "Released"
    assert world.containment is None
    assert world.read("Deployment", BAD)["spec"]["replicas"] == 3


@pytest.mark.parametrize("call", ["patch deployments/scale", "patch httproutes", "patch horizontalpodautoscalers"])
async def test_the_journal_stays_as_long_as_one_entry_is_not_restored(
    call: str, begin: Callable[..., Operator]
) -> None:
    operator = begin()
    world = await contained(operator)
    journal = plain_journal(world.containment)
    world.api.forbidden = {call}
    world.approve()
    for _ in range(8):
        world.controllers()
        await operator.once()
    assert plain_journal(world.containment) == journal
    status = world.incident().status
    assert (status.state, status.times.released_at) == ("Releasing", None)
    world.api.forbidden = set()
    await operator.settle()
    assert world.containment is None
    assert world.specs() == world.originals
    assert_lawful(world)


async def test_the_journal_stays_as_long_as_a_workload_is_not_available_again(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    world.approve()
    for _ in range(5):
        assert await operator.once() in (SOON, WAITING)
    assert world.incident().status.reason == f"Deployment/{BAD} has 0 of 3 replicas available"
    assert world.specs()["HTTPRoute/support-llm"] != world.originals["HTTPRoute/support-llm"]
    assert world.containment is not None
    await operator.settle()
    assert world.specs() == world.originals
    assert world.read("Containment", MODEL) is None


@pytest.mark.parametrize(
    "lost",
    [
        ("AIIncident", f"{MODEL}-1"),
        ("ProtectedModel", MODEL),
        ("ResponsePolicy", "leaks-at-once"),
        ("ModelRevision", "support-llm-attested"),
    ],
    ids=lambda lost: lost[0],
)
async def test_losing_a_record_releases_nothing(lost: tuple[str, str], begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    held, journal = world.specs(), plain_journal(world.containment)
    world.remove(*lost)
    await operator.settle()
    world.change("Deployment", BAD, replicas(5))
    await operator.settle()
    assert (world.specs(), plain_journal(world.containment)) == (held, journal)


async def test_what_is_held_stays_held_while_another_incident_is_in_need_of_a_person(
    begin: Callable[..., Operator],
) -> None:
    world = World(Shape(policies={"hold": policy("Automatic", onNoKnownGood="Hold")}))
    operator = begin(world)
    await contained(operator, target={"model": MODEL, "revision": BAD})
    held = world.specs()
    world.report(2, category="UnsafeOutput", target={"model": MODEL, "revision": GOOD})
    await operator.settle()
    assert world.incident(2).status.state == "Stalled"
    assert world.specs() == held


async def test_a_late_word_of_a_containment_that_is_gone_contains_nothing(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    late = world.read("Containment", MODEL)
    world.approve()
    await operator.settle()
    operator.hear()
    operator.store.put(Containment, late)
    await operator.once(hear=False)
    assert (world.specs(), world.containment) == (world.originals, None)


async def test_the_journal_says_which_services_routes_must_keep_away_from(begin: Callable[..., Operator]) -> None:
    operator = begin()
    world = await contained(operator)
    assert world.containment is not None
    assert world.containment.spec.cut_off == [BAD]
    (workload,) = world.containment.spec.holds[0].compromised
    assert (workload.selector, workload.pod_labels) == ({"app": MODEL, "revision": "v2"},) * 2
    more = world.read("Service", BAD)
    more["metadata"] = {"name": "another"}
    world.add(more)
    await operator.settle()
    assert world.containment.spec.cut_off == ["another", BAD]
    world.api.forbidden = {"list services"}
    await operator.settle()
    assert world.containment.spec.cut_off == ["another", BAD], "what cannot be read is no reason to let go"
    world.api.forbidden = set()
    world.approve()
    await operator.settle()
    assert world.containment is None


@pytest.mark.parametrize("moved", [False, True], ids=["and nothing else", "and the compromised one is raised"])
async def test_a_journal_that_is_lost_is_written_anew_about_the_same_workloads(
    moved: bool, begin: Callable[..., Operator]
) -> None:
    """By a restore without it, or by a stolen token. What serves is what took over, and must go on to."""
    operator = begin()
    world = await contained(operator)
    held = world.specs()
    world.remove("Containment", MODEL)
    if moved:
        world.change("Deployment", BAD, replicas(3))
    await operator.settle()
    assert world.specs() == held
    assert world.containment is not None
    (hold,) = world.containment.spec.holds
    assert [w.name for w in hold.compromised] == [BAD]
    assert hold.known_good is not None
    assert hold.known_good.workload.name == GOOD
