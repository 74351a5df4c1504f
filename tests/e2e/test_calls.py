"""What one incident costs the API server, counted from its audit log; and that holding a model writes nothing."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest

from tests.cluster.audit import AuditLog
from tests.cluster.receiver import ReceiverProcess
from tests.cluster.waiting import until
from tests.e2e.alerting import alert
from tests.e2e.calls_budget import ARCHITECTURE, CALLS, MARKER, STATUS_BYTES, excess, sizes, table
from tests.e2e.ledger import Ledger
from tests.e2e.raw_api import Object
from tests.e2e.scene import OPERATOR, RECEIVER, Scene, condition
from tests.e2e.shapes import BAD, MODEL

HELD_SECONDS = 22


def test_the_documentation_shows_the_budgets() -> None:
    _, _, rest = ARCHITECTURE.read_text().partition(MARKER)
    assert rest.strip().startswith(table()), f"put this after {MARKER} in {ARCHITECTURE.name}:\n{table()}"
    assert sizes() in rest, f"say this below the table: {sizes()}"


@pytest.mark.cluster
def test_an_incident_stays_within_its_budgets_and_a_held_model_writes_nothing(
    scene: Scene, receiver: ReceiverProcess, audit: AuditLog
) -> None:
    until(lambda: all(map(_accepted, scene.all("responsepolicies"))), what="policies are reviewed")
    contain = Ledger(audit, scene.namespace)
    firing = {**alert(scene.namespace), "status": "firing", "endsAt": "0001-01-01T00:00:00Z"}
    assert receiver.post({"version": "4", "alerts": [firing]})[0] == 200
    scene.contained()
    until(lambda: _told_at_rest(scene), what="the model's own status is at rest")
    contain.settled()
    contained = _counted(contain)
    stored = _sizes(scene)

    hold, begun = Ledger(audit, scene.namespace), time.monotonic()
    time.sleep(HELD_SECONDS)
    # A model that came when a round had just begun waits for that one, and in the next for its turn.
    until(lambda: hold.counted(OPERATOR)["list pods"], what="the ticker comes by")
    hold.settled()
    held, lasted = hold.counted(OPERATOR), time.monotonic() - begun

    release = Ledger(audit, scene.namespace)
    scene.release()
    release.settled()
    released = _counted(release)

    print(f"\n{'':36}{'contain':>9}{f'{HELD_SECONDS} s':>9}{'release':>9}")
    for name in CALLS:
        print(f"{name:36}{contained[name]:>9}{held[name]:>9}{released[name]:>9}")
    print(f"bytes of status: {stored}")
    assert {plural: size for plural, size in stored.items() if size > STATUS_BYTES[plural]} == {}
    assert excess("contain", contained) == {}
    assert excess("release", released) == {}
    passes = held["list pods"]
    assert 1 <= passes <= lasted // 9 + 1
    dry_runs = {"patch deployments/scale (dry run)": passes, "patch httproutes (dry run)": passes}
    own = {"list pods": passes, "list endpointslices": passes} | dry_runs
    assert {name: held[name] for name in own} == own
    # A model's self-test reads the same, but for the pods; it may fall into this time once or twice, or a part of it.
    assert set(held) == {*own, *_SELF_TEST}
    for name, times in _SELF_TEST.items():
        assert times * passes <= held[name] <= times * (passes + 2), name


_SELF_TEST = {
    "get deployments": 2,
    "get httproutes": 1,
    "get horizontalpodautoscalers": 1,
    "list services": 1,
    "list httproutes": 1,
    "list grpcroutes": 1,
    "list horizontalpodautoscalers": 1,
}
"""Reads of one self-test, which each pass makes as well."""


def _sizes(scene: Scene) -> dict[str, int]:
    """Bytes of the largest status of each kind, as it is stored."""
    return {
        plural: max(len(json.dumps(each["status"], separators=(",", ":"))) for each in scene.all(plural))
        for plural in STATUS_BYTES
    }


def _counted(ledger: Ledger) -> Counter[str]:
    receiver = Counter({f"receiver: {name}": count for name, count in ledger.counted(RECEIVER).items()})
    return ledger.counted(OPERATOR) + receiver


def _accepted(policy: Object) -> bool:
    """Reviewed since the model exists, which is made after its policies."""
    return condition(policy, "Accepted").get("status") == "True"


def _told_at_rest(scene: Scene) -> bool:
    status = scene.read("protectedmodels", MODEL)["status"]
    bad = next(each for each in status["workloads"] if each["name"] == BAD)
    return bool(status["state"] == "Contained" and bad["ready"] == 0)
