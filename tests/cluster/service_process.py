"""A server in a folder of its own, as a child process that counts as started once it says that it is ready.

`LazarettoProcess` is one that runs a subcommand of ours. All of them die with the Python process that started them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.cluster.access import answers
from tests.cluster.process import ChildProcess

SOURCES = Path(__file__).parents[2] / "operator"


class ServiceProcess:
    """What all servers have in common; `root` is the server's folder, `log` its output."""

    _START_SECONDS: ClassVar[float] = 30.0
    _GRACE_SECONDS: ClassVar[float] = 5.0

    def __init__(
        self,
        root: Path,
        *,
        name: str,
        argv: Sequence[str],
        ready_url: str,
        environment: Mapping[str, str] | None = None,
        memory_mib: int = 1024,
    ) -> None:
        """Describes the server; `start` starts it.

        Args:
            root: Folder of its own; takes the log.
            name: What messages and the log's name call it.
            argv: Absolute path of the program and its arguments.
            ready_url: Answers by 200 when the server is ready.
            environment: More variables, see `ChildProcess`.
            memory_mib: Soft limit, see `ChildProcess`.
        """
        self.root = root.absolute()
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log = self.root / f"{name}.log"
        self._ready_url = ready_url
        self._child = ChildProcess(
            name, argv=argv, log=self.log, home=self.root, environment=environment, memory_mib=memory_mib
        )

    @property
    def pid(self) -> int:
        """The pid of the running server."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._child.running

    @property
    def ready(self) -> bool:
        """Whether the process runs and says that it is ready."""
        return self._child.running and answers(self._ready_url)

    def start(self, *, ready: bool = True) -> None:
        """Starts the server unless it runs, and, unless told otherwise, waits until it is ready."""
        self._child.start()
        if not ready:
            return
        try:
            self._child.wait_until(lambda: self.ready, seconds=self._START_SECONDS)
        except BaseException:
            self._child.kill()
            raise

    def stop(self) -> None:
        """Ends the server: SIGTERM, SIGKILL at last. Safe to repeat."""
        self._child.stop(grace_seconds=self._GRACE_SECONDS)

    def kill(self) -> None:
        """Ends the server by SIGKILL, at whatever it is; `start` brings it back on the same port with its data."""
        self._child.kill()

    def __enter__(self) -> Self:
        """Starts the server."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the server."""
        self.stop()


class LazarettoProcess(ServiceProcess):
    """`python -m lazaretto`, from the sources of this repository unless told otherwise."""

    def __init__(
        self,
        root: Path,
        *,
        name: str,
        arguments: Sequence[str],
        ready_url: str,
        sources: Path = SOURCES,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describes the server; `arguments` are those of the command line, `environment` has more variables."""
        super().__init__(
            root,
            name=name,
            argv=[sys.executable, "-m", "lazaretto", *arguments],
            ready_url=ready_url,
            environment={"PYTHONPATH": str(sources), "PYTHONUNBUFFERED": "1", **(environment or {})},
        )
