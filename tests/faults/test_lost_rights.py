"""The operator's rights in a namespace are taken from it, or its token: it says so, goes on, and ends what it began."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.operator import OperatorProcess
from tests.cluster.waiting import until
from tests.e2e.conftest import SYSTEM
from tests.e2e.ledger import Ledger
from tests.e2e.scene import OPERATOR, Scene, Stage, condition, opt_in
from tests.e2e.shapes import MODEL
from tests.faults.faults import Held
from tests.faults.outage_story import BEGINNINGS, HOLD, attempt, standing_still, staying
from tests.faults.outages import RIGHTS, TOKEN, targets_of
from tests.faults.plans import CONTAIN
from tests.faults.story import Place
from tests.faults.table import Line, accept

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.xdist_group("rights")]
WITHOUT_SECONDS = 20.0
INVALID_SECONDS = 10.0
MOST_LINES = 60 * 10
"""In those seconds, of which most are one for each watch that is tried."""
NOT_TAKEN = "401"
MOST_REQUESTS = 20 * 20
"""In one namespace in those seconds: the model is looked at once a second, and watches are asked for as often."""
ROLE = "lazaretto-actor"


def take(scene: Scene) -> None:
    """Takes away what the operator may do in the namespace, and waits until the API server has heard of it."""
    scene.admin.delete("rolebindings", namespace=scene.namespace, name=ROLE)


@pytest.mark.parametrize("phase", [*BEGINNINGS, HOLD])
def test_rights_are_taken(phase: str, place: Place, stage: Stage, lines: list[Line]) -> None:
    """Between the journal and what it speaks of, or while all of that is held."""
    place.operator.start()

    def happen(scene: Scene) -> float:
        if phase == HOLD:
            take(scene)
        else:
            with standing_still(place.proxy, scene, begin=BEGINNINGS[phase], at=Held(targets_of(scene.namespace))):
                take(scene)
        ledger, taken = Ledger(place.audit, scene.namespace), time.monotonic()
        until(lambda: _lacking(scene), what="it is degraded, and says what may not be done")
        print(f"\n{phase}: said after {time.monotonic() - taken:.1f} s: {_lacking(scene)[:100]}")
        time.sleep(WITHOUT_SECONDS)
        counted = ledger.counted(OPERATOR)
        print(f"{counted.total()} requests in {time.monotonic() - taken:.0f} s: {dict(counted)}")
        assert counted.total() <= MOST_REQUESTS
        assert _lacking(scene)
        opt_in(scene)
        return time.monotonic()

    outcome = attempt(stage.build(), place.audit, tolerant=True, **{phase: happen})
    accept(Line("outages", RIGHTS, phase, outcome.broken, outcome.after), lines)


def _lacking(scene: Scene) -> str:
    """What an incident says that may not be done, if it calls itself neither contained nor released meanwhile."""
    incident = scene.incident()
    said = str(condition(incident, "Degraded").get("message", ""))
    return said if "may not" in said and incident["status"]["state"] in ("Degraded", "Releasing") else ""


class Token:
    """A token of the operator's account in a file, good for as long as a Secret exists, as one in a pod for its pod."""

    def __init__(self, cluster: ClusterAccess, file: Path) -> None:
        self.file = file
        self._cluster = cluster
        self._names: list[str] = []
        self.replace()

    def replace(self) -> None:
        """Puts a new one into the file."""
        name = f"token-{uuid.uuid4().hex[:8]}"
        self._cluster.kubectl("create", "secret", "generic", name, "-n", SYSTEM)
        bound = ("--bound-object-kind=Secret", f"--bound-object-name={name}")
        token = self._cluster.kubectl("create", "token", "lazaretto-operator", "-n", SYSTEM, *bound)
        new = self.file.with_suffix(".new")
        new.write_text(token)
        new.replace(self.file)
        self._names.append(name)

    def forget(self) -> None:
        """Makes all of them invalid."""
        self._cluster.kubectl("delete", "secret", *self._names, "-n", SYSTEM)
        self._names.clear()


@pytest.fixture
def token(cluster: ClusterAccess, tmp_path: Path) -> Iterator[Token]:
    made = Token(cluster, tmp_path / "token")
    yield made
    made.forget()


@pytest.fixture
def renewing(place: Place, cluster: ClusterAccess, token: Token, tmp_path: Path) -> Iterator[OperatorProcess]:
    """Another operator in the place of the first, with that token."""
    kubeconfig = tmp_path / "kubeconfig"
    cluster.write_kubeconfig(kubeconfig, user="operator", credentials={"tokenFile": str(token.file)})
    with place.operator.resting(), OperatorProcess(tmp_path / "operator", kubeconfig) as operator:
        yield operator


def test_a_token_is_replaced(
    place: Place, stage: Stage, token: Token, renewing: OperatorProcess, lines: list[Line]
) -> None:
    """The old one is made invalid some seconds before there is another, which no kubelet does."""
    scene = stage.build()

    def happen(scene: Scene) -> float:
        old = token.file.read_text().strip()
        token.forget()
        until(lambda: not _valid(stage, old), what="the old one is invalid")
        size, begun = renewing.log.stat().st_size, time.monotonic()
        scene.report()
        time.sleep(INVALID_SECONDS)
        assert scene.read("containments", MODEL) is None
        with renewing.log.open("rb") as log:
            log.seek(size)
            said = log.read().decode()
        print(f"\n{said.count(NOT_TAKEN)} refused, {said.count(chr(10))} lines in {time.monotonic() - begun:.1f} s")
        assert NOT_TAKEN in said, "the token was good"
        assert said.count("\n") <= MOST_LINES
        assert "there is no switch" not in said
        token.replace()
        return time.monotonic()

    with staying(renewing):
        outcome = attempt(scene, place.audit, tolerant=True, contain=happen)
        accept(Line("outages", TOKEN, CONTAIN, outcome.broken, outcome.after), lines)


def _valid(stage: Stage, token: str) -> bool:
    """Whether the API server takes it, which remembers for some seconds what it took."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    answer = json.loads(stage.plane.kubectl("create", "-f", "-", "-o", "json", input=json.dumps(body)))
    return bool(answer["status"].get("authenticated"))
