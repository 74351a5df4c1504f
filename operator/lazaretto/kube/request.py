"""Requests to the API server as plain values.

What is sent is decided by pure functions and can be compared in a test; sending is
somebody else's job. Names come from objects that the API server returned, and are quoted
all the same: a path must never be steered by text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote, urlencode

from lazaretto.kube.resource import PODS, ResourceType

Json = Any
Body = Mapping[str, Json] | Sequence[Json]

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STREAM = 240
"""Seconds after which the API server ends a watch, unless another number is asked for."""

Method = Literal["GET", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Request:
    """One call."""

    method: Method
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    content_type: str = JSON

    @property
    def url(self) -> str:
        """Path and query, quoted."""
        path = quote(self.path)
        return f"{path}?{urlencode(self.query)}" if self.query else path

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def get(resource: ResourceType, *, namespace: str, name: str) -> Request:
    """Read one object."""
    return Request("GET", resource.path(namespace=namespace, name=name))


def logs(*, namespace: str, pod: str, container: str, lines: int, limit: int) -> Request:
    """Read the last lines of a container's log, each with its time, cut off after `limit` bytes."""
    query = {"container": container, "tailLines": str(lines), "limitBytes": str(limit), "timestamps": "true"}
    return Request("GET", PODS.path(namespace=namespace, name=pod, subresource="log"), query)


def label_selector(labels: Mapping[str, str]) -> str:
    """What selects the objects that carry all of these labels."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def list_objects(
    resource: ResourceType,
    *,
    namespace: str = "",
    labels: str = "",
    fields: str = "",
    limit: int = 500,
    cached: bool = False,
) -> Request:
    """Read the first page of a collection, or of what `labels` and `fields` select of it.

    A `cached` one comes whole from the API server's watch cache as it is. Otherwise the server first
    makes sure that its cache is as new as etcd, which on a quiet collection takes up to 100 ms.
    """
    query = {"resourceVersion": "0"} if cached else {"limit": str(limit)}
    if labels:
        query["labelSelector"] = labels
    if fields:
        query["fieldSelector"] = fields
    return Request("GET", resource.path(namespace=namespace), query)


def continued(request: Request, token: str) -> Request:
    """Read the page after another of the same list; `token` came with that one."""
    return replace(request, query={**request.query, "continue": token})


def watch(
    resource: ResourceType, *, namespace: str = "", name: str = "", version: str = "", seconds: int = STREAM
) -> Request:
    """Follow a collection, or one object of it, from a resource version on, for so many seconds."""
    query = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
    if version:
        query["resourceVersion"] = version
    if name:
        query["fieldSelector"] = f"metadata.name={name}"
    return Request("GET", resource.path(namespace=namespace), query)


def create(resource: ResourceType, body: Body, *, namespace: str, manager: str) -> Request:
    """Create an object."""
    return Request("POST", resource.path(namespace=namespace), {"fieldManager": manager}, body)


def merge_patch(
    resource: ResourceType, body: Body, *, namespace: str, name: str, manager: str, subresource: str = ""
) -> Request:
    """Merge a JSON document into an object; `null` removes."""
    path = resource.path(namespace=namespace, name=name, subresource=subresource)
    return Request("PATCH", path, {"fieldManager": manager}, body, MERGE_PATCH)


def json_patch(
    resource: ResourceType, body: Sequence[Json], *, namespace: str, name: str, manager: str, subresource: str = ""
) -> Request:
    """Apply patch operations in order; a failed `test` leaves the object as it was."""
    path = resource.path(namespace=namespace, name=name, subresource=subresource)
    # The client sends a JSON patch as one only if it is a list, and anything else as another kind of patch.
    return Request("PATCH", path, {"fieldManager": manager}, list(body), JSON_PATCH)


def at_version(request: Request, version: str) -> Request:
    """The same patch, which is a `Conflict` unless the object is still at that resource version.

    One that tests the generation stays as it is: that says as much, and no status counts.
    """
    if request.content_type == MERGE_PATCH and isinstance(request.body, Mapping):
        metadata = {**request.body.get("metadata", {}), "resourceVersion": version}
        return replace(request, body={**request.body, "metadata": metadata})
    operations = [*request.body] if isinstance(request.body, Sequence) else []
    if any(each["path"] == "/metadata/generation" for each in operations):
        return request
    return replace(request, body=[{"op": "test", "path": "/metadata/resourceVersion", "value": version}, *operations])


def dry_run(request: Request) -> Request:
    """The same write, on which admission decides and of which nothing is stored."""
    return replace(request, query={**request.query, "dryRun": "All"})


def delete(resource: ResourceType, *, namespace: str, name: str, uid: str, version: str = "") -> Request:
    """Delete one particular object, with `version` only as it then was: another of the same name is left alone."""
    guards = {"uid": uid, **({"resourceVersion": version} if version else {})}
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": guards}
    return Request("DELETE", resource.path(namespace=namespace, name=name), {}, body)
