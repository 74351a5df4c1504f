"""kill -9 of the operator at chosen moments: the end is the same, the base is the first one, nothing is done twice.

The moments are exact, because a proxy (`tests/faults/proxy.py`) holds the requests of the moment back while the
operator is killed. "lost" means that the request never arrived; "unanswered" that the server stored it and the
operator never knew. Another operator process then takes over.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from tests.cluster.audit import AuditLog
from tests.cluster.operator import OperatorProcess
from tests.e2e.journal import assert_one_base, assert_written
from tests.e2e.ledger import Ledger
from tests.e2e.moments import Moment, killed_at
from tests.e2e.scene import OPERATOR, Scene, Stage
from tests.e2e.shapes import BAD, GOOD, MODEL, Shape
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.cluster


ROUTE = f"/httproutes/{MODEL}"
SCALE = f"/deployments/{BAD}/scale"
SCALER = f"/horizontalpodautoscalers/{BAD}"
JOURNAL = f"/containments/{MODEL}"
STATUS = f"/aiincidents/{MODEL}-1/status"

CONTAINING = {
    "incident stored, journal lost": Moment("POST", ("/containments",)),
    "journal stored, no target written": Moment("PATCH", (ROUTE, SCALE, SCALER)),
    "targets written, no status written": Moment("PATCH", (STATUS, f"{JOURNAL}/status")),
}
CONTAINING_TOO = {
    "journal unanswered": Moment("POST", ("/containments",), answered=True),
    "route and autoscaler written, scale lost": Moment("PATCH", (SCALE,)),
    "scale unanswered": Moment("PATCH", (SCALE,), answered=True),
    "route unanswered": Moment("PATCH", (ROUTE,), answered=True),
    "autoscaler written alone": Moment("PATCH", (ROUTE, SCALE)),
    "status unanswered": Moment("PATCH", (STATUS,), answered=True),
}
RELEASING = {
    "approved, journal lost": Moment("PATCH", (JOURNAL,)),
    "journal unanswered": Moment("PATCH", (JOURNAL,), answered=True),
    "scale lost": Moment("PATCH", (SCALE,)),
    "scale unanswered": Moment("PATCH", (SCALE,), answered=True),
    "workloads back, route lost": Moment("PATCH", (ROUTE,)),
    "route unanswered": Moment("PATCH", (ROUTE,), answered=True),
    "autoscaler lost": Moment("PATCH", (SCALER,)),
    "released, journal not removed": Moment("DELETE", (JOURNAL,)),
    "removal unanswered": Moment("DELETE", (JOURNAL,), answered=True),
}
Case = tuple[str, bool, Moment]
ALL: list[Case] = [(name, True, moment) for name, moment in {**CONTAINING, **CONTAINING_TOO}.items()]
ALL += [(name, False, moment) for name, moment in RELEASING.items()]


def _id(case: Case) -> str:
    return f"{'containing' if case[1] else 'releasing'}: {case[0]}"


def _parameters() -> list[Any]:
    return [pytest.param(c, id=_id(c), marks=[] if c[0] in CONTAINING else [pytest.mark.slow]) for c in ALL]


@pytest.fixture(scope="module")
def scenes(stage: Stage, request: pytest.FixtureRequest) -> dict[str, Scene]:
    """A scene for each selected moment, built together."""
    wanted = [
        cast(Case, item.callspec.params["case"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and "case" in item.callspec.params
    ]
    return stage.build_all({_id(case): Shape() for case in wanted})


@pytest.mark.parametrize("case", _parameters())
def test_operator_killed_when(
    case: Case,
    scenes: dict[str, Scene],
    proxied: tuple[OperatorProcess, Proxy],
    audit: AuditLog,
) -> None:
    _, containing, moment = case
    scene, (operator, proxy) = scenes[_id(case)], proxied
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    operator.start()
    with scene.watched() as watcher:
        if containing:
            killed_at(moment, operator, proxy, scene.report)
            operator.start()
        else:
            scene.report()
        scene.contained()
        held = {"weights": scene.weights(), "replicas": scene.replicas()}
        assert held == {"weights": {GOOD: 100, BAD: 0}, "replicas": 0}
        assert_written(ledger, 1)
        if not containing:
            killed_at(moment, operator, proxy, lambda: _approve(scene))
            operator.start()
        else:
            _approve(scene)
        released = scene.await_state("Released")
        watcher.first("containments", bool, event="DELETED")
    assert scene.specs() == before
    assert_written(ledger, 2)
    assert_one_base(watcher)
    assert not ledger.excess(OPERATOR)
    keys = Counter(entry["key"] for entry in released["status"]["timeline"])
    assert max(keys.values()) == 1, keys


def _approve(scene: Scene) -> None:
    scene.decide("alice", "ApproveRelease")
    scene.decide("bob", "ApproveRelease")
