"""A request that is not taken, and what the sender is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from lazaretto.errors import InvalidInput, LazarettoError
from lazaretto.telemetry.intake import Result

RETRY_SECONDS = 2
_RESULTS: Mapping[HTTPStatus, Result] = {
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.BAD_REQUEST: "malformed",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    HTTPStatus.NOT_FOUND: "misdirected",
    HTTPStatus.METHOD_NOT_ALLOWED: "misdirected",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}


class Refusal(LazarettoError):
    """Ends the handling of a request; the connection ends with it, because its body may not have been read."""

    def __init__(
        self,
        status: HTTPStatus,
        reason: str,
        *,
        headers: Mapping[str, str] | None = None,
        error: InvalidInput | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self._headers = dict(headers or {})
        self._error = error
        super().__init__(reason)

    @property
    def result(self) -> Result:
        """What it counts as."""
        return _RESULTS.get(self.status, "failed")

    def response(self) -> web.Response:
        """The answer. One that may be otherwise later says when to try again."""
        body: dict[str, str] = {"error": self.reason}
        if self._error is not None:
            body |= {"field": self._error.field, "value": self._error.value, "remedy": self._error.remedy}
        headers = dict(self._headers)
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = str(RETRY_SECONDS)
        text = json.dumps(body)
        answer = web.Response(status=self.status, text=text, content_type="application/json", headers=headers)
        answer.force_close()
        return answer
