"""What an answer means, and whether to ask again.

The client library never retries for us: a containment write must be repeated at once and
often, a create only with the knowledge that the first may have been stored. Per-try
timeouts are short, waits start at 25 ms, are jittered, and honour Retry-After.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from lazaretto.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
)
from lazaretto.kube.request import JSON_PATCH, Request
from lazaretto.kube.transport import Response

T = TypeVar("T")

_RETRIABLE = frozenset({401, 408, 425, 429, 500, 502, 503, 504})
"""401 among them: it says nothing about rights, and the transport reads a token again that was not taken."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to try. All in seconds."""

    per_try: float = 2.0
    deadline: float = 15.0
    first_wait: float = 0.025
    longest_wait: float = 1.0


CONTAINMENT = RetryPolicy(per_try=1.0, deadline=10.0)
"""For the writes and reads that take a model out of service."""
BACKGROUND = RetryPolicy(per_try=5.0, deadline=30.0)
"""For status, events and everything else that may wait."""


def error_of(response: Response, request: Request) -> ApiError | None:
    """The error that an answer stands for; None for a success."""
    if 200 <= response.status < 300:
        return None
    status = response.json()
    said = status if isinstance(status, dict) else {}
    message = str(said.get("message") or response.body[:200].decode("utf-8", "replace"))[:1024]
    kind = _kind_of(response.status, said, request)
    return kind(response.status, message, request=str(request), retry_after=_retry_after(response))


def _kind_of(status: int, said: Mapping[str, Any], request: Request) -> type[ApiError]:
    if status in _RETRIABLE or (status in (403, 422) and _not_ready(said)):
        return Unavailable
    if status == 409:
        return AlreadyExists if said.get("reason") == "AlreadyExists" else Conflict
    if status == 422 and request.content_type == JSON_PATCH and _does_not_apply(said):
        return Conflict
    by_status: dict[int, type[ApiError]] = {403: Forbidden, 404: NotFound, 410: Expired}
    return by_status.get(status, Invalid)


def _not_ready(said: Mapping[str, Any]) -> bool:
    """Whether the server could not ask an admission policy, instead of having asked it.

    One that has just started may look for the kind of a policy's parameters before it serves it, and looks again
    after 30 s (k8s.io/apiserver, admission/plugin/policy/generic).
    """
    message = str(said.get("message", ""))
    return "AdmissionPolicy" in message and "failed to configure " in message


def _does_not_apply(said: Mapping[str, Any]) -> bool:
    """Whether a JSON patch, such as its `test`, did not fit the object.

    The API server says no more than "Invalid" then; what validation or admission refuse has causes.
    """
    details = said.get("details")
    return said.get("reason") == "Invalid" and not (isinstance(details, Mapping) and details.get("causes"))


def _retry_after(response: Response) -> float | None:
    try:
        return float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None


async def retrying(attempt: Callable[[float], Awaitable[T]], *, policy: RetryPolicy) -> T:
    """Call `attempt(timeout)` until it does not raise `Unavailable`, or the deadline has passed.

    The last `Unavailable` is raised. Anything else passes through at once.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + policy.deadline
    wait = policy.first_wait
    while True:
        try:
            return await attempt(min(policy.per_try, max(0.05, end - loop.time())))
        except Unavailable as error:
            pause = max(wait * (0.5 + random.random()), error.retry_after or 0.0)  # noqa: S311  # jitter, not a secret
            if loop.time() + pause >= end:
                raise
            await asyncio.sleep(pause)
            wait = min(wait * 2, policy.longest_wait)
