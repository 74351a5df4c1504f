"""Every write of the receiver goes wrong in every way, and each alert that it called stored is stored, once.

What fails without a killed receiver is played about several groups at once, each with a fault of its own, and another
group beside each while its fault lasts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.control_plane import ControlPlane
from tests.e2e.ledger import READS, Ledger
from tests.e2e.scene import RECEIVER
from tests.faults.batches import Batches, parameters
from tests.faults.oracle import Outcome
from tests.faults.receiver_plans import (
    RECEIVER_EVERY_TIME,
    RECEIVER_FAILED,
    RECEIVER_KILLED,
    RECEIVER_WRITES,
    ReceiverPlan,
)
from tests.faults.receiver_story import Intake, attempt, opened
from tests.faults.table import RECEIVED, Line, accept, table

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.xdist_group("receiver")]
AT_ONCE = 8


@pytest.fixture(scope="module")
def intake(
    control_plane: ControlPlane, cluster: ClusterAccess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Intake]:
    """What builds groups starts the receivers."""
    root = tmp_path_factory.mktemp("intake")
    with opened(control_plane, cluster, root, folder=root / "first") as made:
        yield made


@pytest.fixture(scope="module")
def outcomes(intake: Intake, request: pytest.FixtureRequest) -> Batches[ReceiverPlan]:
    """Each plan with a group of its own."""

    def play(plans: Sequence[ReceiverPlan]) -> Sequence[Outcome]:
        groups = intake.build(plans)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda plan, group: attempt(plan, group, intake), plans, groups))

    return Batches(request, size=AT_ONCE, play=play)


def test_these_are_all_writes_of_the_receiver(intake: Intake) -> None:
    """Without a fault nothing is broken, and what is written is what the plans let go wrong."""
    (group,) = intake.build([None])
    ledger = Ledger(intake.audit, group.namespace)
    outcome = attempt(None, group, intake)
    assert not outcome.broken
    verbs = {"POST": "create", "PATCH": "patch"}
    path = "/namespaces/" + group.namespace
    asked = [r for r in ledger.calls(RECEIVER) if r.verb not in READS]
    written = [(r.verb, r.uri.partition("?")[0].partition(path)[2], r.code < 300) for r in asked]
    planned = [(verbs[write.method], write.end) for write in RECEIVER_WRITES]
    assert [each[:2] for each in written if each[2]] == planned
    # An operator beside it writes as well: a write may lose that race, and is made again.
    assert {each[:2] for each in written} == set(planned)
    assert {r.code for r in asked if r.code >= 300} <= {409, 422}


@pytest.mark.parametrize("plan", parameters(RECEIVER_FAILED, every_time=RECEIVER_EVERY_TIME))
def test_a_write_of_the_receiver_fails(plan: ReceiverPlan, outcomes: Batches[ReceiverPlan], lines: list[Line]) -> None:
    _accept(plan, outcomes.outcome(plan), lines)


@pytest.mark.parametrize("plan", parameters(RECEIVER_KILLED, every_time=RECEIVER_EVERY_TIME))
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
