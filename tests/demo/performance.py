"""One run of the demo from the announcement to the bare stage, whatever happens in between.

`perform` returns 0 when every step was seen to happen, 1 when one was not (its name and the ends of all logs are
printed), 130 when it was stopped. SIGINT and SIGTERM end it; everything that it started is ended and its folder
removed in all of these cases, unless `hold` keeps the stage up: that is called with the status once the script
has ended, and may wait as long as it likes.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from tests.cluster.access import KubectlError
from tests.cluster.binaries import CONTROL_PLANE, MONITORING, binaries, gateway_crds, kwok_stages
from tests.cluster.gobuild import ToolError
from tests.cluster.process import ProcessFailedError
from tests.demo.cast import Cast
from tests.demo.preparation import prepare
from tests.demo.screen import Clock, Screen
from tests.demo.script import Script, StepFailedError
from tests.demo.stage import Stage
from tests.e2e.raw_api import RefusedError

_LOG_LINES = 12
_NOT_READY = (
    *(ToolError, ProcessFailedError, KubectlError, RefusedError, TimeoutError),
    *(OSError, HTTPException, subprocess.SubprocessError),
)
Hold = Callable[[Stage, Cast, Screen, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may differ from one run to another."""

    deadline: float
    """Longest wait for anything that a step shows, in seconds."""
    leak: bool = True
    """Whether the metric goes bad at all."""


def perform(root: Path, *, options: Options, hold: Hold | None = None) -> int:
    """Runs the demo beneath `root`; see the module's text."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    clock = Clock()
    screen = Screen(clock=clock)
    stage = Stage(root)
    begun = time.monotonic()
    try:
        _announce(screen)
        _fetch()
        status = _play(stage, screen=screen, clock=clock, options=options, hold=hold)
    except KeyboardInterrupt:
        screen.heading("Stopped on request")
        status = 130
    except _NOT_READY as error:
        screen.heading("The stage could not be set")
        screen.answer(str(error))
        _tell_logs(stage, screen)
        status = 1
    finally:
        # A second Ctrl-C must not interrupt the clearing that the first one began.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        stage.close()
    screen.heading(f"{_RESULTS[status]} in {time.monotonic() - begun:.0f} s; all processes stopped, {root} removed")
    return status


_RESULTS = {0: "Done", 1: "Failed", 130: "Stopped"}


def _play(stage: Stage, *, screen: Screen, clock: Clock, options: Options, hold: Hold | None) -> int:
    cast = prepare(stage, screen)
    script = Script(stage, cast, screen=screen, clock=clock, deadline=options.deadline)
    try:
        script.play(leak=options.leak)
        status = 0
    except StepFailedError as error:
        screen.heading(str(error))
        _tell_logs(stage, screen)
        status = 1
    if hold is not None:
        hold(stage, cast, screen, status)
    return status


def _announce(screen: Screen) -> None:
    screen.heading("Lazaretto: an alert takes a leaking model out of service, two people put it back")
    screen.say(
        "Starts a Kubernetes control plane of its own, Prometheus, Alertmanager and Lazaretto; lets a model leak "
        "personal data; shows what happens, each step once it was seen to have happened. It needs no Docker, no "
        "cluster and no root, listens on 127.0.0.1 only, and removes everything in the end."
    )
    screen.say(
        "The first run builds the programs: about 15 minutes on 2 cores. With them at hand it takes about a minute. "
        "Times are seconds since the metric went bad, and the wall clock (UTC)."
    )


def _fetch() -> None:
    binaries([*CONTROL_PLANE, *MONITORING])
    gateway_crds()
    kwok_stages()


def _tell_logs(stage: Stage, screen: Screen) -> None:
    for name, lines in stage.tails(lines=_LOG_LINES):
        screen.heading(f"End of the log of {name}")
        screen.answer("\n".join(lines))
