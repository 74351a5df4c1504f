"""Command line of the test control plane: `python -m tests.cluster build|up|down|status`.

`up` leaves a control plane running that survives the shell: a detached process of ours owns its children, and
its root `<cache>/cluster/` holds everything. `down` ends that process, whose children die with it, and removes
the folder. A recorded pid is trusted only together with its start time. Exit status 0 means done, 1 a failure
that is told on standard error.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tests.cluster.binaries import ALL, CONTROL_PLANE, binaries, gateway_crds, kwok_stages, say
from tests.cluster.cache import CacheEntry, cache_root
from tests.cluster.control_plane import ControlPlane
from tests.cluster.gobuild import ToolError
from tests.cluster.marker import Marker
from tests.cluster.process import ProcessFailedError

_REPOSITORY = Path(__file__).parents[2]
_NODES = 3
_UP_SECONDS = 120.0
_DOWN_SECONDS = 30.0


def main() -> int:
    """Runs one command and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description="A Kubernetes control plane.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="find or build every program, and fetch the data files")
    up_parser = commands.add_parser("up", help="start a control plane that stays")
    up_parser.add_argument("--nodes", type=int, default=_NODES, help="fake nodes (default: %(default)s)")
    commands.add_parser("down", help="stop it and remove its folder")
    commands.add_parser("status", help="say whether it runs")
    serve_parser = commands.add_parser("serve", help="run a control plane in the foreground; `up` uses it")
    serve_parser.add_argument("root", type=Path)
    arguments = parser.parse_args()
    try:
        if arguments.command == "build":
            return build()
        if arguments.command == "serve":
            return serve(arguments.root)
        with CacheEntry(cluster_root()).locked():
            if arguments.command == "up":
                return up(nodes=arguments.nodes)
            return down() if arguments.command == "down" else status()
    except (ToolError, ProcessFailedError) as error:
        print(error, file=sys.stderr)
        return 1


def cluster_root() -> Path:
    """Returns the root of the control plane that `up` starts."""
    return cache_root() / "cluster"


def build() -> int:
    """Finds or builds every program and prints where each one lies."""
    for name, path in binaries(ALL).items():
        print(f"{name:24} {path}")
    print(f"{'gateway-api':24} {gateway_crds()[0].parent}")
    print(f"{'kwok stages':24} {kwok_stages()[0].parent}")
    return 0


def up(*, nodes: int) -> int:
    """Starts a control plane that outlives this process, unless it runs already."""
    root = cluster_root()
    if Marker.running(root) is None:
        binaries(CONTROL_PLANE)  # here, for its progress lines to be seen
        kwok_stages()
        _detach(root)
    plane = ControlPlane.attach(root)
    plane.apply_definitions(*gateway_crds())
    plane.ensure_nodes(nodes, **{"nvidia.com/gpu": 8})
    print(f"export KUBECONFIG={root / 'admin.kubeconfig'}")
    return 0


def down() -> int:
    """Stops the control plane that `up` started and removes its folder."""
    root = cluster_root()
    marker = Marker.running(root)
    if marker is not None:
        pid = marker.owner.pid
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _DOWN_SECONDS
        while marker.owner.alive:
            if time.monotonic() > deadline:
                say(f"process {pid} did not stop in {_DOWN_SECONDS:g} s: killing it")
                os.kill(pid, signal.SIGKILL)
                deadline = float("inf")
            time.sleep(0.1)
        _await_children(marker)
    shutil.rmtree(root, ignore_errors=True)
    say("stopped" if marker is not None else "was not running")
    return 0


def status() -> int:
    """Says whether the control plane runs and where; exit status 1 when it does not."""
    root = cluster_root()
    marker = Marker.running(root)
    if marker is None:
        print("not running")
        return 1
    ready = "ready" if ControlPlane.attach(root).healthy() else "not ready"
    print(f"{marker.url} {ready}, process {marker.owner.pid}, root {root}")
    for child in marker.children:
        print(f"  {child.name:24} {child.pid:>8} {'running' if child.alive else 'gone'}")
    return 0


def serve(root: Path) -> int:
    """Runs a control plane until SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with ControlPlane(root):
        while True:
            signal.pause()


def _end(_number: int, _frame: object) -> NoReturn:
    # A second signal must not interrupt the stopping that this one begins.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)


def _detach(root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(mode=0o700, parents=True)
    log = root / "serve.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster", "serve", str(root)],
            cwd=_REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    say("starting the control plane; this takes about 10 s")
    deadline = time.monotonic() + _UP_SECONDS
    try:
        while not _ready(root):
            if server.poll() is not None or time.monotonic() > deadline:
                raise ProcessFailedError(f"the control plane did not start:\n{log.read_text()}")
            time.sleep(0.2)
    except BaseException:
        # An interrupted `up` leaves nothing: the children die with their owner.
        server.kill()
        server.wait()
        raise


def _ready(root: Path) -> bool:
    return Marker.running(root) is not None and ControlPlane.attach(root).healthy()


def _await_children(marker: Marker) -> None:
    deadline = time.monotonic() + _DOWN_SECONDS
    while left := [child for child in marker.children if child.alive]:
        if time.monotonic() > deadline:
            raise ProcessFailedError(f"still running: {', '.join(str(child.pid) for child in left)}; end them by hand")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
