"""Requests as values: each builder makes exactly the call that its name says."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.kube import request as requests
from lazaretto.kube.request import JSON, JSON_PATCH, MERGE_PATCH, Request
from lazaretto.kube.resource import DEPLOYMENTS, INCIDENTS

ALL = "/apis/lazaretto.dev/v1alpha1/aiincidents"
SHOP = "/apis/lazaretto.dev/v1alpha1/namespaces/shop/aiincidents"
CHAT = "/apis/apps/v1/namespaces/shop/deployments/chat"
ONE: dict[str, Any] = {"namespace": "shop", "name": "chat-1"}
SCALE: dict[str, Any] = {"namespace": "shop", "name": "chat", "manager": "lazaretto-scale", "subresource": "scale"}
WATCH = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": "240"}
OPERATIONS = [{"op": "test", "path": "/metadata/uid", "value": "u1"}, {"op": "remove", "path": "/spec/x"}]
UID_GUARD = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "u1"}}

TABLE = [
    ("get", requests.get(INCIDENTS, **ONE), Request("GET", f"{SHOP}/chat-1", {}, None, JSON)),
    ("list all", requests.list_objects(INCIDENTS), Request("GET", ALL, {"limit": "500"}, None, JSON)),
    (
        "list a page of what is labelled",
        requests.continued(requests.list_objects(INCIDENTS, namespace="shop", labels="a=b,!c", limit=2), "t/1="),
        Request("GET", SHOP, {"limit": "2", "labelSelector": "a=b,!c", "continue": "t/1="}, None, JSON),
    ),
    (
        "list what the server has in memory, at once and whole",
        requests.list_objects(INCIDENTS, labels="a=b", cached=True),
        Request("GET", ALL, {"resourceVersion": "0", "labelSelector": "a=b"}, None, JSON),
    ),
    ("watch all", requests.watch(INCIDENTS), Request("GET", ALL, WATCH, None, JSON)),
    (
        "watch one from a version on",
        requests.watch(INCIDENTS, **ONE, version="7", seconds=9),
        Request(
            "GET",
            SHOP,
            {**WATCH, "timeoutSeconds": "9", "resourceVersion": "7", "fieldSelector": "metadata.name=chat-1"},
            None,
            JSON,
        ),
    ),
    (
        "create",
        requests.create(INCIDENTS, {"spec": {}}, namespace="shop", manager="lazaretto"),
        Request("POST", SHOP, {"fieldManager": "lazaretto"}, {"spec": {}}, JSON),
    ),
    (
        "merge patch",
        requests.merge_patch(DEPLOYMENTS, {"spec": {"replicas": 0}}, **SCALE),
        Request("PATCH", f"{CHAT}/scale", {"fieldManager": "lazaretto-scale"}, {"spec": {"replicas": 0}}, MERGE_PATCH),
    ),
    (
        "JSON patch",
        requests.json_patch(DEPLOYMENTS, OPERATIONS, **SCALE),
        Request("PATCH", f"{CHAT}/scale", {"fieldManager": "lazaretto-scale"}, OPERATIONS, JSON_PATCH),
    ),
    (
        "JSON patch from a tuple, which the client would send as another kind of patch",
        requests.json_patch(DEPLOYMENTS, tuple(OPERATIONS), **SCALE),
        Request("PATCH", f"{CHAT}/scale", {"fieldManager": "lazaretto-scale"}, OPERATIONS, JSON_PATCH),
    ),
    ("delete", requests.delete(INCIDENTS, **ONE, uid="u1"), Request("DELETE", f"{SHOP}/chat-1", {}, UID_GUARD, JSON)),
]


@pytest.mark.parametrize(("made", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_request_is_made_whole(made: Request, expected: Request) -> None:
    assert made == expected


def test_errors_name_method_and_path() -> None:
    assert str(requests.get(INCIDENTS, **ONE)) == f"GET {SHOP}/chat-1"


def test_a_request_without_query_is_its_path() -> None:
    assert requests.get(INCIDENTS, **ONE).url == f"{SHOP}/chat-1"


@given(st.text(min_size=1).filter(lambda s: s.isprintable()), st.dictionaries(st.text(min_size=1), st.text(min_size=1)))
def test_no_text_leaves_its_place_in_the_url(name: str, query: dict[str, str]) -> None:
    """Whatever a name or a query value holds, a parser takes the URL apart into just these again."""
    url = Request("GET", f"/api/v1/pods/{name.replace('/', '')}", query).url
    assert url.isascii()
    parts = urlsplit(url)
    assert unquote(parts.path) == f"/api/v1/pods/{name.replace('/', '')}"
    assert parse_qs(parts.query, strict_parsing=bool(query)) == {key: [value] for key, value in query.items()}
    assert (parts.netloc, parts.fragment) == ("", "")
