"""kill -9 of the operator while a known-good revision is brought up: it goes on with the same plan, and ends right."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.cluster.operator import OperatorProcess
from tests.e2e.moments import Moment, killed_at
from tests.e2e.reaching_stories import MILD, policies, served
from tests.e2e.scene import Scene, Stage
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.cluster

RAISE, ROUTE, STOP, JOURNAL = (
    f"/deployments/{GOOD}/scale",
    f"/httproutes/{MODEL}",
    f"/deployments/{BAD}/scale",
    f"/containments/{MODEL}",
)
MOMENTS = {
    "warm: scaled up, unanswered": ("WarmThenShift", Moment("PATCH", (RAISE,), answered=True)),
    "warm: about to shift": ("WarmThenShift", Moment("PATCH", (ROUTE,))),
    "warm: shifted, not stopped": ("WarmThenShift", Moment("PATCH", (STOP,))),
    "cut: stopped, unanswered": ("CutThenFree", Moment("PATCH", (STOP,), answered=True)),
    "cut: gone, and not scaled up": ("CutThenFree", Moment("PATCH", (RAISE,))),
    "cut: the journal's next word lost": ("CutThenFree", Moment("PATCH", (JOURNAL,))),
}
QUICK = {"warm: scaled up, unanswered", "cut: gone, and not scaled up"}
PARAMETERS = [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in MOMENTS]


@pytest.fixture(scope="module")
def scenes(stage: Stage, request: pytest.FixtureRequest) -> dict[str, Scene]:
    """A scene for each selected moment, built together."""
    wanted = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path
    ]
    return stage.build_all(
        {name: Shape(standby=True, policies=policies(MOMENTS[name][0], deadline="10m")) for name in wanted}
    )


@pytest.mark.parametrize("name", PARAMETERS)
def test_operator_killed_when(name: str, scenes: dict[str, Scene], proxied: tuple[OperatorProcess, Proxy]) -> None:
    (plan, moment), scene, (operator, proxy) = MOMENTS[name], scenes[name], proxied
    before = scene.specs()
    operator.start()
    killed_at(moment, operator, proxy, lambda: scene.report(category=MILD))
    begun: Any = scene.read("containments", MODEL)["spec"]["holds"][0]["reach"]
    operator.start()
    message = served(scene)
    assert ("which was ready before" in message) == (plan == "WarmThenShift"), scene.read("containments", MODEL)["spec"]
    assert scene.replicas(GOOD) == 3
    scene.contained()
    reach = scene.read("containments", MODEL)["spec"]["holds"][0]["reach"]
    assert {k: reach.get(k) for k in ("asked", "since", "cutAt")} == {
        k: begun.get(k) for k in ("asked", "since", "cutAt")
    }
    released = scene.release()
    assert scene.specs() == before
    keys = Counter(entry["key"] for entry in released["status"]["timeline"])
    assert max(keys.values()) == 1, keys
