"""An API server in memory, at the transport's seam, for tests of logic: it proves nothing about Kubernetes.

It does what the real one does for our few verbs: names collide, uids are given out, versions grow, a generation counts
changes of the spec, patches are guarded, a write that changes nothing stores nothing, watches follow. The stories that
must hold on the real server are told in `tests/cluster` and `tests/e2e`.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from lazaretto.engine.comparison import OPEN
from lazaretto.errors import Unavailable
from lazaretto.kube.request import MERGE_PATCH, Request
from lazaretto.kube.transport import Response
from tests.engine.json_patches import PatchRefusedError, json_patched, merge_patched

Object = dict[str, Any]
Hook = Callable[[Request], Response | None]

CREATED = "2026-01-02T12:00:00Z"
"""When everything is created: a test that needs other moments states them."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a path names. `path` leads to the object or collection, without its subresource."""

    path: str
    plural: str
    name: str
    subresource: str


def place_of(path: str) -> Place:
    parts = path.strip("/").split("/")
    first = 2 if parts[0] == "api" else 3
    if parts[first] == "namespaces" and len(parts) > first + 2:
        first += 2
    plural, name, subresource = [*parts[first:], "", ""][:3]
    return Place("/" + "/".join(parts[: first + 2]), plural, name, subresource)


def called(request: Request) -> str:
    """The request as people write it: `patch deployments/scale`."""
    place = place_of(request.path)
    read = "watch" if "watch" in request.query else "get" if place.name else "list"
    verb = {"GET": read, "POST": "create"}.get(request.method, request.method.lower())
    named = f"{verb} {place.plural}" + (f"/{place.subresource}" if place.subresource else "")
    return f"{named} (dry run)" if "dryRun" in request.query else named


@dataclass(frozen=True, slots=True)
class Stored:
    """A client's write that was stored, and the object as it then was (for a deletion: as it last was)."""

    request: Request
    body: Object

    @property
    def call(self) -> str:
        return called(self.request)


class MemoryApi:
    """`kube.transport.Transport` with the objects behind it.

    `hook` sees each request first and may answer in its place or fail it.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[Request] = []
        self.history: list[Stored] = []
        self.hook: Hook | None = None
        self.delay = 0.0
        self.mute = False
        """Whether watches hear nothing of what is stored."""
        self.forbidden: set[str] = set()
        self.deaf: set[str] = set()
        """Paths of which a watch is opened and says nothing, as on a dead connection."""
        """Calls that are refused for lack of rights, such as `patch deployments/scale`."""
        self.absent: set[str] = set()
        """Plurals of kinds that are not installed."""
        self.version = 100
        self._cache: dict[str, Object] | None = None
        self._uids = itertools.count(1)
        self._watchers: list[tuple[Request, asyncio.Queue[bytes | None]]] = []

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.method != "GET"]

    def all(self, plural: str) -> list[Object]:
        return [body for path, body in self.objects.items() if f"/{plural}/" in path]

    def add(self, path: str, body: Object) -> Object:
        """Stores an object as somebody else would."""
        return self._store("ADDED", path, copy.deepcopy(body))

    def change(self, path: str, change: Callable[[Object], object]) -> None:
        body = copy.deepcopy(self.objects[path])
        change(body)
        if body != self.objects[path]:
            self._store("MODIFIED", path, body)

    def delete(self, path: str) -> Object:
        body = copy.deepcopy(self.objects.pop(path))
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self._tell("DELETED", path, body)
        return body

    def freeze_cache(self) -> None:
        """From now on, lists that may be old are answered with what is stored now."""
        self._cache = copy.deepcopy(self.objects)

    def thaw_cache(self) -> None:
        self._cache = None

    def tell(self, plural: str, event: Object) -> None:
        """Sends a made-up watch event."""
        for request, queue in self._watchers:
            if request.path.endswith(plural):
                queue.put_nowait(json.dumps(event).encode() + b"\n")

    def watched(self) -> list[str]:
        """What is being watched: plural, and name if it is one object."""
        return sorted(f"{place_of(r.path).plural}/{_only(r)}".rstrip("/") for r, _ in self._watchers)

    def end_watches(self) -> None:
        for _, queue in self._watchers:
            queue.put_nowait(None)

    async def send(self, request: Request, *, timeout: float) -> Response:
        self.requests.append(request)
        await asyncio.sleep(self.delay)
        if (refusal := self._refusal(request)) is not None:
            return refusal
        verbs = {"GET": self._get, "POST": self._post, "PATCH": self._patch, "DELETE": self._delete}
        return verbs[request.method](request)

    async def lines(self, request: Request, *, idle: float) -> AsyncIterator[bytes]:
        self.requests.append(request)
        if (refusal := self._refusal(request)) is not None:
            yield refusal.body
            return
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        since = int(request.query.get("resourceVersion", "0"))
        for path, body in self.objects.items():
            if _follows(request, path) and int(body["metadata"]["resourceVersion"]) > since:
                queue.put_nowait(_event("MODIFIED" if since else "ADDED", body))
        watcher = (request, queue)
        self._watchers.append(watcher)
        try:
            async for line in self._heard(queue, request, idle=idle):
                yield line
        finally:
            self._watchers.remove(watcher)

    async def _heard(
        self, queue: asyncio.Queue[bytes | None], request: Request, *, idle: float
    ) -> AsyncIterator[bytes]:
        """Until the stream's time is over; one that is opened deaf is never told so."""
        loop, deaf = asyncio.get_running_loop(), request.path in self.deaf
        over = loop.time() + (idle if deaf else int(request.query["timeoutSeconds"]))
        while (left := over - loop.time()) > 0:
            try:
                # Not `wait_for`, which may take a cancellation for an answer before Python 3.12.
                async with asyncio.timeout(left):
                    line = await queue.get()
            except TimeoutError:
                break
            if line is None:
                return
            if not deaf:
                yield line
        if deaf:
            raise Unavailable(0, "nothing was heard", request=str(request))

    async def close(self) -> None:
        self.end_watches()

    def _refusal(self, request: Request) -> Response | None:
        if self.hook is not None and (answer := self.hook(request)) is not None:
            return answer
        if called(request) in self.forbidden:
            return failure(403, "Forbidden")
        return failure(404, "NotFound") if place_of(request.path).plural in self.absent else None

    def _get(self, request: Request) -> Response:
        place = place_of(request.path)
        if place.name:
            return _answer(200, self.objects[place.path]) if place.path in self.objects else failure(404, "NotFound")
        cached = self._cache if request.query.get("resourceVersion") == "0" else None
        objects = self.objects if cached is None else cached
        items = [b for p, b in sorted(objects.items()) if _under(request.path, p)]
        wanted = request.query.get("labelSelector", "")
        items = [body for body in items if _selected(body, wanted)]
        if request.query.get("fieldSelector") == OPEN:
            items = [body for body in items if body.get("status", {}).get("state") not in ("Released", "Closed")]
        return _answer(200, {"metadata": {"resourceVersion": str(self.version)}, "items": items})

    def _post(self, request: Request) -> Response:
        body = copy.deepcopy(dict(request.body))  # type: ignore[arg-type]
        if body.get("kind") == "SelfSubjectAccessReview":
            asked = body["spec"]["resourceAttributes"]
            name = f"{asked['verb']} {asked['resource']}" + (f"/{asked['subresource']}" * bool(asked["subresource"]))
            return _answer(201, {**body, "status": {"allowed": name not in self.forbidden}})
        if body.get("kind") == "SelfSubjectReview":
            return _answer(201, {**body, "status": {"userInfo": {"username": "admin"}}})
        path = f"{request.path}/{body['metadata']['name']}"
        if path in self.objects:
            return failure(409, "AlreadyExists")
        stored = self._store("ADDED", path, body)
        self.history.append(Stored(request, copy.deepcopy(stored)))
        return _answer(201, stored)

    def _patch(self, request: Request) -> Response:
        place = place_of(request.path)
        if place.path not in self.objects:
            return failure(404, "NotFound")
        before = self.objects[place.path]
        try:
            after = _patched(before, request, place.subresource)
        except PatchRefusedError as error:
            return failure(422, "Invalid", message=str(error))
        for guard in ("uid", "resourceVersion"):
            if after["metadata"].get(guard) != before["metadata"].get(guard):
                return failure(409, "Conflict", message=f"the {guard} differs")
        if "dryRun" in request.query:
            return _answer(200, after)
        if after != before:
            after = self._store("MODIFIED", place.path, after)
            self.history.append(Stored(request, copy.deepcopy(after)))
        return _answer(200, after)

    def _delete(self, request: Request) -> Response:
        place, body = place_of(request.path), request.body
        if place.path not in self.objects:
            return failure(404, "NotFound")
        wanted = body.get("preconditions", {}).get("uid") if isinstance(body, dict) else None
        if wanted not in (None, self.objects[place.path]["metadata"]["uid"]):
            return failure(409, "Conflict", message="the uid differs")
        version = body.get("preconditions", {}).get("resourceVersion") if isinstance(body, dict) else None
        if version not in (None, self.objects[place.path]["metadata"]["resourceVersion"]):
            return failure(409, "Conflict", message="the version differs")
        self.history.append(Stored(request, self.delete(place.path)))
        return _answer(200, {"kind": "Status", "status": "Success"})

    def _store(self, kind: str, path: str, body: Object) -> Object:
        self.version += 1
        place, old = place_of(path), self.objects.get(path)
        metadata = body.setdefault("metadata", {})
        metadata.setdefault("name", place.name)
        if "/namespaces/" in path:
            metadata.setdefault("namespace", path.split("/namespaces/")[1].split("/")[0])
        metadata.setdefault("uid", f"uid-{next(self._uids):04d}")
        metadata.setdefault("creationTimestamp", CREATED)
        metadata["resourceVersion"] = str(self.version)
        if old is None:
            metadata.setdefault("generation", 1)
        else:
            metadata["generation"] = old["metadata"]["generation"] + (body.get("spec") != old.get("spec"))
        self.objects[path] = body
        self._tell(kind, path, body)
        return body

    def _tell(self, kind: str, path: str, body: Object) -> None:
        for request, queue in self._watchers:
            if _follows(request, path) and not self.mute:
                queue.put_nowait(_event(kind, body))


def failure(
    status: int, reason: str, *, message: str = "made up", headers: dict[str, str] | None = None, cause: str = ""
) -> Response:
    """An answer as the API server gives it when it refuses; with a cause, for what the request says."""
    details = {"causes": [{"message": cause}]} if cause else {}
    body = {"kind": "Status", "code": status, "reason": reason, "message": message, "details": details}
    return Response(status, headers or {}, json.dumps(body).encode())


def _patched(before: Object, request: Request, subresource: str) -> Object:
    merging = request.content_type == MERGE_PATCH
    changed: Any = request.body or ()
    after: Object = merge_patched(before, changed) if merging else json_patched(before, changed)
    if subresource == "status":
        return {**before, "status": after.get("status", {})}
    if subresource == "scale":
        spec = {**before["spec"], "replicas": after["spec"]["replicas"]}
        return {**before, "metadata": after["metadata"], "spec": spec}
    return {**after, "status": before["status"]} if "status" in before else after


def _answer(status: int, body: Object) -> Response:
    return Response(status, {}, json.dumps(body).encode())


def _event(kind: str, body: Object) -> bytes:
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


def _only(request: Request) -> str:
    """The one name that a watch is limited to."""
    return request.query.get("fieldSelector", "").removeprefix("metadata.name=")


def _follows(request: Request, path: str) -> bool:
    return _under(request.path, path) and _only(request) in ("", path.rpartition("/")[2])


def _under(collection: str, path: str) -> bool:
    """Whether the collection, of one namespace or of all, holds the object."""
    prefix, _, plural = collection.rpartition("/")
    return path.startswith(f"{prefix}/") and path.split("/")[-2] == plural


def _selected(body: Object, selector: str) -> bool:
    labels = body["metadata"].get("labels") or {}
    for part in filter(None, selector.split(",")):
        key, equals, value = part.partition("=")
        fits = labels.get(key) == value if equals else (key.lstrip("!") in labels) != key.startswith("!")
        if not fits:
            return False
    return True
