"""`KEEP=1`: a demo that stays up after its last step, until `python -m tests.demo down`.

Children die with the process that started them, so a process of its own, in a session of its own, runs the demo
and stays; the one in the foreground passes on what it says, and Ctrl-C, and ends with its status once the script
has ended. The control plane's marker beneath `<cache>/demo/` names that process by pid and start time, so `down`
can never end somebody else's.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.cluster.binaries import binary, say
from tests.cluster.cache import CacheEntry, cache_root
from tests.cluster.marker import Marker
from tests.demo.cast import Cast
from tests.demo.performance import Options, perform
from tests.demo.screen import Screen
from tests.demo.stage import REPOSITORY, Stage

_DOWN_SECONDS = 60.0


def kept_root() -> Path:
    """The folder of the demo that stays."""
    return cache_root() / "demo"


def keep(arguments: list[str]) -> int:
    """Runs a demo that stays, with these arguments of the command line; returns the script's status."""
    root = kept_root()
    with CacheEntry(root).locked():
        if Marker.running(root / "control-plane") is not None:
            say("a demo is up already: `make demo-down` stops it")
            return 1
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(mode=0o700, parents=True)
        return _foreground(arguments)


def _foreground(arguments: list[str]) -> int:
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "tests.demo", *arguments, "stay", str(writing)]
    owner = subprocess.Popen(command, cwd=REPOSITORY, pass_fds=[writing], start_new_session=True)
    os.close(writing)
    # Whoever runs us may end us by either signal; the owner, in its own session, hears of neither.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        told = os.read(reading, 8)
    except KeyboardInterrupt:
        owner.send_signal(signal.SIGTERM)
        return owner.wait()
    return int(told) if told else owner.wait()


def stay(descriptor: int, *, options: Options) -> int:
    """Runs the demo and waits until it is told to end; the script's status goes to `descriptor`."""

    def hold(stage: Stage, cast: Cast, screen: Screen, status: int) -> None:
        _explain(stage, cast, screen)
        # The terminal belongs to the foreground, which ends now; what is said from here on is for nobody.
        sys.stdout.flush()
        silence = os.open(stage.root / "kept.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(silence, stream)
        os.write(descriptor, str(status).encode())
        os.close(descriptor)
        while True:
            signal.pause()

    return perform(kept_root(), options=options, hold=hold)


def _explain(stage: Stage, cast: Cast, screen: Screen) -> None:
    screen.heading("Left running, because KEEP is set")
    if shutil.which("kubectl") is None:
        screen.answer(f"export PATH={binary('kubectl').parent}:$PATH")
    screen.answer(f"export KUBECONFIG={cast.admin.kubeconfig}")
    screen.answer("kubectl get aii,idec,ctm,pm,mrev,rp")
    for who in (cast.alice, cast.bob):
        screen.fact(f"  as {who.name}", f"--kubeconfig={who.kubeconfig}")
    screen.fact("  Prometheus", stage.prometheus.url)
    screen.fact("  Alertmanager", stage.alertmanager.url)
    screen.fact("  logs", str(stage.root))
    screen.fact("  let it leak again", f"curl -X POST http://{stage.models['support-llm-v2'].address}/leak")
    screen.fact("  stop it", "make demo-down")


def down() -> int:
    """Ends the demo that stayed and removes its folder."""
    root = kept_root()
    with CacheEntry(root).locked():
        marker = Marker.running(root / "control-plane")
        if marker is not None:
            with suppress(ProcessLookupError):
                os.kill(marker.owner.pid, signal.SIGTERM)
            deadline = time.monotonic() + _DOWN_SECONDS
            while marker.owner.alive or any(child.alive for child in marker.children):
                if time.monotonic() > deadline and marker.owner.alive:
                    say(f"process {marker.owner.pid} did not stop in {_DOWN_SECONDS:g} s: killing it")
                    os.kill(marker.owner.pid, signal.SIGKILL)
                    deadline = float("inf")
                time.sleep(0.1)
        shutil.rmtree(root, ignore_errors=True)
    say("stopped" if marker is not None else "was not running")
    return 0
