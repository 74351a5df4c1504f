"""Sends a notification as Alertmanager does: again after a 5xx, a broken connection, or no answer in ten seconds.

What is answered by 4xx it gives up: then the alert is lost, and `deliver` fails.
"""

from __future__ import annotations

import time
from http.client import HTTPException
from typing import Any

from tests.cluster.receiver import ReceiverProcess
from tests.cluster.waiting import PATIENCE

ANSWER_SECONDS = 10.0
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 1.0


def deliver(receiver: ReceiverProcess, payload: Any, *, unheard: int = 0) -> None:
    """Returns once the notification was answered by 2xx; the first `unheard` answers are lost on their way."""
    deadline, pause = time.monotonic() + PATIENCE, _FIRST_PAUSE
    while True:
        said = _post(receiver, payload)
        if unheard > 0:
            unheard, said = unheard - 1, "nothing"
        if isinstance(said, int) and said < 300:
            return
        assert not isinstance(said, int) or said >= 500, f"given up: answered by {said}"
        assert time.monotonic() < deadline, f"not delivered after {PATIENCE:g} s, and at last: {said}"
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _post(receiver: ReceiverProcess, payload: Any) -> int | str:
    """The status, or why there is none."""
    try:
        return receiver.post(payload, seconds=ANSWER_SECONDS)[0]
    except (OSError, HTTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}"
