"""One bounded child process: started, awaited, stopped, and never left behind.

A caller may rely on this: output goes to one log file; the child leads its own process group and `stop` ends
the whole group; the child dies with the Python process that started it, SIGKILL of that process included
(Linux; see `death_signal.py`); it sees a small environment of its own, not the caller's. Processor and memory
use are bounded by GOMAXPROCS and GOMEMLIMIT, which Go programs honour; others ignore them.

Failures raise `ProcessFailedError`, whose text ends with the last lines of the log.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

_DEATH_SIGNAL = Path(__file__).with_name("death_signal.py")
_LOG_TAIL_LINES = 15
_POLL_SECONDS = 0.05

# The kernel sends the death signal when the *thread* that started the child ends. One thread that lives as
# long as the interpreter starts them all, so that a caller's short-lived thread takes no child with it.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="child-starter")

# Below Linux's ephemeral range (32768 and up): an outgoing connection cannot take a port while its server
# is being restarted.
_PORTS = range(20_000, 32_000)


class ProcessFailedError(RuntimeError):
    """A child process did not start, did not become ready, or ended by itself."""


def free_ports(count: int) -> list[int]:
    """Returns `count` different TCP ports of 127.0.0.1 that were free a moment ago."""
    found: list[int] = []
    candidates = random.sample(_PORTS, len(_PORTS))
    for port in candidates:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # SO_REUSEADDR as the servers set it: a port in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise ProcessFailedError(f"only {len(found)} of {count} ports in {_PORTS} are free on 127.0.0.1")


def start_time(pid: int) -> str | None:
    """Returns what the system says when `pid` started, or None when there is no such process.

    Together with the pid it names one process for good: a pid alone may have been given to another since.
    A zombie, which has ended and only awaits its parent, counts as gone.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The command name, second field, may hold spaces and parentheses; split after its end.
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else fields[19]
    ps = shutil.which("ps") or "/bin/ps"
    told = subprocess.run([ps, "-o", "lstart=", "-p", str(int(pid))], capture_output=True, text=True, check=False)
    return told.stdout.strip() or None


class ChildProcess:
    """One child process; see the module's text for what it guarantees."""

    def __init__(
        self,
        name: str,
        *,
        argv: Sequence[str],
        log: Path,
        home: Path,
        environment: Mapping[str, str] | None = None,
        memory_mib: int = 1024,
        processors: int = 4,
    ) -> None:
        """Describes the child; `start` starts it.

        Args:
            name: What messages call it.
            argv: Absolute path of the program and its arguments.
            log: File that receives standard output and error, appended across restarts.
            home: HOME and working directory of the child.
            environment: Variables in addition to PATH, HOME, TMPDIR and the bounds.
            memory_mib: GOMEMLIMIT, a soft limit.
            processors: GOMAXPROCS, at most the machine's own number.
        """
        self.name = name
        self.log = log
        self._argv = list(argv)
        self._home = home
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
            "GOMAXPROCS": str(max(1, min(processors, os.cpu_count() or 1))),
            "GOMEMLIMIT": f"{memory_mib}MiB",
            **(environment or {}),
        }
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The pid of the running child."""
        if self._child is None:
            raise ProcessFailedError(f"{self.name} was not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the child was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Starts the child; does nothing while it runs."""
        if not self.running:
            self._child = _STARTER.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        wrapped = [sys.executable, "-I", "-S", str(_DEATH_SIGNAL), str(os.getpid()), *self._argv]
        with self.log.open("ab") as output:
            return subprocess.Popen(
                wrapped,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                env=self._environment,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Waits until `ready()` is true; raises when the child ends first or `seconds` pass."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise self.failure(f"ended with status {self._status()} before it was ready")
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready after {seconds:g} s")
            time.sleep(_POLL_SECONDS)

    def failure(self, what: str) -> ProcessFailedError:
        """Returns an error that says `what` about this child and shows the end of its log."""
        with suppress(FileNotFoundError):
            lines = self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
            return ProcessFailedError("\n".join([f"{self.name} {what}; end of {self.log}:", *lines]))
        return ProcessFailedError(f"{self.name} {what}; it wrote no log")

    def stop(self, *, grace_seconds: float = 5.0) -> None:
        """Ends the child and its group: SIGTERM, after `grace_seconds` SIGKILL. Safe to repeat."""
        self._signal(signal.SIGTERM)
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout=grace_seconds)
        self.kill()

    def kill(self) -> None:
        """Ends the child and its group at once by SIGKILL and waits for the end. Safe to repeat."""
        self._signal(signal.SIGKILL)
        if self._child is not None:
            self._child.wait(timeout=10)
            self._child = None

    def _signal(self, number: signal.Signals) -> None:
        if self._child is None:
            return
        # The group outlives its leader when a grandchild is left; its id cannot be given away meanwhile.
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)

    def _status(self) -> int | None:
        return None if self._child is None else self._child.returncode
