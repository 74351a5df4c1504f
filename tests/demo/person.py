"""Somebody at a terminal: types kubectl with credentials of their own, in sight of the audience.

What is shown is what runs; only the kubeconfig is chosen by who types. An error of kubectl is shown and raised
(`KubectlError`) unless it is what the audience is meant to see.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from tests.cluster.access import ClusterAccess, KubectlError
from tests.demo.screen import Screen


class Person:
    """One user of the cluster."""

    def __init__(self, name: str, *, kubeconfig: Path, namespace: str, screen: Screen) -> None:
        """Uses `kubeconfig`, whose only context gets `namespace` as its default."""
        self.name = name
        self.kubeconfig = kubeconfig
        self._screen = screen
        self._access = ClusterAccess(kubeconfig, folder=kubeconfig.parent / f"{name}-home")
        self._access.kubectl("config", "set-context", "--current", f"--namespace={namespace}")

    def kubectl(self, *arguments: str, input: str = "", summary: str = "") -> str:
        """Types `kubectl <arguments>`; shows the answer, or `summary` in its place, where {} counts its lines."""
        answer = self.type(*arguments, input=input)
        self._screen.answer(summary.format(len(answer.splitlines())) if summary else answer)
        return answer

    def type(self, *arguments: str, input: str = "") -> str:
        """Types `kubectl <arguments>`, and leaves it to the caller to show the answer."""
        self._show(arguments, input)
        try:
            return self.quietly(*arguments, input=input)
        except KubectlError as error:
            self._screen.answer(error.stderr)
            raise

    def refused(self, *arguments: str, input: str = "") -> str:
        """Types what must be refused; shows and returns what the server said, "" when it was not refused."""
        try:
            self._screen.answer(self.type(*arguments, input=input))
        except KubectlError as error:
            return error.stderr
        return ""

    def quietly(self, *arguments: str, input: str = "") -> str:
        """Runs `kubectl <arguments>` out of sight: to check what was shown."""
        return self._access.kubectl(*arguments, input=input or None)

    def get(self, *arguments: str) -> Any:
        """Runs `kubectl get <arguments> -o json` out of sight and returns what it says."""
        return json.loads(self.quietly("get", *arguments, "-o", "json"))

    def _show(self, arguments: tuple[str, ...], document: str) -> None:
        self._screen.command(self.name, ["kubectl", *map(shlex.quote, arguments)], input=document)
