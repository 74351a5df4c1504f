"""Records that are deleted release nothing, and the way out that is then told is an exact one."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.installation import BREAK_GLASS
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.raw_api import Object
from tests.e2e.scene import Scene, condition
from tests.e2e.shapes import MODEL

pytestmark = pytest.mark.cluster

INCIDENT = f"{MODEL}-1"
EMERGENCY = ("--as=alice", f"--as-group={BREAK_GLASS}", "--as-group=system:masters")


def contained(scene: Scene) -> Object:
    """Everything that the containment touches, as it is held."""
    scene.report()
    scene.contained()
    held: Object = scene.specs()
    return held


def orphaned(scene: Scene) -> str:
    """What the containment says of a hold whose incident is gone; "" if it says nothing."""
    return str(condition(scene.read("containments", MODEL), "Orphaned").get("message", ""))


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_a_deleted_incident_releases_nothing_and_the_told_command_restores_exactly(
    cascade: str, scene: Scene, cluster: ClusterAccess
) -> None:
    originals, held = scene.specs(), contained(scene)
    cluster.kubectl("delete", "aii", INCIDENT, "-n", scene.namespace, f"--cascade={cascade}")
    message = until(lambda: orphaned(scene), what="the containment says that its incident is gone")
    until(lambda: [e for e in scene.events(MODEL) if e["reason"] == "Orphaned"], what="it is an Event as well")
    assert scene.specs() == held
    command = re.search(r"kubectl (.*) as the group ", message)
    assert command, message
    cluster.kubectl(*shlex.split(command.group(1)), *EMERGENCY)
    until(lambda: scene.read("containments", MODEL) is None, what="the journal is gone")
    assert scene.specs() == originals


LOST = (("pm", MODEL), ("rp", "--all"), ("mrev", "--all"))


def test_an_operator_that_is_installed_again_takes_up_what_it_finds(
    scene: Scene, cluster: ClusterAccess, operator: OperatorProcess
) -> None:
    """Between, everything that it once decided by was deleted."""
    originals, held = scene.specs(), contained(scene)
    operator.stop()
    for kind, name in LOST:
        cluster.kubectl("delete", kind, name, "-n", scene.namespace)
    operator.start()
    scene.contained()
    assert scene.specs() == held
    assert orphaned(scene) == ""
    scene.release()
    assert scene.specs() == originals


def test_an_incident_that_is_made_anew_under_the_same_name_is_another_one(scene: Scene, cluster: ClusterAccess) -> None:
    """Approvals count for the uid that they name: nobody gets a model back by deleting its incident."""
    held = contained(scene)
    before = scene.incident()
    cluster.kubectl("delete", "aii", INCIDENT, "-n", scene.namespace)
    until(lambda: orphaned(scene), what="the containment says that its incident is gone")
    scene.report()
    until(lambda: len(scene.read("containments", MODEL)["spec"]["holds"]) == 2, what="the new one holds as well")
    assert scene.incident()["metadata"]["uid"] != before["metadata"]["uid"]
    for user in ("alice", "bob"):
        scene.decide(user, "ApproveRelease")
    scene.await_state("Released")
    assert scene.specs() == held
    assert [h["incidentUID"] for h in scene.read("containments", MODEL)["spec"]["holds"]] == [before["metadata"]["uid"]]
