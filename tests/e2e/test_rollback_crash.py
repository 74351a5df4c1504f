"""kill -9 of the operator while it writes a template back: it is written once, and serves."""

from __future__ import annotations

import pytest

from tests.cluster.audit import AuditLog
from tests.cluster.operator import OperatorProcess
from tests.e2e.ledger import Ledger, named
from tests.e2e.moments import Moment, killed_at
from tests.e2e.rollouts import ROLLING_BACK, Built, all_attested, serves_rolled_back
from tests.e2e.scene import OPERATOR, Stage
from tests.e2e.shapes import BAD
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.cluster

MOMENTS = ("not written", "written, unanswered")


@pytest.fixture(scope="module")
def built(stage: Stage) -> Built:
    """A scene for each moment, in which what was good is run by nothing any more."""
    return all_attested(stage, MOMENTS, ROLLING_BACK)


@pytest.mark.parametrize("name", MOMENTS)
def test_killed_while_it_writes_the_template(
    name: str,
    built: Built,
    proxied: tuple[OperatorProcess, Proxy],
    audit: AuditLog,
) -> None:
    (scene, record), (operator, proxy) = built[name], proxied
    ledger = Ledger(audit, scene.namespace)
    operator.start()
    moment = Moment("PATCH", (f"/deployments/{BAD}",), answered=name != "not written")
    killed_at(moment, operator, proxy, scene.report)
    operator.start()
    serves_rolled_back(scene, record)
    ledger.settled()
    calls = [named(r) for r in ledger.calls(OPERATOR, writes=True) if r.code < 300]
    assert calls.count("patch deployments") == 1
