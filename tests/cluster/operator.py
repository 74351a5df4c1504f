"""The operator as a process of its own: `python -m lazaretto operator`.

It counts as ready when its liveness endpoint answers; its watches may open a moment later, which changes nothing, as
it acts on what is stored.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.process import free_ports
from tests.cluster.service_process import SOURCES, LazarettoProcess


class OperatorProcess(LazarettoProcess):
    """One operator."""

    _START_SECONDS = 60.0
    _GRACE_SECONDS = 20.0

    def __init__(
        self,
        root: Path,
        kubeconfig: Path,
        *,
        flags: Sequence[str] = (),
        level: str = "info",
        sources: Path = SOURCES,
        log_format: str = "text",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describes the operator; `start` starts it.

        Args:
            root: Folder of its own; takes the log.
            kubeconfig: Whom it is for the API server.
            flags: More flags of the subcommand.
            level: Log level.
            sources: Folder of the package.
            log_format: Log lines for people (text) or for machines (json).
            environment: More variables.
        """
        self.health_url = f"http://127.0.0.1:{free_ports(1)[0]}/healthz"
        arguments = [
            *("--log-level", level, "--log-format", log_format, "operator"),
            *("--kubeconfig", str(kubeconfig), "--liveness", self.health_url),
            *flags,
        ]
        super().__init__(
            root,
            name="operator",
            arguments=arguments,
            ready_url=self.health_url,
            sources=sources,
            environment=environment,
        )

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Ended for the length of a `with`: another one may take its place. Started again however that ends."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def terminate(self) -> None:
        """Asks the operator to end (SIGTERM), and does not wait."""
        os.kill(self.pid, signal.SIGTERM)

    def freeze(self) -> None:
        """Stops the operator in its tracks (SIGSTOP): it holds its connections and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen operator go on."""
        os.kill(self.pid, signal.SIGCONT)
