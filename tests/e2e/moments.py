"""kill -9 of the operator at an exact moment: requests of that moment stand still in a proxy until it is dead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.cluster.operator import OperatorProcess
from tests.faults.faults import Held
from tests.faults.proxy import Proxy

HELD_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Moment:
    """Requests that are held back when the operator is killed: method and ends of paths, and what becomes of them."""

    method: str
    ends: tuple[str, ...]
    answered: bool = False

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is one of those."""
        return method == self.method and path.endswith(self.ends)


def killed_at(moment: Moment, operator: OperatorProcess, proxy: Proxy, begin: Callable[[], Any]) -> None:
    """Begins something, and kills the operator at the moment."""
    with proxy.befallen(Held(moment.matches, answered=moment.answered)) as fault:
        thread = threading.Thread(target=begin)
        thread.start()
        assert fault.reached.wait(HELD_SECONDS), "the moment never came"
        operator.kill()
        thread.join()
