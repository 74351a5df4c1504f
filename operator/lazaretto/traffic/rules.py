"""A Gateway API route's rules, backends and mirrors, each by a name under which it is found again.

`rules`, `backendRefs` and `filters` are atomic lists addressed by index, and indexes move when
somebody inserts. So a rule is named by its `name`, or by a digest of what it matches, a backend
by what it refers to, and a filter by a digest of itself. Equals are told apart by their order.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from lazaretto.domain.fields import ABSENT, WITHIN, Fields
from lazaretto.kube.surface import Object

Json = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backend:
    """One of a rule's backendRefs."""

    path: str
    pointer: str
    body: Json

    @property
    def weight(self) -> int:
        """Its share; 1 where the API server has not filled it in."""
        return int(self.body.get("weight", 1))


@dataclass(frozen=True, slots=True)
class FilterList:
    """Filters of a rule or of one of its backends, with their names."""

    prefix: str
    """What the paths of its mirrors begin with; a name follows."""
    pointer: str
    filters: Sequence[Json]
    names: Sequence[str]

    def within(self, by_path: Mapping[str, T]) -> dict[str, T]:
        """What is said of this list's mirrors, by name."""
        return {p.removeprefix(self.prefix): found for p, found in by_path.items() if p.startswith(self.prefix)}

    def mirrors(self, base: Fields) -> Iterator[tuple[str, Json]]:
        """Path and value of each mirror: the filter, and the names of all that belong behind it.

        A mirror that `base` knows has the value it is known by, wherever it stands now. Any other is told from
        those that are held away as well, so that two mirrors find their places in whatever order they come back.
        """
        known = {name: value for name, value in self.within(base).items() if value is not ABSENT}
        order = list(self.names)
        for name in (n for n in known if n not in self.names):
            order.insert(place_of(known[name], order), name)
        for name, found in zip(self.names, self.filters, strict=True):
            if found.get("type") == "RequestMirror":
                fresh = {"filter": found, "followers": order[order.index(name) + 1 :]}
                value = known.get(name, fresh)
                # Of two filters with one digest, the one that is not known is somebody else's.
                yield f"{self.prefix}{name}", value if value["filter"] == found else fresh


@dataclass(frozen=True, slots=True)
class Rule:
    """One of a route's rules."""

    path: str
    pointer: str
    backends: Sequence[Backend]
    body: Json

    def filter_lists(self) -> Iterator[FilterList]:
        """The rule's own filters and those of its backends."""
        places: tuple[Rule | Backend, ...] = (self, *self.backends)
        for place in places:
            filters = place.body.get("filters") or ()
            names = tuple(_told_apart(map(_digest, filters)))
            yield FilterList(f"{place.path}{_MIRRORS}", f"{place.pointer}/filters", filters, names)

    def backend_path(self, body: Json) -> str:
        """Name of a backend that is the only one of its kind in this rule."""
        return f"{self.path}{_BACKENDS}{_reference(body)}"

    def has_backend(self, path: str) -> bool:
        """Whether the path is that of one of this rule's backends, be it there or not."""
        return path.startswith(f"{self.path}{_BACKENDS}") and not is_mirror(path) and not path.endswith(WEIGHT)


_BACKENDS = "/backends/"
_MIRRORS = f"{WITHIN}mirrors/"
WEIGHT = ".weight"


def is_mirror(path: str) -> bool:
    """Whether a path is that of a mirror."""
    return _MIRRORS in path


def place_of(mirror: Json, names: Sequence[str]) -> int:
    """Index at which a mirror of this value goes into a list with these names: before what follows it, else last."""
    return next((index for index, name in enumerate(names) if name in mirror["followers"]), len(names))


def rules_of(obj: Object) -> Iterator[Rule]:
    """The rules of a route."""
    bodies = (obj.get("spec") or {}).get("rules") or ()
    names = _told_apart(str(body.get("name") or "") or _digest(body.get("matches") or []) for body in bodies)
    for index, (body, name) in enumerate(zip(bodies, names, strict=True)):
        path, pointer = f"rules/{name}", f"/spec/rules/{index}"
        refs = body.get("backendRefs") or ()
        yield Rule(path, pointer, tuple(_backends(refs, f"{path}{_BACKENDS}", f"{pointer}/backendRefs")), body)


def service_of(ref: Json, *, namespace: str) -> str | None:
    """Name of the Service that is referred to, if it is one of the route's own namespace."""
    if ref.get("kind", "Service") != "Service" or ref.get("group", "") not in _CORE:
        return None
    return str(ref.get("name", "")) if ref.get("namespace", namespace) == namespace else None


_CORE = ("", "core")


def _backends(refs: Sequence[Json], prefix: str, pointer: str) -> Iterator[Backend]:
    for index, (ref, name) in enumerate(zip(refs, _told_apart(map(_reference, refs)), strict=True)):
        yield Backend(f"{prefix}{name}", f"{pointer}/{index}", ref)


def _reference(ref: Json) -> str:
    kind = ref.get("kind", "Service")
    group = "" if ref.get("group", "") in _CORE else f".{ref['group']}"
    place = f"{ref['namespace']}/" if ref.get("namespace") else ""
    return f"{kind}{group}:{place}{ref.get('name')}:{ref.get('port', '')}"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def _told_apart(names: Iterable[str]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}#{seen[name]}"
