"""Every write of the receiver goes wrong in every way, and each alert that it called stored is stored, once.

What fails without a killed receiver is played about several groups at once, each with a fault of its own, and another
group beside each while its fault lasts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any, cast

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.control_plane import ControlPlane
from tests.cluster.receiver import ReceiverProcess
from tests.cluster.receiver_stories import SYSTEM, TOKENS, receiver_as_itself
from tests.e2e.ledger import READS, Ledger
from tests.e2e.raw_api import RawApi
from tests.e2e.scene import RECEIVER
from tests.faults.oracle import Outcome
from tests.faults.proxy import Proxy
from tests.faults.receiver_plans import (
    RECEIVER_EVERY_TIME,
    RECEIVER_FAILED,
    RECEIVER_KILLED,
    RECEIVER_WRITES,
    ReceiverPlan,
)
from tests.faults.receiver_story import Intake, attempt
from tests.faults.table import RECEIVED, Line, accept, table

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.xdist_group("receiver")]
AT_ONCE = 8


def parameters(plans: Sequence[ReceiverPlan]) -> list[Any]:
    """All of them; those that are not for every run are slow."""
    return [pytest.param(p, id=str(p), marks=[] if p in RECEIVER_EVERY_TIME else [pytest.mark.slow]) for p in plans]


@pytest.fixture(scope="module")
def intake(
    control_plane: ControlPlane, cluster: ClusterAccess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Intake]:
    """A receiver under its ServiceAccount, behind a proxy, and one beside it; what builds groups starts them."""
    root = tmp_path_factory.mktemp("intake")
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-receiver")
    with (
        closing(RawApi(control_plane.kubeconfig)) as admin,
        Proxy(kubeconfig, root / "kubeconfig") as proxy,
        ExitStack() as stack,
    ):
        receiver = ReceiverProcess(root / "first", root / "kubeconfig", namespace=SYSTEM, tokens=TOKENS)
        second = receiver_as_itself(cluster, root / "second")
        stack.callback(receiver.stop)
        stack.callback(second.stop)
        yield Intake(receiver, second, proxy, admin, control_plane.audit)


@pytest.fixture(scope="module")
def outcomes(intake: Intake, request: pytest.FixtureRequest) -> Batches:
    """Of every selected plan that kills nobody."""
    wanted = [
        cast(ReceiverPlan, item.callspec.params["plan"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and "outcomes" in item.fixturenames
    ]
    return Batches(wanted, intake)


class Batches:
    """Plays plans that kill nobody, several at once: each when the first of its batch is asked for."""

    def __init__(self, plans: Sequence[ReceiverPlan], intake: Intake) -> None:
        self._batches = [plans[first : first + AT_ONCE] for first in range(0, len(plans), AT_ONCE)]
        self._intake = intake
        self._played: dict[ReceiverPlan, Outcome] = {}

    def outcome(self, plan: ReceiverPlan) -> Outcome:
        """What became of a plan."""
        if plan not in self._played:
            self._play(next(batch for batch in self._batches if plan in batch))
        return self._played[plan]

    def _play(self, plans: Sequence[ReceiverPlan]) -> None:
        groups = self._intake.build(plans)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            outcomes = list(pool.map(lambda plan, group: attempt(plan, group, self._intake), plans, groups))
        self._played |= dict(zip(plans, outcomes, strict=True))


def test_these_are_all_writes_of_the_receiver(intake: Intake) -> None:
    """Without a fault nothing is broken, and what is written is what the plans let go wrong."""
    (group,) = intake.build([None])
    ledger = Ledger(intake.audit, group.namespace)
    outcome = attempt(None, group, intake)
    assert not outcome.broken
    verbs = {"POST": "create", "PATCH": "patch"}
    path = "/namespaces/" + group.namespace
    written = [(r.verb, r.uri.partition("?")[0].partition(path)[2]) for r in ledger.calls(RECEIVER)]
    assert [each for each in written if each[0] not in READS] == [(verbs[w.method], w.end) for w in RECEIVER_WRITES]


@pytest.mark.parametrize("plan", parameters(RECEIVER_FAILED))
def test_a_write_of_the_receiver_fails(plan: ReceiverPlan, outcomes: Batches, lines: list[Line]) -> None:
    _accept(plan, outcomes.outcome(plan), lines)


@pytest.mark.parametrize("plan", parameters(RECEIVER_KILLED))
def test_the_receiver_is_killed(plan: ReceiverPlan, intake: Intake, lines: list[Line]) -> None:
    (group,) = intake.build([plan])
    _accept(plan, attempt(plan, group, intake), lines)


def test_the_table_has_rows_of_the_receiver_s_own() -> None:
    """Of its own faults, and with what is asked of it."""
    first, second = (ReceiverPlan("409 Conflict", write) for write in RECEIVER_WRITES[:2])
    lines: list[Line] = []
    _accept(first, Outcome(after=1.0), lines)
    with pytest.raises(AssertionError):
        _accept(second, Outcome({"X": "stored twice"}, after=3.0), lines)
    (row,) = table(lines).splitlines()[2:]
    asked = "holds | **broken** (1) | - | - | - | holds | - | holds"
    assert row.startswith(f"| receiver: 409 Conflict | 2 | {asked} | 2.0 s, 3.0 s |")


def _accept(plan: ReceiverPlan, outcome: Outcome, lines: list[Line]) -> None:
    accept(Line(RECEIVED, plan.fault, plan.place, outcome.broken, outcome.after), lines)
