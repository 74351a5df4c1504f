"""Reads the API server's audit log as typed records.

The log is the one witness that sees every request, whoever sent it. A reader takes a mark, lets something
happen, and reads what came after. Only complete lines are parsed.

The server writes a record as the last step of a request, possibly an instant after the client has read the
answer: a test that expects a record uses `wait_for`, as `since` alone may miss the very last one. A malformed
line raises `ValueError`, as that would make every count wrong.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NewType

Mark = NewType("Mark", int)

_POLL_SECONDS = 0.02
_COMPLETE = "ResponseComplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One request as the API server saw it.

    Attributes:
        verb: get, list, watch, create, update, patch, delete or deletecollection.
        user: The authenticated user, before impersonation.
        impersonated: The user that was acted as, or "".
        resource: Plural name, "" for paths that are no resource.
        subresource: status, scale, … or "".
        namespace: "" for cluster-scoped objects.
        name: "" for lists; for creations with `generateName`, the name in the answer where it was recorded.
        code: HTTP status of the answer, 0 where none was sent.
        stage: ResponseComplete, ResponseStarted (of a watch) or Panic.
        at: When that stage was reached.
        received: When the request arrived.
        request_object: Body of the request, where the policy records it.
        response_object: Body of the answer, where the policy records it.
        user_agent: What the client calls itself.
        uri: The request's path and query.
        annotations: What authorization and admission added.
    """

    verb: str
    user: str
    impersonated: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    stage: str
    at: dt.datetime
    received: dt.datetime
    request_object: Any
    response_object: Any
    user_agent: str
    uri: str
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def dry_run(self) -> bool:
        """Whether nothing was to be stored."""
        return "dryRun=" in self.uri

    @classmethod
    def parse(cls, line: bytes | str) -> AuditRecord:
        """Returns the record of one line of the log."""
        event = json.loads(line)
        target = event.get("objectRef", {})
        answer = event.get("responseObject")
        named = answer.get("metadata", {}).get("name", "") if isinstance(answer, dict) else ""
        return cls(
            verb=event["verb"],
            user=event.get("user", {}).get("username", ""),
            impersonated=event.get("impersonatedUser", {}).get("username", ""),
            resource=target.get("resource", ""),
            subresource=target.get("subresource", ""),
            namespace=target.get("namespace", ""),
            name=target.get("name") or named,
            code=event.get("responseStatus", {}).get("code", 0),
            stage=event["stage"],
            at=dt.datetime.fromisoformat(event["stageTimestamp"]),
            received=dt.datetime.fromisoformat(event["requestReceivedTimestamp"]),
            request_object=event.get("requestObject"),
            response_object=answer,
            user_agent=event.get("userAgent", ""),
            uri=event.get("requestURI", ""),
            annotations=event.get("annotations", {}),
        )


class AuditLog:
    """The audit log at one path; it may not exist yet."""

    def __init__(self, path: Path) -> None:
        """Reads from `path`, never writes."""
        self._path = path

    def mark(self) -> Mark:
        """Returns the present end of the log."""
        return Mark(self._path.stat().st_size if self._path.exists() else 0)

    def since(
        self,
        mark: Mark,
        *,
        users: Collection[str] | None = None,
        verbs: Collection[str] | None = None,
        namespace: str | None = None,
    ) -> Iterator[AuditRecord]:
        """Yields the completed requests that were written after `mark`, in the order of the log.

        Args:
            mark: Where to begin.
            users: Only requests of these users.
            verbs: Only these verbs.
            namespace: Only requests within this namespace; "" means cluster-scoped ones.
        """
        for line in self._lines(mark):
            record = AuditRecord.parse(line)
            if (
                record.stage == _COMPLETE
                and (users is None or record.user in users)
                and (verbs is None or record.verb in verbs)
                and (namespace is None or record.namespace == namespace)
            ):
                yield record

    def wait_for(self, mark: Mark, *, matches: Callable[[AuditRecord], bool], seconds: float = 60.0) -> AuditRecord:
        """Returns the first completed request after `mark` that matches; raises `TimeoutError` without one."""
        deadline = time.monotonic() + seconds
        while True:
            for record in self.since(mark):
                if matches(record):
                    return record
            if time.monotonic() > deadline:
                raise TimeoutError(f"no matching request in {self._path} after {seconds:g} s")
            time.sleep(_POLL_SECONDS)

    def _lines(self, mark: Mark) -> Iterator[bytes]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            # A mark that was taken in the middle of a line belongs to the end of that line.
            file.seek(max(0, mark - 1))
            if mark and file.read(1) != b"\n":
                file.readline()
            for line in file:
                # The last line may still be in the writing.
                if line.endswith(b"\n"):
                    yield line
