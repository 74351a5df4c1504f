"""Release: two people, and everything is as it was, in the order that cannot hurt."""

from __future__ import annotations

import pytest

from tests.cluster.audit import AuditLog
from tests.e2e.ledger import Ledger, named
from tests.e2e.scene import OPERATOR, Scene

pytestmark = pytest.mark.cluster


def test_two_people_restore_every_spec_exactly_and_in_order(scene: Scene, audit: AuditLog) -> None:
    before = scene.specs()
    scene.report()
    scene.contained()
    assert scene.specs() != before
    ledger = Ledger(audit, scene.namespace)
    released = scene.release()
    assert scene.specs() == before
    assert released["status"]["times"]["releasedAt"]
    ledger.settled()
    assert [named(r) for r in ledger.targets()] == [
        "patch deployments/scale",
        "patch httproutes",
        "patch horizontalpodautoscalers",
    ]
    assert not ledger.excess(OPERATOR)
