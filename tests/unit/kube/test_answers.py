"""What an answer of the API server stands for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from lazaretto.kube import request as requests
from lazaretto.kube.request import Request
from lazaretto.kube.resource import DEPLOYMENTS
from lazaretto.kube.retry import error_of
from lazaretto.kube.transport import Response

ONE: dict[str, Any] = {"namespace": "shop", "name": "chat"}
GET = requests.get(DEPLOYMENTS, **ONE)
POST = requests.create(DEPLOYMENTS, {}, namespace="shop", manager="m")
MERGE = requests.merge_patch(DEPLOYMENTS, {}, **ONE, manager="m")
GUARDED = requests.json_patch(DEPLOYMENTS, [], **ONE, manager="m")
DELETE = requests.delete(DEPLOYMENTS, **ONE, uid="u1")


def answer(status: int, reason: str = "", *, message: str = "why", details: Any = None, **headers: str) -> Response:
    body = {"kind": "Status", "code": status, "reason": reason, "message": message, "details": details}
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Response(status, named, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "reason", "request_", "kind"),
    [
        (300, "", GET, Invalid),
        (304, "", GET, Invalid),
        (400, "BadRequest", MERGE, Invalid),
        (401, "Unauthorized", GET, Unavailable),
        (403, "Forbidden", MERGE, Forbidden),
        (404, "NotFound", GET, NotFound),
        (404, "", POST, NotFound),
        (405, "MethodNotAllowed", DELETE, Invalid),
        (406, "NotAcceptable", GET, Invalid),
        (408, "", GET, Unavailable),
        (409, "AlreadyExists", POST, AlreadyExists),
        (409, "Conflict", POST, Conflict),
        (409, "Conflict", MERGE, Conflict),
        (409, "Conflict", DELETE, Conflict),
        (409, "", GUARDED, Conflict),
        (410, "Expired", GET, Expired),
        (410, "Gone", GET, Expired),
        (413, "RequestEntityTooLarge", POST, Invalid),
        (415, "UnsupportedMediaType", GUARDED, Invalid),
        (422, "Invalid", POST, Invalid),
        (422, "Invalid", MERGE, Invalid),
        (422, "Invalid", GUARDED, Conflict),
        (422, "", GUARDED, Invalid),
        (425, "", GET, Unavailable),
        (429, "TooManyRequests", POST, Unavailable),
        (500, "InternalError", POST, Unavailable),
        (501, "", GET, Invalid),
        (502, "", GET, Unavailable),
        (503, "ServiceUnavailable", GUARDED, Unavailable),
        (504, "Timeout", POST, Unavailable),
    ],
)
def test_status_reason_and_request_say_which_error_it_is(
    status: int, reason: str, request_: Request, kind: type[ApiError]
) -> None:
    error = error_of(answer(status, reason), request_)
    assert type(error) is kind
    assert (error.status, error.message, error.request) == (status, "why", str(request_))


@pytest.mark.parametrize(
    ("details", "kind"),
    [
        ({}, Conflict),
        (None, Conflict),
        ("odd", Conflict),
        ({"causes": []}, Conflict),
        ({"causes": [{"reason": "FieldValueInvalid", "field": "spec.replicas", "message": "too many"}]}, Invalid),
        ({"name": "chat", "causes": [{"message": "denied request: no"}]}, Invalid),
    ],
)
def test_a_guard_that_does_not_hold_is_told_from_what_is_refused_for_what_it_says(
    details: Any, kind: type[ApiError]
) -> None:
    assert type(error_of(answer(422, "Invalid", details=details), GUARDED)) is kind
    assert type(error_of(answer(422, "Invalid", details=details), MERGE)) is Invalid


NOT_READY = (
    "ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: failed to find resource referenced by"
    " paramKind: 'lazaretto.dev/v1alpha1, Kind=Containment'"
)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (422, NOT_READY, Unavailable),
        (403, NOT_READY, Unavailable),
        (403, NOT_READY.replace("policy:", "binding:"), Unavailable),
        (422, "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: replicas stay at 0", Invalid),
        (403, "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: replicas stay at 0", Forbidden),
        (422, "failed to configure policy", Invalid),
        (404, NOT_READY, NotFound),
    ],
)
def test_admission_that_is_not_ready_yet_is_worth_another_try(status: int, message: str, kind: type[ApiError]) -> None:
    causes = {"causes": [{"message": message}]}
    assert type(error_of(answer(status, "Invalid", message=message, details=causes), GUARDED)) is kind


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_is_no_error(status: int) -> None:
    assert error_of(Response(status, {}, b""), GET) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1.0),
        ("0", 0.0),
        ("2.5", 2.5),
        (" 3 ", 3.0),
        ("", None),
        ("soon", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_seconds(text: str, seconds: float | None) -> None:
    error = error_of(answer(429, Retry_After=text), GET)
    assert error is not None
    assert error.retry_after == seconds


def test_without_retry_after_there_is_none() -> None:
    error = error_of(answer(503), GET)
    assert error is not None
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>Bad Gateway</html>", "<html>Bad Gateway</html>"),
        (b"", ""),
        (b"[1, 2]", "[1, 2]"),
        (b'"text"', '"text"'),
        (b"null", "null"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 5000, "x" * 200),
        (json.dumps({"message": "y" * 5000}).encode(), "y" * 1024),
        (json.dumps({"message": None, "reason": 7}).encode(), '{"message": null, "reason": 7}'),
    ],
)
def test_an_error_without_a_status_object_quotes_the_body_bounded(body: bytes, message: str) -> None:
    error = error_of(Response(502, {}, body), GET)
    assert isinstance(error, Unavailable)
    assert error.message == message


@given(
    st.integers(min_value=100, max_value=599),
    st.dictionaries(st.just("Retry-After"), st.text(max_size=8)),
    st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.text(max_size=8),
        lambda inner: st.dictionaries(st.sampled_from(["message", "reason", "code"]), inner) | st.lists(inner),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from([GET, POST, MERGE, GUARDED, DELETE]),
)
def test_any_answer_is_a_success_or_an_error_fit_for_a_person(
    status: int, headers: dict[str, str], body: bytes, request_: Request
) -> None:
    error = error_of(Response(status, headers, body), request_)
    assert (error is None) == (status // 100 == 2)
    if error is not None:
        assert len(error.message) <= 1024
        assert str(error).startswith(f"{request_}: {status}")
