"""Plays a containment and its release around an outage, and judges it as every other story of this folder.

`Witness` is the same independent witness, but one that outlives the API server's restarts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.cluster.audit import AuditLog
from tests.cluster.operator import OperatorProcess
from tests.e2e.journal import assert_one_base
from tests.e2e.ledger import ALLOWED, Ledger, named
from tests.e2e.raw_api import RefusedError, Stream
from tests.e2e.scene import OPERATOR, Scene
from tests.e2e.watcher import WATCHED, Watcher
from tests.faults.faults import REACHED_SECONDS, Fault
from tests.faults.oracle import Outcome, judge
from tests.faults.plans import CONTAIN, RELEASE
from tests.faults.proxy import Proxy
from tests.faults.story import await_end, caught_up, release, retire

HOLD = "hold"
LISTEN_AGAIN_SECONDS = 0.2
Happening = Callable[[Scene], float]
"""Has a phase begin, with something that goes wrong about it; says when that was over (`time.monotonic`)."""


class Witness(Watcher):
    """Opens a watch again that the API server's end has ended, which then begins with what exists."""

    def __init__(self, scene: Scene) -> None:
        """Watches the scene's namespace."""
        super().__init__(scene.admin, scene.namespace, plurals=(*WATCHED, "incidentdecisions"))
        self._over = False

    def stop(self) -> None:
        """Ends the watches."""
        self._over = True
        super().stop()

    def _read(self, plural: str, stream: Stream) -> None:
        super()._read(plural, stream)
        while not self._over:
            time.sleep(LISTEN_AGAIN_SECONDS)
            try:
                stream = self._api.watch(plural, namespace=self._namespace)
            except (OSError, RefusedError):
                continue
            self._streams.append(stream)
            super()._read(plural, stream)


class TolerantLedger(Ledger):
    """For stories in which what should be granted is refused: only what was carried out can have been one too many.

    An API server that has not read its roles yet refuses, and so does one of which somebody took rights away.
    """

    def excess(self, user: str) -> set[str]:
        """See `Ledger.excess`."""
        return {named(r) for r in self.calls(user) if r.code not in (401, 403) and named(r) not in ALLOWED[user]}


def reported(scene: Scene) -> float:
    """An incident, and nothing that goes wrong."""
    scene.report()
    return time.monotonic()


def approved(scene: Scene) -> float:
    """Two people approve of the release, and nothing goes wrong."""
    release(scene)
    return time.monotonic()


BEGINNINGS: Mapping[str, Happening] = {CONTAIN: reported, RELEASE: approved}
"""How a phase begins of which nothing goes wrong."""


def attempt(scene: Scene, audit: AuditLog, *, tolerant: bool = False, **phases: Happening) -> Outcome:
    """See `play`; a story that does not come to its end breaks what it is for."""
    try:
        return play(scene, audit, tolerant=tolerant, **phases)
    except (AssertionError, OSError, TimeoutError) as error:
        return Outcome({"R" if "release" in phases else "C": f"it did not come to its end: {error}"})


def play(
    scene: Scene,
    audit: AuditLog,
    *,
    contain: Happening = reported,
    hold: Happening | None = None,
    release: Happening = approved,
    tolerant: bool = False,
) -> Outcome:
    """The whole story; `after` is the longest that a phase took from the end of what went wrong."""
    before = scene.specs()
    ledger = (TolerantLedger if tolerant else Ledger)(audit, scene.namespace)
    outcome = Outcome()
    try:
        with Witness(scene) as witness:
            outcome.after = max(_phases(scene, {CONTAIN: contain, HOLD: hold, RELEASE: release}))
            ledger.settled()
            caught_up(witness, scene)
            outcome.broken = judge(witness, ledger, before=before, after=scene.specs(), incident=scene.incident())
            assert_one_base(witness)
    finally:
        retire(scene)
    print(f"{ledger.counted(OPERATOR).total()} requests")
    return outcome


def _phases(scene: Scene, happenings: Mapping[str, Happening | None]) -> Iterator[float]:
    for phase, happening in happenings.items():
        if happening is None:
            continue
        over = happening(scene)
        await_end(RELEASE if phase == RELEASE else CONTAIN, scene)
        took = time.monotonic() - over
        print(f"\n{phase}: {took:.1f} s")
        if happening not in (reported, approved):
            yield max(0.0, took)


@contextmanager
def staying(operator: OperatorProcess) -> Iterator[None]:
    """The process that runs does so all the while: whatever happens is nothing to end for."""
    pid = operator.pid
    yield
    assert operator.running, "it ended"
    assert operator.pid == pid


@contextmanager
def standing_still(proxy: Proxy, scene: Scene, *, begin: Happening, at: Fault) -> Iterator[None]:
    """The phase has come to a certain request, which is lost when the `with` ends."""
    with proxy.befallen(at):
        begin(scene)
        assert at.reached.wait(REACHED_SECONDS), "it never came so far"
        yield
